"""From a database that the API has made to a church that works: every step that is ours, timed."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.migrations.site import Site

EXPECTED_SECONDS = 120
"""What a church waits at most for its schema once its database is there (docs/migrations.md)."""

TIMER_SECONDS = 60 + 30
"""Isolation comes each minute, migrations each half minute (their timers)."""


def test_a_church_has_its_schema_within_two_minutes_and_reaches_nothing_else(site: Site) -> None:
    cluster = site.clusters["shared"]
    (neighbour,) = cluster.tenants([1])
    assert cluster.job().code == 0
    assert site.once() == 0
    took: dict[str, float] = {}

    @contextmanager
    def step(name: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        took[name] = time.monotonic() - begin

    with step("database and user, by the API"):
        (church,) = cluster.tenants([2])
    # What a service sees meanwhile: its role is not there, and then there is no schema.
    with pytest.raises(psycopg.OperationalError, match=r"_owner. does not exist"):
        cluster.as_tenant(church)
    with step("isolation"):
        assert cluster.job().code == 0
    with cluster.as_tenant(church) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT version_num FROM alembic_version")
    with step("schema"):
        assert site.once() == 0
    with step("credentials, read and used"), cluster.as_tenant(church) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        connection.execute("INSERT INTO people (name) VALUES ('Ama')")
        assert connection.execute("SELECT name FROM people").fetchall() == [("Ama",)]
    for refused in (neighbour.database, "control_plane", "defaultdb"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            cluster.connect(church.user(), refused)
    sys.stdout.write("".join(f"  {name}: {seconds:.1f} s\n" for name, seconds in took.items()))
    assert took["isolation"] + took["schema"] + TIMER_SECONDS < EXPECTED_SECONDS
