"""Whether a domain is delegated, asked of a resolver on loopback."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from model.loader import Environment
from model.plan import plan_environment
from ops.name_servers import CannotAskError, delegated
from ops.preflight import zone

DOMAIN = "staging.presence360.app"


def name(text: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


@contextmanager
def resolver(*servers: str, code: int = 0, wrong: bool = False) -> Iterator[tuple[str, int]]:
    """Answer one question; the name in each record is a pointer to that of the question, as resolvers write it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)

        def answer() -> None:
            query, asker = listening.recvfrom(4096)
            number = struct.unpack_from("!H", query)[0]
            header = struct.pack("!6H", number + wrong & 0xFFFF, 0x8180 | code, 1, len(servers), 0, 0)
            records = b"".join(
                b"\xc0\x0c" + struct.pack("!HHIH", 2, 1, 60, len(name(one))) + name(one) for one in servers
            )
            listening.sendto(header + query[12:] + records, asker)

        thread = threading.Thread(target=answer)
        thread.start()
        yield listening.getsockname()
        thread.join()


def test_name_servers_are_read_whatever_their_case() -> None:
    with resolver("NS1.DigitalOcean.com", "ns2.digitalocean.com") as address:
        assert delegated(DOMAIN, address) == {"ns1.digitalocean.com", "ns2.digitalocean.com"}


@pytest.mark.parametrize(
    ("servers", "code", "said"),
    [
        (("ns1.digitalocean.com",), 0, None),
        (("ns1.registrar.example",), 0, "is not delegated to DigitalOcean (it has ns1.registrar.example)"),
        # 3: there is no such name.
        ((), 3, "is not delegated to DigitalOcean (it has none)"),
        ((), 2, "could not be checked: the name server 127.0.0.1 answered with SERVFAIL"),
    ],
)
def test_a_delegation_that_is_missing_is_a_note(
    staging: Environment, servers: tuple[str, ...], code: int, said: str | None
) -> None:
    with resolver(*servers, code=code) as address:
        found = zone.check(plan_environment(staging), address)
    assert found.problems == ()
    assert [said in note for note in found.notes if said] == ([True] if said else [])


def test_an_answer_to_another_question_is_none() -> None:
    with (
        resolver("ns1.digitalocean.com", wrong=True) as address,
        pytest.raises(CannotAskError, match="did not answer"),
    ):
        delegated(DOMAIN, address)
