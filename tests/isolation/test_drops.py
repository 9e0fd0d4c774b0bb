"""A user is dropped while neighbours hang on its role. Whether the API clears anything first is unknown: all cases."""

import psycopg
import pytest

from lab.managed_cluster import ADMINISTRATOR, Cluster, Tenant
from tests.isolation.attempts import works
from tests.isolation.hostile import hang_on, may_end

PLAIN = ""
DROP_OWNED = 'DROP OWNED BY "{user}"'
REASSIGN_OWNED = f'REASSIGN OWNED BY "{{user}}" TO {ADMINISTRATOR}'

cases = pytest.mark.parametrize(
    "first", [PLAIN, DROP_OWNED, REASSIGN_OWNED], ids=["plain", "drop-owned", "reassign-owned"]
)

UNCLEARED = {"clear.sql": "\\echo done\n"}


def hang_on_each_other(cluster: Cluster) -> list[Tenant]:
    """Make three tenants: each hangs on the next one's roles, and owns a photo as its login role.

    The photo only where the administrator may act as the login role: elsewhere it is a finding (test_neighbours.py).
    """
    tenants = cluster.tenants(range(3))
    assert cluster.job().code == 0
    for tenant, following in zip(tenants, tenants[1:] + tenants[:1], strict=True):
        hang_on(cluster, tenant, following)
        if may_end(cluster):
            with cluster.as_tenant(tenant) as connection:
                connection.execute("SET ROLE NONE")
                connection.execute("SELECT lo_from_bytea(1, 'a photo')")
    return tenants


def owner_of_photo(cluster: Cluster, tenant: Tenant) -> str | None:
    found = cluster.superuser(
        "SELECT pg_get_userbyid(lomowner) FROM pg_largeobject_metadata WHERE oid = 1",
        database=tenant.database,
    )
    return found[0][0] if found else None


@cases
def test_a_suspended_a_rotated_and_a_removed_tenants_roles_go_and_no_content_does(
    cluster: Cluster, first: str
) -> None:
    suspended, rotated, removed = hang_on_each_other(cluster)
    cluster.api_user(rotated.user(2))
    outcome = cluster.job()
    assert outcome.code == 0, outcome.log
    for tenant in (suspended, rotated, removed):
        cluster.api_drop_user(tenant.user(), first=first)
    cluster.superuser(f'DROP DATABASE "{removed.database}"')
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["findings"]) == (0, 0), outcome.log

    cluster.api_user(suspended.user())
    assert cluster.job().code == 0
    for tenant, generation in ((suspended, 1), (rotated, 2)):
        works(cluster, tenant.user(generation), tenant.database)
        with cluster.as_tenant(tenant, generation) as connection:
            assert connection.execute("SELECT count(*) FROM mine").fetchone() == (0,)
            connection.execute("DROP TABLE mine")  # as its owner
        assert owner_of_photo(cluster, tenant) == (tenant.owner if may_end(cluster) else None)


@cases
def test_without_the_clearing_a_role_stays_in_all_cases(cluster: Cluster, first: str) -> None:
    tenant, *_ = hang_on_each_other(cluster)
    assert cluster.job(scripts=UNCLEARED).code == 1
    # Also in DROP OWNED, only who could have granted it takes it back: not the administrator, on a neighbour's tables.
    refusal = (
        "permission denied for"
        if first == DROP_OWNED
        else "cannot be dropped because some objects depend on it"
    )
    if first == DROP_OWNED and cluster.server.major == 15 and not cluster.administers:
        # The one case that needs no clearing: seen, and not explained by the documentation of DROP OWNED.
        cluster.api_drop_user(tenant.user(), first=first)
    else:
        with pytest.raises(psycopg.Error, match=refusal):
            cluster.api_drop_user(tenant.user(), first=first)
    # And what the tenant made as its login role is lost, or has become the administrator's.
    if may_end(cluster):
        after = {PLAIN: tenant.user(), DROP_OWNED: None, REASSIGN_OWNED: ADMINISTRATOR}
        assert owner_of_photo(cluster, tenant) == after[first]
