"""The catalogue's jobs: commands in a service's image that run once and end. A new job is one entry here."""

from dataclasses import dataclass
from enum import StrEnum

from model.services import CATALOGUE, Service


class JobKind(StrEnum):
    """When a job runs."""

    MIGRATION = "migration"
    """For each database of its kind, before a release (docs/migrations.md)."""
    SCHEDULED = "scheduled"
    """At certain times, on one droplet of a group at a time."""
    ONE_OFF = "one-off"
    """When an operator asks for it."""


class Databases(StrEnum):
    """Whose databases a migration is for; each is one run of the job."""

    CONTROL_PLANE = "control_plane"
    TENANTS = "tenants"


@dataclass(frozen=True)
class Job:
    """A command in a service's image, with the service's settings, that runs once.

    Attributes:
        name: its name, in messages and labels.
        kind: when it runs.
        service: whose image it runs in, by the name in the catalogue.
        command: program and arguments.
        databases: of a migration: whose databases.
        memory_mib: the most it may use, before the kernel ends it.
        timeout_seconds: how long one run may take, before it is ended.
    """

    name: str
    kind: JobKind
    service: str
    command: tuple[str, ...]
    databases: Databases | None = None
    memory_mib: int = 512
    timeout_seconds: int = 900

    @property
    def of(self) -> Service:
        """The service whose image it runs in."""
        return CATALOGUE[self.service]


# Alembic documentation, "Tutorial: Running our First Migration".
_UPGRADE = ("alembic", "upgrade", "head")

JOBS: dict[str, Job] = {
    job.name: job
    for job in (
        Job(
            "migrate-control-plane",
            JobKind.MIGRATION,
            "control-plane-api",
            _UPGRADE,
            databases=Databases.CONTROL_PLANE,
        ),
        Job("migrate-tenants", JobKind.MIGRATION, "tenant-api", _UPGRADE, databases=Databases.TENANTS),
    )
}


def migration_of(service: str) -> Job | None:
    """Return the migration that a service's image brings; None if the catalogue has none."""
    found = (job for job in JOBS.values() if job.kind is JobKind.MIGRATION and job.service == service)
    return next(found, None)


MIGRATING = tuple(sorted(job.service for job in JOBS.values() if job.kind is JobKind.MIGRATION))
"""The services whose images may bring migrations."""
