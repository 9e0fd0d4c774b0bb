"""What a tenant whose credentials leaked does to the others, as the tests try it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from droplet.names import WATCH_LOCK
from lab.managed_cluster import ADMINISTRATOR, Cluster, Tenant


def may_end(cluster: Cluster) -> bool:
    """Tell whether the administrator may end sessions of tenants without having been given the right to."""
    return cluster.server.major == 15 or cluster.administers


def let_end(cluster: Cluster) -> None:
    """Give the administrator the right to end sessions, if it has not got it."""
    if not may_end(cluster):
        cluster.superuser(f"GRANT pg_signal_backend TO {ADMINISTRATOR}")


@contextmanager
def watched(cluster: Cluster) -> Iterator[None]:
    """Have the watch running."""
    process = cluster.watch()
    question = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {WATCH_LOCK}"  # noqa: S608
    try:
        eventually("the watch runs", lambda: cluster.superuser(question) != [(0,)])
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def eventually(what: str, answer: Callable[[], object], seconds: float = 120) -> float:
    """Wait until something is true, and return for how many seconds it was not."""
    begin = time.monotonic()
    while not answer():
        assert time.monotonic() - begin < seconds, f"after {seconds} s not yet: {what}"
        time.sleep(0.1)
    return time.monotonic() - begin


def ended(connection: "psycopg.Connection[object]") -> bool:
    """Tell whether the server ended a session."""
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def droppable(cluster: Cluster, user: str) -> str:
    """Drop a user as the API does, and undo it; what Postgres said against it, or nothing."""
    try:
        cluster.superuser(f"BEGIN; SET LOCAL lock_timeout = '2s'; DROP ROLE \"{user}\"; ROLLBACK")
    except psycopg.Error as error:
        return str(error)
    return ""


GRANTS = (
    "CREATE TABLE mine (id serial PRIMARY KEY, name text)",
    'GRANT SELECT ON mine TO "{other}" WITH GRANT OPTION',
    'GRANT UPDATE (name) ON mine TO "{other}"',
    'GRANT USAGE ON SEQUENCE mine_id_seq TO "{other}", "{other_owner}"',
    "CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    'GRANT EXECUTE ON FUNCTION own TO "{other}", "{other_access}"',
    "CREATE TYPE mood AS ENUM ('sad')",
    'GRANT USAGE ON TYPE mood TO "{other}"',
    "SELECT lo_create(4711)",
    'GRANT SELECT ON LARGE OBJECT 4711 TO "{other}"',
    'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO "{other}"',
    'ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO "{other}"',
    'CREATE POLICY other ON mine TO "{other}", "{owner}" USING (true)',
    'CREATE POLICY alone ON mine TO "{other}" USING (true)',
)
"""Each way by which something of a tenant's own hangs on another role."""


def hang_on(cluster: Cluster, one: Tenant, other: Tenant) -> None:
    """Let one tenant grant everything that it can to the other's roles, and to its own login role."""
    names = {"owner": one.owner, "other_owner": other.owner, "other_access": f"{other.database}_access"}
    with cluster.as_tenant(one) as connection:
        for statement in GRANTS:
            connection.execute(statement.format(other=other.user(), **names).encode())
        connection.execute(f'GRANT DELETE ON mine TO "{one.user()}"'.encode())
