"""How large headers may be, what clients see beyond it, and where a 502 shows."""

import json

import pytest

from model.hops import CLIENT_HEADER_KIB, HEADER_KIB
from tests.hops.site import API, APP, Site, until

pytestmark = pytest.mark.slow

HOSTS = [API, APP]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("cookies", [(9_000,), (6_000, 6_000), (13_500,)], ids=str)
def test_a_request_may_have_large_cookies(site: Site, host: str, cookies: tuple[int, ...]) -> None:
    headers = {f"X-Part-{number}": "x" * size for number, size in enumerate(cookies[1:])}
    headers["Cookie"] = "c=" + "x" * cookies[0]
    response, body = site.ask("/seen/a", host, more=headers)
    assert response.status == 200
    assert len(body) > sum(cookies) if host == API else json.loads(body)["bytes"] > sum(cookies)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("lines", [1, 2, 14, 300])
def test_beyond_the_limit_a_request_is_answered_400(site: Site, host: str, lines: int) -> None:
    total = CLIENT_HEADER_KIB * 1024 + 1500
    headers = {f"X-Part-{number}": "x" * (total // lines) for number in range(lines)}
    response, body = site.ask("/seen/a", host, more=headers)
    assert (response.status, b"Request Header Or Cookie Too Large" in body) == (400, True)


def test_a_header_that_just_fits_passes_on_every_hop(site: Site) -> None:
    """Whatever nginx takes, the services take as well: there is no size that only one of them refuses."""
    statuses = set()
    for size in range(CLIENT_HEADER_KIB * 1024 - 400, CLIENT_HEADER_KIB * 1024 + 1200, 100):
        found = {site.ask("/seen/a", host, Cookie="c=" + "x" * size)[0].status for host in HOSTS}
        assert len(found) == 1
        statuses |= found
    assert statuses == {200, 400}


def test_a_long_address_is_answered_414(site: Site) -> None:
    assert site.ask("/seen/" + "a" * 12_000)[0].status == 200
    assert site.ask("/seen/" + "a" * (CLIENT_HEADER_KIB * 1024 + 1500))[0].status == 414


def test_a_web_sockets_handshake_may_have_as_large_cookies(site: Site) -> None:
    with site.web_socket("/ws", Cookie="c=" + "x" * 13_000) as socket:
        socket.send("hello")
        assert socket.recv(timeout=5) == "hello"


@pytest.mark.parametrize("size", [4_500, 9_000, 15_500])
def test_a_response_may_have_large_headers(site: Site, size: int) -> None:
    response, _ = site.ask(f"/cookies?size={size}")
    assert response.status == 200
    assert len(response.headers.get_all("Set-Cookie") or ()) == 5


def test_a_502_shows_in_the_access_log_and_says_why(site: Site) -> None:
    """The error log has none of them, because its lines quote query strings."""
    assert (
        site.ask(f"/cookies?size={HEADER_KIB * 1024 + 500}&who=somebody", User_Agent="large")[0].status == 502
    )
    (large,) = site.logged("large")
    assert (large["status"], large["upstream_status"], large["path"]) == ("502", "502", "/cookies")
    # The service answered, and more than fits.
    assert int(large["upstream_bytes"]) >= HEADER_KIB * 1024
    assert large["upstream_header_seconds"] == "-"

    host = "cp.staging.presence360.app"
    assert site.ask("/", host, User_Agent="away")[0].status == 502
    (away,) = site.logged("away")
    # Nobody listens there.
    assert (away["upstream_status"], away["upstream_bytes"], away["upstream_connect_seconds"]) == (
        "502",
        "0",
        "-",
    )
    assert (site.folder / "error.log").read_text().count("somebody") == 0
    assert (site.folder / "access.log").read_text().count("somebody") == 0


def test_what_nginx_refuses_itself_is_logged_too(site: Site) -> None:
    """Also where nothing has said which host is meant before the header is too long."""

    def refused() -> int:
        lines = (site.folder / "access.log").read_text().splitlines()
        return [json.loads(line)["status"] for line in lines].count("400")

    before = refused()
    connection = site.connect(None)
    connection.request("GET", "/", headers={"Cookie": "c=" + "x" * 30_000, "Host": API})
    assert connection.getresponse().status == 400
    connection.close()
    until("it is logged", lambda: refused() == before + 1)


def test_paths_reach_the_service_as_they_were_written(site: Site) -> None:
    for path in ("/seen/a//b", "/seen/a%2Fb", "/seen/%E2%9C%93", "/seen/a%20b/./c"):
        assert json.loads(site.ask(path)[1])["path"] == path


def test_what_clients_say_of_themselves_counts_for_nothing(site: Site) -> None:
    forged = {
        "X_Forwarded_For": "192.0.2.1, 192.0.2.77", "X_Forwarded_Proto": "http", "X_Forwarded_Host": "evil.example",
        "X_Real_IP": "192.0.2.1",
    }  # fmt: skip
    connection = site.connect(API)
    connection.putrequest("GET", "/seen/a", skip_host=True)
    for name, value in {
        "Host": API,
        **{name.replace("_", "-"): value for name, value in forged.items()},
    }.items():
        connection.putheader(name, value)
    # nginx drops it, and clients could else say X_Real_IP where a service reads X-Real-IP (RFC 3875, CGI).
    connection.putheader("X_Real_IP", "192.0.2.9")
    connection.endheaders()
    seen = json.loads(connection.getresponse().read())
    connection.close()
    assert (seen["scheme"], seen["client"]) == ("https", "192.0.2.77")
    assert seen["headers"]["x-forwarded-host"] == seen["headers"]["host"] == API
    assert "x_real_ip" not in seen["headers"]


def test_a_services_redirect_keeps_name_and_scheme(site: Site) -> None:
    response, _ = site.ask("/items")
    assert (response.status, response.headers["Location"]) == (307, f"https://{API}/items/")
