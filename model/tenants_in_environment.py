"""Rules between tenants.yaml and its environment.yaml: cells, delegated names, and tenants' own clusters."""

from collections.abc import Sequence

from model.checks import has
from model.environment import EnvironmentFile
from model.errors import Findings, did_you_mean, shown
from model.sizes import check_cluster
from model.tenancy import Tier
from model.tenants import Tenant

Entries = Sequence[tuple[int, Tenant]]
"""The entries that are right by themselves, with their places in the file."""


def check_tenants_in_environment(entries: Entries, file: EnvironmentFile, findings: Findings) -> None:
    """Check the entries against their environment, as far as its file is right."""
    if has(file, "dns"):
        _check_delegated_slugs(entries, file, findings)
    if has(file, "postgres"):
        _check_cells(entries, file, findings)
        _check_versions(entries, file, findings)
    if has(file, "new_sizes"):
        for index, tenant in entries:
            if tenant.dedicated:
                check_cluster(tenant.dedicated, ("tenants", index, "dedicated"), file.new_sizes, findings)


def _check_delegated_slugs(entries: Entries, file: EnvironmentFile, findings: Findings) -> None:
    delegated = frozenset(file.dns.delegations)
    for index, tenant in entries:
        if tenant.slug in delegated:
            findings.add(
                ("tenants", index, "slug"),
                f"{shown(tenant.slug)} is delegated to another DNS zone, so the host name would never resolve",
                "Choose another slug.",
            )


def _check_cells(entries: Entries, file: EnvironmentFile, findings: Findings) -> None:
    cells = file.postgres.cells
    for index, tenant in entries:
        if tenant.cell and tenant.cell not in cells:
            named = f"Name one of: {', '.join(file.postgres.cell_names)}." if cells else "Add it there first."
            findings.add(
                ("tenants", index, "cell"),
                f"there is no cell {shown(tenant.cell)} in `postgres.cells` of environment.yaml",
                f"{did_you_mean(tenant.cell, cells)}{named} Without `cell`, a tenant is in the environment's "
                f"own cluster.",
            )


def _check_versions(entries: Entries, file: EnvironmentFile, findings: Findings) -> None:
    """Find a tenant's own cluster that is older than the one it comes from: nothing can copy into it.

    After the move each is upgraded by itself.
    """
    for index, tenant in entries:
        home = (
            file.postgres.cells.get(tenant.cell)
            if tenant.cell
            else file.postgres.clusters.get(file.postgres.tenants)
        )
        moving = tenant.tier is Tier.SHARED and tenant.dedicated and not tenant.dedicated.retired
        if moving and tenant.dedicated and home and int(tenant.dedicated.version) < int(home.version):
            findings.add(
                ("tenants", index, "dedicated", "version"),
                f"Postgres {tenant.dedicated.version} is older than the {home.version} of "
                f"{tenant.cell or file.postgres.tenants}, the cluster that its database is copied from",
                f'Write `version: "{home.version}"` or a newer one: a database is never copied to an older version.',
            )
