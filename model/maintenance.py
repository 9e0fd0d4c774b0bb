"""Who is not served for a while: the whole environment, or single churches. nginx and services are told by one object.

Unlike a suspended church, one in maintenance keeps its credentials and its database users: people and migrations work
on its data while nobody else does. docs/maintenance.md says what answers what.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from model import naming
from model.environment import EnvironmentFile
from model.errors import Findings
from model.tenancy import Status
from model.tenants import Tenant

MAINTENANCE_KEY = "maintenance.json"
"""The object in each group's bucket; containers see it as /etc/presence360/maintenance.json. Not part of a release, so
that a release that fails or waits holds no maintenance up."""


@dataclass(frozen=True, kw_only=True)
class TenantInMaintenance:
    """A church that is not served for a while."""

    id: str
    slug: str
    queue_prefix: str


@dataclass(frozen=True, kw_only=True)
class MaintenancePlan:
    """Who is not served for a while."""

    environment: bool
    tenants: tuple[TenantInMaintenance, ...]
    """Sorted by id; of all cells."""

    def as_json(self) -> dict[str, object]:
        """Return what maintenance.json says (docs/maintenance.md)."""
        return {
            "environment": self.environment,
            "tenants": [
                {"id": one.id, "slug": one.slug, "queue_prefix": one.queue_prefix} for one in self.tenants
            ],
        }


def plan_maintenance(file: EnvironmentFile, tenants: Iterable[Tenant]) -> MaintenancePlan:
    """Decide who is not served for a while; the tenants are those of all cells."""
    return MaintenancePlan(
        environment=file.maintenance,
        tenants=tuple(
            TenantInMaintenance(
                id=tenant.id,
                slug=tenant.slug,
                queue_prefix=naming.queue_prefix(tenant.id, tenant.queue_prefix),
            )
            for tenant in sorted(tenants, key=lambda tenant: tenant.id)
            if tenant.maintenance
        ),
    )


def check_maintenance(entries: Iterable[tuple[int, Tenant]], findings: Findings) -> None:
    """Find churches in maintenance that are closed anyway."""
    for index, tenant in entries:
        if tenant.maintenance and tenant.status is not Status.ACTIVE:
            findings.add(
                ("tenants", index, "maintenance"),
                f"{tenant.slug} is {tenant.status}, so it is not served anyway",
                "Remove `maintenance`: it is for a church that is active.",
                at_key=True,
            )
