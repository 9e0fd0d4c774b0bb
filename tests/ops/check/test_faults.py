"""Faults that are rarer than those of the rehearsal, and what each line says of them."""

import re
import ssl
from typing import Any

import pytest

from lab.checked.estate import Estate
from ops.check.finding import Colour, NotSeenError
from ops.check.world import World, old_tls

NAME = "api.staging.presence360.app"


def told(estate: Estate, line: str) -> str:
    found = estate.check(line)[line]
    return f"{found.colour.word}: {found.told[0].text}"


def test_a_server_that_does_not_speak_for_the_zone(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estate.names, "authoritative", False)
    assert re.search(r"^red: ns\d\.digitalocean\.com does not speak for the zone of ", told(estate, "names"))


def test_a_server_that_is_silent_is_not_seen(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estate.names, "answer", lambda _: b"")
    assert told(estate, "names").startswith("yellow: not seen: ns")


@pytest.mark.parametrize(
    ("days", "colour"), [(60, "green"), (22, "green"), (20, "yellow"), (8, "yellow"), (6, "red")]
)
def test_days_left_of_a_certificate(
    estate: Estate, days: int, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estate.front, "days", days)
    assert told(estate, "certificates").startswith(colour)


def test_a_name_that_nobody_answers_is_red_where_it_is_asked(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(estate.front, "connect", refuse)
    for line in ("certificates", "redirects", "tls", "answers", "watchdog"):
        assert re.search("^red: .*does not answer: refused", told(estate, line)), line


def test_a_machine_that_cannot_offer_old_tls_says_so() -> None:
    class Cannot:
        def wrap_socket(self, *_: object, **__: object) -> None:
            error = ssl.SSLError("no protocols available")
            error.reason = "NO_PROTOCOLS_AVAILABLE"
            raise error

    class Plain:
        def close(self) -> None:
            pass

    plain: Any = Plain()
    cannot: Any = Cannot()
    world = World(connect=lambda *_: plain, old=cannot)
    with pytest.raises(NotSeenError, match="OpenSSL cannot offer TLS"):
        world.takes_old_tls("192.0.2.1", NAME)
    assert old_tls().maximum_version is ssl.TLSVersion.TLSv1_1


def test_a_firewall_that_names_a_droplet_by_its_id(estate: Estate) -> None:
    (droplet, *_) = estate.all("/v2/droplets", "droplets")
    rule = {"protocol": "tcp", "ports": "1-65535", "destinations": {"addresses": ["0.0.0.0/0"]}}
    wanted = {"name": "by-id", "outbound_rules": [rule], "droplet_ids": [droplet["id"]]}
    made = estate.ask("POST", "/v2/firewalls", wanted)["firewall"]
    try:
        texts = [one.text for one in estate.check("firewalls")["firewalls"].told]
    finally:
        estate.ask("DELETE", f"/v2/firewalls/{made['id']}")
    assert texts == [
        f"the cloud firewall by-id names {droplet['name']} by id, and nobody decided on that",
        "cloud firewall by-id allows every port/tcp to anywhere, and nobody decided on that",
    ]


def test_a_load_balancer_that_is_gone_is_one_red_line_and_the_others_are_not_seen(
    estate: Estate,
) -> None:
    (found,) = estate.all("/v2/load_balancers", "load_balancers")
    path = f"/v2/load_balancers/{found['id']}"
    wanted = {
        key: value for key, value in found.items() if key not in {"droplet_ids", "region", "status", "ip"}
    }
    estate.ask("PUT", path, {**wanted, "name": "another-name"})
    try:
        lines = estate.check("load-balancers", "certificates", "names", "answers")
    finally:
        estate.ask("PUT", path, wanted)
    assert lines["load-balancers"].told[0].text == "there is no load balancer staging-app"
    assert {lines[name].colour for name in ("certificates", "names", "answers")} == {Colour.YELLOW}
