"""The catalogue: what runs on the platform. A new service is one entry here."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from model.choices import OneOf

APEX = "@"
"""The base domain itself, as DNS zone files write it."""

WILDCARD = "*"
"""Every name below the base domain that nothing else answers to: the tenants' slugs."""

HEALTH_PORT = 9361
"""Loopback, on every droplet: the daemon behind the load balancer's health check."""

METRICS_PORT = 9360
"""The private address of every droplet: Prometheus metrics, for the VPC's addresses only."""


WATCHDOG_HOST = "cp"
"""The name at which the path answers 200 while alerts are known to arrive (droplet/watchdog)."""

WATCHDOG_PATH = "/watchdog"

WATCHDOG_PORT = 9365
"""Loopback, on the droplets that answer to that name: the program behind the path."""

WATCHDOG_RECEIVER_PORT = 9366
"""Loopback, on the observability droplet: what Alertmanager tells of the watchdog."""


class Plane(StrEnum):
    """Whose work a service does. It says nothing about where it runs: planes may share droplets."""

    TENANT = "tenant"
    CONTROL = "control"


class Store(StrEnum):
    """A managed data service that a service connects to over the private network."""

    POSTGRES = "postgres"
    VALKEY = "valkey"


class Runtime(StrEnum):
    """What an image is sure to contain, so that its health can be asked without curl or a shell."""

    PYTHON = "python"
    NODE = "node"


@dataclass(frozen=True)
class Service:
    """One deployable of the product.

    Attributes:
        name: its name in the operators' files and in the container registry.
        plane: whose work it does.
        image: the image's repository in the container registry.
        port: the TCP port it listens on in its container; None if it serves no requests.
        health_path: what answers 200 there while it can do its work; None without a port.
        hosts: the names below the base domain that it answers to; ``*`` stands for every tenant's slug.
        stores: what it connects to.
        runtime: what its image brings.
        host_port: the loopback port on a droplet where nginx finds it, its own in the whole catalogue, since
            services share droplets; None without a port.
        memory_mib: the most it may use, before the kernel ends it and Docker starts it again.
        stop_grace_seconds: how long it may finish its work before it is killed.
        writable: paths that are empty and writable at each start, in memory; all else is read-only.
        immutable: folders of its address space whose files never change, because their names do: nginx does not count
            requests for them.
        exports: whether it reads and writes the bucket for exports and snapshots.
        metrics_path: where it may answer with metrics in Prometheus's text format, for the observability group alone
            (docs/telemetry.md); None if it sends all of its metrics.
        required: whether every environment runs it. One that is not runs where a group lists it, so that a new service
            can be tried in one environment first.
    """

    name: str
    plane: Plane
    image: str
    port: int | None
    health_path: str | None
    hosts: tuple[str, ...]
    stores: frozenset[Store]
    runtime: Runtime = Runtime.PYTHON
    host_port: int | None = None
    memory_mib: int = 512
    stop_grace_seconds: int = 30
    writable: tuple[str, ...] = ("/tmp",)  # noqa: S108  in the container
    immutable: tuple[str, ...] = ()
    exports: bool = False
    metrics_path: str | None = None
    required: bool = False

    @property
    def public(self) -> bool:
        """Whether a load balancer sends it requests."""
        return bool(self.hosts)

    @property
    def uses_tenants_databases(self) -> bool:
        """Whether it logs in to tenants' databases."""
        return self.plane is Plane.TENANT and Store.POSTGRES in self.stores

    @property
    def image_variable(self) -> str:
        """The variable that stands for its image's full reference in the Compose file."""
        return f"{self.name.upper().replace('-', '_')}_IMAGE"


_DATA = frozenset({Store.POSTGRES, Store.VALKEY})

# Where Next.js keeps what it renders again in the background (its documentation, "Caching and ISR").
_NEXT_WRITES = ("/tmp", "/app/.next/cache")  # noqa: S108  in the container

# Next.js's documentation, "Self-Hosting": what it builds has a digest in its name and `Cache-Control: immutable`.
_NEXT_IMMUTABLE = ("/_next/static/",)

CATALOGUE: dict[str, Service] = {
    service.name: service
    for service in (
        # FastAPI behind uvicorn listens on 8000 and Next.js on 3000 by their own defaults.
        Service(
            "tenant-api",
            Plane.TENANT,
            "tenant-api",
            8000,
            "/healthz",
            ("api",),
            _DATA,
            host_port=18001,
            exports=True,
            metrics_path="/metrics",
            required=True,
        ),
        Service(
            "worker",
            Plane.TENANT,
            "worker",
            None,
            None,
            (),
            _DATA,
            memory_mib=1024,
            # Celery's warm shutdown on SIGTERM finishes the tasks it has begun.
            stop_grace_seconds=60,
            exports=True,
            required=True,
        ),
        # A web front end talks to the public TLS name of its API, never to a database.
        Service(
            "web-tenant",
            Plane.TENANT,
            "web-tenant",
            3000,
            "/healthz",
            ("app", WILDCARD),
            frozenset(),
            runtime=Runtime.NODE,
            host_port=18002,
            writable=_NEXT_WRITES,
            immutable=_NEXT_IMMUTABLE,
            required=True,
        ),
        Service(
            "control-plane-api",
            Plane.CONTROL,
            "control-plane-api",
            8000,
            "/healthz",
            ("cp",),
            _DATA,
            host_port=18003,
            metrics_path="/metrics",
            required=True,
        ),
        Service(
            "web-control-plane",
            Plane.CONTROL,
            "web-control-plane",
            3000,
            "/healthz",
            ("admin",),
            frozenset(),
            runtime=Runtime.NODE,
            host_port=18004,
            writable=_NEXT_WRITES,
            immutable=_NEXT_IMMUTABLE,
            required=True,
        ),
    )
}

ServiceName = Annotated[str, OneOf(CATALOGUE)]
"""A service's name in the operators' files."""

APEX_SERVICE = "web-tenant"
"""Who answers at the base domain itself, where an environment asks for that."""

PLATFORM_HOSTS = frozenset(
    host for service in CATALOGUE.values() for host in service.hosts if host not in {APEX, WILDCARD}
)
