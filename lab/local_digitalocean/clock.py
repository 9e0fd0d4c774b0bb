"""The clock, and how long things take."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime


@dataclass(frozen=True)
class Clock:
    """The clock, which tests replace.

    Attributes:
        now: seconds since the epoch.
        sleep: waits; used for latency.
    """

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def stamp(self, later: float = 0.0) -> str:
        """Return the time now, or some seconds later, as the API writes it."""
        return datetime.fromtimestamp(self.now() + later, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Durations:
    """Seconds until a resource is ready, in place of DigitalOcean's minutes.

    The provider looks at droplets and certificates 10 s after it made them, at clusters every 15 s, and at load
    balancers at once and then every 15 s (its droplet/resource_droplet.go, certificate/resource_certificate.go,
    database/resource_database_cluster.go, loadbalancer/resource_loadbalancer.go): shorter is not quicker.

    Attributes:
        droplet: from ``new`` to ``active``.
        action: a power action.
        cluster: from ``creating``, ``resizing`` or ``forking`` to ``online``.
        load_balancer: from ``new`` to ``active``.
        certificate: from ``pending`` to ``verified``.
        pool: until an autoscale pool has its droplets.
        firewall: from ``waiting`` to ``succeeded``.
        serving: from an active droplet to one that passes its health checks.
        release: from a droplet's turn to the new release's serving there.
    """

    droplet: float = 2.0
    action: float = 1.0
    cluster: float = 5.0
    load_balancer: float = 0.05
    certificate: float = 2.0
    pool: float = 1.0
    firewall: float = 0.2
    serving: float = 3.0
    release: float = 1.0

    @classmethod
    def read(cls, written: str) -> "Durations":
        """Read ``droplet=20,cluster=60``.

        Raises:
            ValueError: an unknown name, or not a number.
        """
        known = {field.name for field in fields(cls)}
        values: dict[str, float] = {}
        for part in filter(None, written.split(",")):
            name, _, seconds = part.partition("=")
            if name not in known:
                raise ValueError(f"unknown duration {name!r}: use one of {', '.join(sorted(known))}")
            values[name] = float(seconds)
        return cls(**values)
