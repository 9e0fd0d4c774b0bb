"""Questions to a name server on loopback: who speaks for a zone, who delegates, and what is no answer."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from lab.checked.name_server import NameServer
from ops.name_servers import CannotAskError, ask

RECORDS: list[dict[str, Any]] = [
    {"type": "A", "name": "@", "data": "192.0.2.1"},
    {"type": "A", "name": "*", "data": "192.0.2.2"},
    {"type": "A", "name": "api", "data": "192.0.2.3"},
    {"type": "CAA", "name": "@", "data": "letsencrypt.org.", "flags": 0, "tag": "issue"},
    {"type": "NS", "name": "staging", "data": "ns1.digitalocean.com"},
]


@pytest.fixture
def server() -> Iterator[NameServer]:
    made = NameServer(lambda: {"presence360.app": RECORDS})
    yield made
    made.close()


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        ("presence360.app", "A", {"192.0.2.1"}),
        ("api.presence360.app", "A", {"192.0.2.3"}),
        ("anything.presence360.app", "A", {"192.0.2.2"}),
        ("presence360.app", "CAA", {'0 issue "letsencrypt.org"'}),
        ("staging.presence360.app", "NS", {"ns1.digitalocean.com."}),
        ("api.presence360.app", "AAAA", set()),
        ("a.b.presence360.app", "A", set()),
        ("presence360.example", "A", set()),
    ],
)
def test_records_of_a_name(server: NameServer, name: str, kind: str, values: set[str]) -> None:
    found = ask(name, kind, server.address)
    assert found.values == values
    assert found.authoritative
    server.authoritative = False
    assert not ask(name, kind, server.address).authoritative


def test_who_delegates_says_to_whom_beside_the_answer(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dns.message  # noqa: PLC0415
    import dns.rrset  # noqa: PLC0415

    def refer(content: bytes) -> bytes:
        response = dns.message.make_response(dns.message.from_wire(content))
        name = response.question[0].name
        response.authority.append(dns.rrset.from_text(name, 300, "IN", "NS", "ns2.digitalocean.com."))
        return bytes(response.to_wire())

    monkeypatch.setattr(server, "answer", refer)
    assert ask("staging.presence360.app", "NS", server.address).values == {"ns2.digitalocean.com."}


def test_silence_is_no_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(CannotAskError, match=r"127\.0\.0\.1 did not answer: Timeout"):
            ask("presence360.app", "A", silent.getsockname(), seconds=0.2)
