"""The catalogue: what runs on the platform. A new service is one entry here."""

from dataclasses import dataclass
from enum import StrEnum

APEX = "@"
"""The base domain itself, as DNS zone files write it."""

WILDCARD = "*"
"""Every name below the base domain that nothing else answers to: the tenants' slugs."""


class Plane(StrEnum):
    """Whose work a service does. It says nothing about where it runs: planes may share droplets."""

    TENANT = "tenant"
    CONTROL = "control"


class Store(StrEnum):
    """A managed data service that a service connects to over the private network."""

    POSTGRES = "postgres"
    VALKEY = "valkey"


@dataclass(frozen=True)
class Service:
    """One deployable of the product.

    Attributes:
        name: its name in the operators' files and in the container registry.
        plane: whose work it does.
        image: the image's repository below the registry.
        port: the TCP port it listens on in its container; None if it serves no requests.
        health_path: what answers 200 there while it can do its work; None without a port.
        hosts: the names below the base domain that it answers to; ``*`` stands for every tenant's slug.
        stores: what it connects to.
    """

    name: str
    plane: Plane
    image: str
    port: int | None
    health_path: str | None
    hosts: tuple[str, ...]
    stores: frozenset[Store]

    @property
    def public(self) -> bool:
        """Whether a load balancer sends it requests."""
        return bool(self.hosts)


_DATA = frozenset({Store.POSTGRES, Store.VALKEY})

CATALOGUE: dict[str, Service] = {
    service.name: service
    for service in (
        # FastAPI behind uvicorn listens on 8000 and Next.js on 3000 by their own defaults.
        Service("tenant-api", Plane.TENANT, "tenant-api", 8000, "/healthz", ("api",), _DATA),
        Service("worker", Plane.TENANT, "worker", None, None, (), _DATA),
        # A web front end talks to the public TLS name of its API, never to a database.
        Service("web-tenant", Plane.TENANT, "web-tenant", 3000, "/healthz", ("app", WILDCARD), frozenset()),
        Service("control-plane-api", Plane.CONTROL, "control-plane-api", 8000, "/healthz", ("cp",), _DATA),
        Service(
            "web-control-plane", Plane.CONTROL, "web-control-plane", 3000, "/healthz", ("admin",), frozenset()
        ),
    )
}

APEX_SERVICE = "web-tenant"
"""Who answers at the base domain itself, where an environment asks for that."""

PLATFORM_HOSTS = frozenset(
    host for service in CATALOGUE.values() for host in service.hosts if host not in {APEX, WILDCARD}
)
