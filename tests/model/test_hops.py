"""From hop to hop: which numbers have to be below which."""

from model import hops


def test_who_sends_requests_closes_first() -> None:
    assert hops.IDLE_SECONDS < hops.NGINX_IDLE_SECONDS
    # Also where an image does not read its variable: 5 s in uvicorn and Node.js.
    assert hops.UPSTREAM_IDLE_SECONDS < 5
    assert hops.SERVICE_IDLE_SECONDS > hops.UPSTREAM_IDLE_SECONDS + 30


def test_nginx_gives_up_before_the_load_balancer() -> None:
    assert hops.ANSWER_SECONDS < hops.IDLE_SECONDS


def test_what_nginx_takes_and_adds_is_what_services_take() -> None:
    assert hops.CLIENT_HEADER_KIB + 2 == hops.HEADER_KIB
