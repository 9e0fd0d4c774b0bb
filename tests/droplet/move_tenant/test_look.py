"""Each reason to refuse a move, by itself."""

from dataclasses import replace

import pytest

from droplet.move_tenant.look import Side, refusals
from droplet.names import Place

TENANT = Place("tenant_3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001")

SOURCE = Side(
    version=160004,
    encoding="UTF8",
    collation="en_US.UTF-8",
    bytes=1,
    isolated=True,
    logins=(),
    sessions=0,
    foreign=(),
    belongings=9,
    schemas=("reports",),
    extensions={"plpgsql": "pg_catalog", "citext": "extensions"},
    settings=(),
    forced=(),
    bypasses=True,
    alone=True,
)
TARGET = replace(SOURCE, version=170002, belongings=0, schemas=())


def test_nothing_speaks_against_it() -> None:
    assert refusals(TENANT, SOURCE, TARGET, 17, check=False) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"logins": ["a", "b"]}, "the tenant is not suspended: a, b can log in to the source"),
        ({"sessions": 2}, "2 sessions use the source"),
        ({"isolated": False}, "the isolation job has not visited the database at the source"),
        ({"foreign": ["table x (postgres)"]}, f"not owned by {TENANT.owner}"),
        (
            {"extensions": {"citext": "reports"}},
            "extensions in other schemas than extensions: citext in reports",
        ),
        ({"encoding": "LATIN1"}, "encodings differ: LATIN1 and UTF8"),
        ({"version": 180000}, "Postgres 17 is older than the source's 18"),
    ],
)
def test_what_is_wrong_at_the_source(change: dict[str, object], told: str) -> None:
    source = replace(SOURCE, **change)  # type: ignore[arg-type]
    for check in (False, True):
        found = refusals(TENANT, source, TARGET, 18, check=check)
        assert len(found) == 1
        assert found[0].startswith(told)


@pytest.mark.parametrize(
    ("change", "told", "also_to_check"),
    [
        ({"isolated": False}, "the isolation job has not visited the database at the target", True),
        ({"alone": False}, "another run is in progress at the target", True),
        ({"sessions": 1}, "1 sessions use the target", False),
        ({"belongings": 3}, "the target is not empty: 3 tables", False),
        (
            {"extensions": {"plpgsql": "pg_catalog"}},
            "extensions are missing at the target: citext (postgres.",
            False,
        ),
    ],
)
def test_what_is_wrong_at_the_target(change: dict[str, object], told: str, also_to_check: bool) -> None:
    target = replace(TARGET, **change)  # type: ignore[arg-type]
    (found,) = refusals(TENANT, SOURCE, target, 17, check=False)
    assert found.startswith(told)
    assert len(refusals(TENANT, SOURCE, target, 17, check=True)) == int(also_to_check)


@pytest.mark.parametrize(
    ("version", "client", "told"),
    [
        (160004, 16, ["pg_dump 16 is too old; 17 is needed"]),
        (180001, 17, ["pg_dump 17 cannot dump Postgres 18"]),
        (180001, 16, ["pg_dump 16 is too old; 17 is needed", "pg_dump 16 cannot dump Postgres 18"]),
    ],
)
def test_a_pg_dump_that_cannot_do_it(version: int, client: int, told: list[str]) -> None:
    source, target = replace(SOURCE, version=version), replace(TARGET, version=180001)
    assert refusals(TENANT, source, target, client, check=False) == told
    assert refusals(TENANT, source, target, client, check=True) == []


@pytest.mark.parametrize("change", [{"bypasses": False}, {"version": 150000}])
def test_tables_that_force_their_policies_take_a_login_that_bypasses_them(change: dict[str, object]) -> None:
    source = replace(SOURCE, forced=["public.people"])
    assert refusals(TENANT, source, TARGET, 17, check=False) == []
    found = refusals(TENANT, replace(source, **change), replace(TARGET, **change), 17, check=True)  # type: ignore[arg-type]
    told = "row level security is forced on the owner of public.people, and this administrator cannot make a login"
    assert [line.startswith(told) for line in found] == [True, True]
