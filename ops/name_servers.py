"""Questions to name servers: to this machine's resolver, and to the servers of a zone themselves."""

from collections.abc import Iterable
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.resolver

ANSWER_SECONDS = 5.0
PORT = 53

Server = tuple[str, int]
"""Address and port."""


class CannotAskError(Exception):
    """No server answered, or with an error."""


@dataclass(frozen=True)
class Answer:
    """What a server said.

    Attributes:
        values: of the records of the name and kind that were asked for, as a zone file has them; empty for none.
        authoritative: whether the server speaks for the zone itself.
    """

    values: frozenset[str]
    authoritative: bool


def ask(name: str, kind: str, server: Server, seconds: float = ANSWER_SECONDS) -> Answer:
    """Ask a server for the records of a name; over TCP where the answer is too long for UDP.

    Raises:
        CannotAskError: it did not answer, or with an error.
    """
    address, port = server
    question = dns.message.make_query(name, kind)
    try:
        answer, _ = dns.query.udp_with_fallback(question, address, timeout=seconds, port=port)
    except (dns.exception.DNSException, OSError) as error:
        raise CannotAskError(f"the name server {address} did not answer: {type(error).__name__}") from None
    if answer.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise CannotAskError(f"the name server {address} answered with {dns.rcode.to_text(answer.rcode())}")
    asked = question.question[0]
    # Who only delegates a name says to whom in another part of the answer (RFC 1034, section 4.3.2).
    referral = [
        found for found in answer.authority if (found.name, found.rdtype) == (asked.name, asked.rdtype)
    ]
    records = (
        record.to_text()
        for found in (*answer.answer, *(referral if not answer.answer else ()))
        if found.rdtype == asked.rdtype
        for record in found
    )
    return Answer(frozenset(records), bool(answer.flags & dns.flags.AA))


def resolver() -> Server:
    """Return the resolver of this machine.

    Raises:
        CannotAskError: it has none.
    """
    try:
        found = dns.resolver.get_default_resolver()
    except (dns.exception.DNSException, OSError) as error:
        raise CannotAskError(f"this machine has no resolver: {error}") from None
    for one in found.nameservers:
        if isinstance(one, str):
            return one, found.port
    raise CannotAskError("this machine has no resolver")


def delegated(domain: str, asked: Server | None = None) -> frozenset[str]:
    """Return the name servers of a domain, in lower case and without the dot at the end, as a resolver knows them.

    Raises:
        CannotAskError: the resolver did not answer.
    """
    return plain(ask(domain, "NS", asked or resolver()).values)


def plain(names: Iterable[str]) -> frozenset[str]:
    """Return names in lower case, without the dot at the end."""
    return frozenset(name.rstrip(".").lower() for name in names)
