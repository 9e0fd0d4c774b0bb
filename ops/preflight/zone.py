"""Whether the base domain is delegated to DigitalOcean, without which Let's Encrypt issues no certificate.

Asked of the resolver of this machine, by DNS over UDP (RFC 1035, section 4): Python's standard library asks for
addresses only.
"""

import secrets
import socket
import struct
from pathlib import Path

from model.edge import NAME_SERVERS
from model.plan import EnvironmentPlan
from ops.preflight.finding import Checked

RESOLVERS = Path("/etc/resolv.conf")
ANSWER_SECONDS = 5
NS, INTERNET, RECURSION_DESIRED = 2, 1, 0x0100
HEADER = struct.Struct("!6H")
PORT = 53
_POINTER = 0xC0


class CannotAskError(Exception):
    """No resolver answered."""


def check(plan: EnvironmentPlan, resolver: tuple[str, int] | None = None) -> Checked:
    """Ask for the name servers of the base domain; a delegation that is missing is a note, as it may be on its way."""
    domain = plan.edge.base_domain
    try:
        found = name_servers(domain, resolver or _resolver())
    except CannotAskError as error:
        return Checked(notes=(f"{plan.name}: the delegation of {domain} could not be checked: {error}",))
    wanted = {server.rstrip(".").lower() for server in NAME_SERVERS}
    if found & wanted:
        return Checked()
    has = f"it has {', '.join(sorted(found))}" if found else "it has none"
    return Checked(
        notes=(
            f"{plan.name}: {domain} is not delegated to DigitalOcean ({has}): no certificate is issued until its name "
            f"servers are {', '.join(sorted(wanted))} (README.md, First deploy)",
        )
    )


def name_servers(domain: str, resolver: tuple[str, int]) -> set[str]:
    """Return the name servers of a domain, in lower case and without the dot at the end.

    Raises:
        CannotAskError: the resolver did not answer, or with an error.
    """
    number = secrets.randbelow(1 << 16)
    question = b"".join(bytes([len(label)]) + label.encode() for label in domain.split(".")) + b"\0"
    query = HEADER.pack(number, RECURSION_DESIRED, 1, 0, 0, 0) + question + struct.pack("!2H", NS, INTERNET)
    family = socket.AF_INET6 if ":" in resolver[0] else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.settimeout(ANSWER_SECONDS)
            asked.connect(resolver)
            asked.send(query)
            answer = asked.recv(4096)
        return _read(answer, number, len(query))
    except (OSError, IndexError, struct.error, UnicodeDecodeError) as error:
        raise CannotAskError(f"the resolver {resolver[0]} did not answer: {error}") from None


def _read(answer: bytes, number: int, place: int) -> set[str]:
    """Return the NS records of an answer; ``place`` is where they begin."""
    got, flags, _, answers, *_ = HEADER.unpack_from(answer)
    code = flags & 0x000F
    if got != number or code not in {0, 3}:  # 3: there is no such name
        raise CannotAskError(f"the resolver answered with error {code}")
    found = set()
    for _ in range(answers):
        _, place = _name(answer, place)
        kind, _, _, length = struct.unpack_from("!HHIH", answer, place)
        place += 10
        if kind == NS:
            found.add(_name(answer, place)[0].lower())
        place += length
    return found


def _name(answer: bytes, place: int) -> tuple[str, int]:
    """Return the name at a place, and where what follows it begins."""
    labels: list[str] = []
    after = None
    for _ in range(128):
        length = answer[place]
        if length & _POINTER == _POINTER:
            after = place + 2 if after is None else after
            place = struct.unpack_from("!H", answer, place)[0] & 0x3FFF
        elif length:
            labels.append(answer[place + 1 : place + 1 + length].decode())
            place += 1 + length
        else:
            return ".".join(labels), place + 1 if after is None else after
    raise CannotAskError("the resolver's answer is not DNS")


def _resolver() -> tuple[str, int]:
    try:
        lines = RESOLVERS.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise CannotAskError(f"{RESOLVERS} cannot be read: {error.strerror}") from None
    for line in lines:
        words = line.split()
        if words[:1] == ["nameserver"] and len(words) > 1:
            return words[1], PORT
    raise CannotAskError(f"{RESOLVERS} names no resolver")
