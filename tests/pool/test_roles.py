"""Whatever a client leaves behind, the next one acts as the owner role; whichever driver it comes with."""

import asyncio
import importlib
from typing import Any

import psycopg
import pytest

from model.pool import PORT
from tests.pool.conftest import Scene

ROLE = "SELECT current_user"


@pytest.mark.parametrize(
    "statement", ["SELECT 1", "SET ROLE NONE", "RESET ROLE", "RESET ALL", "DISCARD ALL", "DEALLOCATE ALL"]
)
def test_the_next_transaction_acts_as_the_owner_role(scene: Scene, statement: str) -> None:
    tenant = scene.tenants[0]
    with scene.connect(tenant, options=f"-c role={tenant.owner}") as left, scene.connect(tenant) as next_one:
        assert scene.ask(left, ROLE) == tenant.owner
        left.execute(statement.encode())
        for connection in (next_one, left):
            assert scene.ask(connection, ROLE) == tenant.owner
            assert scene.ask(connection, "SELECT session_user") == tenant.user()


def test_a_transaction_that_gives_its_role_up_keeps_that_to_itself(scene: Scene) -> None:
    tenant = scene.tenants[0]
    with scene.connect(tenant) as left, scene.connect(tenant) as next_one:
        with left.transaction():
            left.execute("SET ROLE NONE")
            assert scene.ask(left, ROLE) == tenant.user()
        assert scene.ask(next_one, ROLE) == tenant.owner
        next_one.execute("CREATE TABLE made_after (id int)")
        next_one.execute("DROP TABLE made_after")


def test_prepared_statements_work_on_whichever_connection_comes(scene: Scene) -> None:
    """psycopg prepares by name at the fifth time; the two clients share connections meanwhile."""
    tenant = scene.tenants[0]
    with scene.connect(tenant) as one, scene.connect(tenant) as other:
        for connection in (one, other):
            connection.prepare_threshold = 0
        for number in range(20):
            for connection in (one, other):
                query = f"SELECT %s::int + {number % 3}"
                assert connection.execute(query.encode(), [number]).fetchone() == (number + number % 3,)
        # What prepared statements are lost by, and are made again after.
        other.execute("DISCARD ALL")
        assert one.execute(b"SELECT %s::int + 0", [4]).fetchone() == (4,)


def test_asyncpg_prepares_and_resets_and_acts_as_the_owner_role(scene: Scene) -> None:
    asyncpg = pytest.importorskip("asyncpg", reason="the Python package asyncpg is not installed")
    tenant = scene.tenants[1]

    async def work() -> None:
        pool = await asyncpg.create_pool(
            host=str(scene.pooler.sockets),
            port=PORT,
            user=tenant.user(),
            password=scene.cluster.passwords[tenant.user()],
            database=tenant.database,
            server_settings={"role": tenant.owner},
            min_size=3,
            max_size=3,
        )

        async def ask(number: int) -> Any:
            async with pool.acquire() as connection:
                # A statement with a name; the pool runs RESET ALL when the connection comes back.
                return await connection.fetchrow("SELECT $1::int AS number, current_user AS role", number)

        rows = await asyncio.gather(*(ask(number) for number in range(30)))
        assert [(row["number"], row["role"]) for row in rows] == [(n, tenant.owner) for n in range(30)]
        await pool.close()

    asyncio.run(work())


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_sqlalchemy_works_with_its_own_pool(scene: Scene, driver: str) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="the Python package SQLAlchemy is not installed")
    pytest.importorskip(driver)
    tenant = scene.tenants[1]
    address = sqlalchemy.URL.create(
        f"postgresql+{driver}",
        tenant.user(),
        scene.cluster.passwords[tenant.user()],
        database=tenant.database,
        query={"host": str(scene.pooler.sockets), "port": str(PORT)},
    )
    statement = sqlalchemy.text("SELECT CAST(:number AS int) AS number, current_user AS role")
    wanted = [(number, tenant.owner) for number in range(10)]
    if driver == "psycopg":
        engine = sqlalchemy.create_engine(address, pool_size=3)
        found = []
        for number in range(10):
            with engine.connect() as connection:
                found += [tuple(row) for row in connection.execute(statement, {"number": number})]
        engine.dispose()
    else:
        found = asyncio.run(_ask_asynchronously(address, statement))
    assert found == wanted


async def _ask_asynchronously(address: Any, statement: Any) -> list[tuple[Any, ...]]:
    engine = importlib.import_module("sqlalchemy.ext.asyncio").create_async_engine(address, pool_size=3)
    found = []
    for number in range(10):
        async with engine.connect() as connection:
            found += [tuple(row) for row in await connection.execute(statement, {"number": number})]
    await engine.dispose()
    return found


def test_an_option_that_would_be_lost_is_refused(scene: Scene) -> None:
    with pytest.raises(
        psycopg.OperationalError, match="unsupported startup parameter in options: statement_timeout"
    ):
        scene.connect(scene.tenants[0], options="-c statement_timeout=5s")
