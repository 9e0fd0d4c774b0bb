"""Migrations: what droplets are told of them, and what the file says that cannot be (docs/migrations.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model import releases
from model.environment import EnvironmentFile
from model.errors import Findings, did_you_mean, shown
from model.jobs import MIGRATING, Databases, migration_of
from model.service_variables import job_environment
from model.services import CATALOGUE
from model.tenants import Tenant

MIGRATIONS_KEY = "migrations.json"
"""The object in every group's configuration bucket; not part of a release, because it changes no container."""


@dataclass(frozen=True, kw_only=True)
class MigrationPlan:
    """The migrations of one kind of database."""

    name: str
    databases: Databases
    service: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    """Variables that are no secret, beside `settings:`."""
    memory_mib: int
    timeout_seconds: int


@dataclass(frozen=True, kw_only=True)
class MigrationsPlan:
    """What is migrated before droplets change to a release."""

    jobs: tuple[MigrationPlan, ...]
    canaries: tuple[str, ...]
    """The ids of the churches that are first, sorted."""
    parallel: int
    share: int
    """The percentage of churches that must be done."""


def plan_migrations(file: EnvironmentFile, tenants: Sequence[Tenant]) -> MigrationsPlan | None:
    """Decide an environment's migrations; None where its images bring none."""
    wanted = file.migrations
    if wanted is None:
        return None
    jobs = [job for service in sorted(wanted.services) if (job := migration_of(service))]
    return MigrationsPlan(
        jobs=tuple(
            MigrationPlan(
                name=job.name,
                databases=job.databases,
                service=job.service,
                image=releases.image(file, CATALOGUE[job.service]),
                command=job.command,
                environment=job_environment(job),
                memory_mib=job.memory_mib,
                timeout_seconds=job.timeout_seconds,
            )
            for job in jobs
            if job.databases
        ),
        canaries=tuple(sorted(tenant.id for tenant in tenants if tenant.slug in wanted.canaries)),
        parallel=wanted.parallel,
        share=wanted.share,
    )


def warn_without_migrations(file: EnvironmentFile, warnings: Findings) -> None:
    """Say that nobody migrates, where services run whose images may bring migrations."""
    running = {service for group in file.groups.values() for service in group.services}
    if file.migrations is None and (silent := [one for one in MIGRATING if one in running]):
        warnings.add(
            ("migrations",),
            f"this key is missing, so a release changes no schema, also where {' or '.join(silent)} brings migrations",
            "Add `migrations: {}` (docs/migrations.md).",
        )


def check_migrations(
    file: EnvironmentFile, tenants: Sequence[Tenant], errors: Findings, warnings: Findings
) -> None:
    """Find canaries that do not exist, and what is written twice."""
    if file.migrations is None:
        return
    slugs = {tenant.slug: tenant for tenant in tenants}
    for index, slug in enumerate(file.migrations.canaries):
        path = ("migrations", "canaries", index)
        if slug not in slugs:
            # No error: a church may leave tenants.yaml, and nothing else needs an edit for it.
            warnings.add(
                path,
                f"there is no church {shown(slug)} in tenants.yaml, so nothing is tried out for the others",
                f"{did_you_mean(slug, slugs)}Write the slug of a church, or remove it.",
            )
        elif not slugs[slug].served:
            warnings.add(
                path,
                f"{slug} is {slugs[slug].status}, so it is not migrated, and tries nothing out for the others",
                "Name a church that is active.",
            )
    for name in ("canaries", "services"):
        values = getattr(file.migrations, name)
        for index, value in enumerate(values):
            if value in values[:index]:
                errors.add(
                    ("migrations", name, index), f"{shown(value)} is listed twice", "Remove one of the two."
                )
