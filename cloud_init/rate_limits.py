"""How many requests nginx takes for a tenant's host name: of one client, and of all together. Pure.

nginx's rates are fixed, so a host's rate chooses its zones. A client is an IPv4 address, or an IPv6 network of 64 bits.
The numbers are for a Sunday: a whole congregation shares one address, and opens the same page when it sees a code on a
screen. docs/requests.md, "Request limits", has the sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from model.droplets import RateLimitPlan

BURST_SECONDS: Final = 10
"""How many seconds' worth of requests may come at once."""

PAGE_REQUESTS: Final = 80
"""What a client may ask for at once in any case: two visitors behind one address, each with a page of 36 files that are
no static ones. A browser asks for all of a page at once, over six connections."""

RETRY_SECONDS: Final = 5
"""What clients are told to wait (RFC 9110, Retry-After): until then half of a burst is there again."""

BUSY_PAGE: Final = (
    "Too many requests",
    "Too many requests came from your network in a short time. Please try again in a few seconds.",
)
"""In nginx's single quotes, as those in cloud_init/nginx.py."""


@dataclass(frozen=True)
class Zone:
    """A request rate and the hosts that have it; for the default rate, the hosts that have another."""

    rate: int
    default: bool
    hosts: tuple[str, ...]

    @property
    def burst(self) -> int:
        """How many requests of all clients together may come at once."""
        return max(BURST_SECONDS * self.rate, 2 * PAGE_REQUESTS)

    @property
    def client_rate_per_minute(self) -> int:
        """One client has half of the rate, so that no client takes all of a tenant's."""
        return self.rate * 60 // 2

    @property
    def client_burst(self) -> int:
        """How many requests of one client may come at once."""
        return self.burst // 2

    @property
    def policy(self) -> str:
        """What clients are told: quota and window in seconds (draft-ietf-httpapi-ratelimit-headers-10)."""
        window = -(-self.burst // self.rate)
        return f'"client";q={self.client_burst};w={window}, "church";q={self.burst};w={window}'


def zones(limits: RateLimitPlan) -> Sequence[Zone]:
    """Return a zone for each distinct rate, the default's first."""
    others = {host: rate for host, rate in limits.overrides.items() if rate != limits.default}
    found = [Zone(rate=limits.default, default=True, hosts=tuple(sorted(others)))]
    for rate in sorted(set(others.values())):
        hosts = tuple(sorted(host for host, own in others.items() if own == rate))
        found.append(Zone(rate=rate, default=False, hosts=hosts))
    return found
