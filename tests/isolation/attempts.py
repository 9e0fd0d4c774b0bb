"""What a tenant's credentials reach, tried and not read from the catalogs."""

from collections.abc import Sequence

import psycopg
from psycopg import sql

from lab.managed_cluster import Cluster
from model.naming import owner_role


def reached(
    cluster: Cluster, logins: Sequence[tuple[str, str]], databases: Sequence[str]
) -> tuple[list[str], int]:
    """Try every login role on every database that is not its own, and every other tenant's roles from its own.

    Returns:
        What succeeded and must not have, and how many connections to others' databases were refused.
    """
    crossings, refused = [], 0
    for user, own in logins:
        for database in databases:
            if database == own:
                continue
            try:
                with cluster.connect(user, database):
                    crossings.append(f"{user} connects to {database}")
            except psycopg.OperationalError as error:
                assert "permission denied for database" in str(error), error  # and nothing else went wrong
                refused += 1
        with cluster.connect(user, own) as connection:
            for other, database in logins:
                if database == own:
                    continue
                for role in (other, owner_role(database), f"{database}_access"):
                    try:
                        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
                        crossings.append(f"{user} becomes {role}")
                        connection.execute("RESET ROLE")
                    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue):
                        continue  # refused, or there is no such role yet
    return crossings, refused


def works(cluster: Cluster, user: str, database: str) -> None:
    """Check that a login role can create, write and read in its own database, and whose the table is."""
    owner = owner_role(database)
    with cluster.connect(user, database, options=f"-c role={owner}") as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS people (name text)")
        connection.execute("INSERT INTO people VALUES ('Ama')")
        connection.execute("CREATE TEMPORARY TABLE scratch (number int)")
        assert connection.execute("SELECT name FROM people LIMIT 1").fetchone() == ("Ama",)
        found = connection.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'people'").fetchone()
        assert found == (owner,)
