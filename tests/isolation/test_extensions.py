"""Extensions: from the environment's list, in a schema of the administrator's own, before the tenant's first login."""

import pytest

from lab.managed_cluster import ADMINISTRATOR, EXTENSIONS, Cluster, Tenant

SCHEMA = "extensions"


def installed(cluster: Cluster, tenant: Tenant) -> dict[str, str]:
    found = cluster.superuser(
        "SELECT extname, nspname FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace "
        "WHERE extname <> 'plpgsql'",
        database=tenant.database,
    )
    return dict(found)


def test_every_tenant_has_the_environments_extensions_and_finds_them(cluster: Cluster) -> None:
    (tenant,) = cluster.tenants([0])
    assert cluster.job().code == 0
    assert installed(cluster, tenant) == dict.fromkeys(EXTENSIONS, SCHEMA)
    with cluster.as_tenant(tenant) as connection:
        connection.execute("CREATE TABLE people (mail citext)")
        connection.execute("INSERT INTO people VALUES ('Ama@example.org')")
        assert connection.execute(
            "SELECT count(*) FROM people WHERE mail = 'ama@EXAMPLE.org'"
        ).fetchone() == (1,)
        assert connection.execute("SELECT length(gen_salt('bf'))").fetchone() == (29,)
        with pytest.raises(Exception, match="permission denied for schema extensions"):
            connection.execute("CREATE TABLE extensions.mine ()")
        with pytest.raises(Exception, match="permission denied to create extension"):
            connection.execute("CREATE EXTENSION hstore")
    # Nothing more to do; a longer list is a visit to every database.
    assert cluster.job().metrics["visited"] == 0
    outcome = cluster.job(extensions=[*EXTENSIONS, "hstore"])
    assert (outcome.code, outcome.metrics["visited"]) == (0, 2), outcome.log
    assert installed(cluster, tenant)["hstore"] == SCHEMA


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            'ALTER SCHEMA extensions OWNER TO "{owner}"',
            "schema extensions belongs to {owner}: no extension is made",
        ),
        (
            'GRANT CREATE ON SCHEMA extensions TO "{owner}"',
            "schema extensions lets others create: no extension is made",
        ),
        (
            "CREATE FUNCTION extensions.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'; "
            'ALTER FUNCTION extensions.lower(text) OWNER TO "{owner}"',
            "function extensions.lower(text) is in schema extensions and of no extension: no extension is made",
        ),
    ],
)
def test_where_the_schema_or_what_is_in_it_is_the_tenants_nothing_runs(
    cluster: Cluster, statement: str, told: str
) -> None:
    (tenant,) = cluster.tenants([0])
    assert cluster.job().code == 0
    cluster.superuser(*statement.format(owner=tenant.owner).split("; "), database=tenant.database)
    outcome = cluster.job(extensions=[*EXTENSIONS, "hstore"])
    assert outcome.code == 1
    assert f"{tenant.owner} {told.format(owner=tenant.owner)} ({tenant.database})" in outcome.log
    assert "hstore" not in installed(cluster, tenant)
    # It is this tenant's finding: the other database has it.
    ((count,),) = cluster.superuser(
        "SELECT count(*) FROM pg_extension WHERE extname = 'hstore'", database="control_plane"
    )
    assert count == 1


def test_without_that_check_it_runs(cluster: Cluster) -> None:
    (tenant,) = cluster.tenants([0])
    assert cluster.job().code == 0
    cluster.superuser(f'ALTER SCHEMA extensions OWNER TO "{tenant.owner}"', database=tenant.database)
    script = cluster.script("database.sql")
    check = "SELECT :'trouble' = '' AS good \\gset"
    assert check in script
    # In a schema that is the tenant's, the administrator may make nothing; a provider's extra rights would.
    cluster.superuser(f"GRANT ALL ON SCHEMA extensions TO {ADMINISTRATOR}", database=tenant.database)
    cluster.job(
        scripts={"database.sql": script.replace(check, "SELECT true AS good \\gset")},
        extensions=[*EXTENSIONS, "hstore"],
    )
    assert "hstore" in installed(cluster, tenant)


def test_an_extension_that_cannot_be_made_is_a_finding(cluster: Cluster) -> None:
    (tenant,) = cluster.tenants([0])
    outcome = cluster.job(extensions=["pageinspect"])
    assert outcome.code == 1
    assert (
        f"{tenant.owner} has no extension pageinspect in schema extensions ({tenant.database})" in outcome.log
    )
