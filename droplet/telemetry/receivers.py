"""The droplet of the observability group that receives: the one that says so in its status object (docs/status.md)."""

import ipaddress
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from droplet.converge.peers import FRESH_SECONDS, read_time
from droplet.converge.store import LARGEST

MEMBER = "receiver"
"""Of a status object."""

_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]{1,76}\n){1,60}-----END CERTIFICATE-----\n"
)
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")
"""Of a host; it is in its certificate."""


_PORTS = range(1024, 65536)


@dataclass(frozen=True)
class Receiver:
    """How a receiver is reached.

    Attributes:
        name: the droplet's, for which its certificate is made.
        address: its private address.
        port: there.
        certificate: its own, PEM; no other is believed.
    """

    name: str
    address: str
    port: int
    certificate: str

    @property
    def says(self) -> dict[str, object]:
        """What its status object says of it."""
        return {"address": self.address, "port": self.port, "certificate": self.certificate}


def choose(statuses: Iterable[tuple[str, str]], vpc_range: str, now: float) -> Receiver | None:
    """Choose among droplets: one that is not silent before one that is, one that serves, the newest.

    A droplet whose status is old may receive all the same, and is better than none.

    Args:
        statuses: the droplets' ids, and their status objects.
        vpc_range: where receivers are; what is elsewhere is none.
        now: seconds since 1970.
    """
    best: tuple[tuple[bool, bool, int, str], Receiver] | None = None
    for droplet, text in statuses:
        try:
            value = json.loads(text)
            receiver = _receiver(value, vpc_range)
            fresh = abs(now - read_time(value["time"])) <= FRESH_SECONDS
            # Ids at DigitalOcean are numbers that grow.
            rank = (fresh, value["phase"] == "serving", len(droplet), droplet)
        except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
            continue
        if best is None or rank > best[0]:
            best = rank, receiver
    return best[1] if best else None


def read_statuses(folder: Path) -> list[tuple[str, str]]:
    """Read the status objects that were fetched."""
    return [
        (path.stem, path.read_text(encoding="utf-8", errors="replace"))
        for path in sorted(folder.glob("*.json"))
        if path.is_file() and path.stat().st_size <= LARGEST
    ]


def _receiver(value: dict[str, object], vpc_range: str) -> Receiver:
    """Read a status object.

    Raises:
        ValueError: it says of no receiver, or of one that cannot be.
    """
    said = value[MEMBER]
    if not isinstance(said, dict):
        raise TypeError(MEMBER)
    name, certificate, port = str(value["name"]), str(said["certificate"]), said["port"]
    address = ipaddress.IPv4Address(said["address"])
    # A number such as 1e999 is infinite, and no integer.
    if not isinstance(port, int) or port not in _PORTS:
        raise ValueError(MEMBER)
    if not _NAME.fullmatch(name) or not _CERTIFICATE.fullmatch(certificate):
        raise ValueError(MEMBER)
    if address not in ipaddress.IPv4Network(vpc_range):
        raise ValueError(f"{address} is not in the private network")
    return Receiver(name, str(address), port, certificate)
