"""Each address in each client: it connects over TLS, and with a wrong certificate it does not."""

import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.clients.conftest import Run, Servers, node_command, python_command, run_all
from tests.clients.pages import snippets

VALKEY, CONTROL = "VALKEY_URL", "CONTROL_PLANE_DATABASE_URL"
CHURCH = "credentials"
SITUATIONS = ("right", "other-name", "stranger")

# That TLS is used shows where the certificate is wrong: the server would take a connection without it as well.
SQL = "SELECT current_user || ' ' || (1 = 1) AS answer"
ROLE = "SELECT current_user || ' ' || ('A'::citext = 'a') AS answer"
_ASYNC = "import asyncio\nanswer = asyncio.run(ask())\n"


def _sqlalchemy(query: str) -> str:
    query = query.replace("::", r"\\:\\:")
    return (
        "from sqlalchemy import text\nwith engine.connect() as opened:\n"
        f'    answer = opened.execute(text("{query}")).scalar()\n'
    )


def _sqlalchemy_async(query: str, engine: str = "engine") -> str:
    query = query.replace("::", r"\\:\\:")
    return (
        f"from sqlalchemy import text\nasync def ask():\n    async with {engine}.connect() as opened:\n"
        f'        return (await opened.execute(text("{query}"))).scalar()\n{_ASYNC}'
    )


def _psycopg(query: str) -> str:
    return f'answer = connection.execute("{query}").fetchone()[0]\nconnection.close()\n'


def _asyncpg(query: str) -> str:
    return (
        "async def ask():\n    opened = await connect()\n"
        f'    try:\n        return await opened.fetchval("{query}")\n'
        f"    finally:\n        await opened.close()\n{_ASYNC}"
    )


def _node_postgres(query: str, name: str) -> str:
    return f'const [{{ answer }}] = (await {name}.query("{query}")).rows;\nawait {name}.end();\n'


def _prisma(query: str) -> str:
    return f'const [{{ answer }}] = await prisma.$queryRawUnsafe("{query}");\nawait prisma.$disconnect();\n'


PYTHON: Mapping[str, tuple[str, str]] = {
    "redis-py": (VALKEY, "answer = valkey.ping()\n"),
    "redis-asyncio": (VALKEY, f"async def ask():\n    return await valkey.ping()\n{_ASYNC}"),
    "kombu": (VALKEY, "answer = connection.channel().client.ping()\n"),
    "celery:broker": (VALKEY, "answer = app.connection_for_write().channel().client.ping()\n"),
    "celery:backend": (VALKEY, "answer = app.backend.client.ping()\n"),
    "psycopg": (CONTROL, _psycopg(SQL)),
    "asyncpg": (CONTROL, _asyncpg(SQL)),
    "sqlalchemy-psycopg": (CONTROL, _sqlalchemy(SQL)),
    "sqlalchemy-psycopg-async": (CONTROL, _sqlalchemy_async(SQL)),
    "sqlalchemy-asyncpg": (CONTROL, _sqlalchemy_async(SQL)),
    "direct-psycopg": (CHURCH, _psycopg(SQL)),
    "direct-asyncpg": (CHURCH, _asyncpg(SQL)),
}
NODE: Mapping[str, tuple[str, str]] = {
    "ioredis": (
        VALKEY,
        # ioredis tries again for ever, and tells why in an event.
        "let why;\nvalkey.on('error', (error) => { why ??= error; });\n"
        "const answer = await Promise.race([valkey.ping(),"
        " new Promise((_, no) => { const look = setInterval(() => why && (clearInterval(look), no(why)), 20); })]);\n"
        "valkey.disconnect();\n",
    ),
    "node-redis": (
        VALKEY,
        "valkey.on('error', () => valkey.destroy());\nlet why;\nvalkey.on('error', (error) => { why ??= error; });\n"
        "const answer = await valkey.connect().then(() => valkey.ping()).catch((error) => { throw why ?? error; });\n"
        "valkey.destroy();\n",
    ),
    "node-postgres": (CONTROL, _node_postgres(SQL, "pool")),
    "prisma": (CONTROL, _prisma(SQL)),
    "direct-node-postgres": (CHURCH, "await client.connect();\n" + _node_postgres(SQL, "client")),
}
THROUGH_THE_POOL: Mapping[str, tuple[str, str]] = {
    "pool-psycopg": (CHURCH, _psycopg(ROLE)),
    "pool-asyncpg": (CHURCH, _asyncpg(ROLE)),
    "pool-sqlalchemy": (CHURCH, _sqlalchemy(ROLE)),
    "pool-sqlalchemy:async": (CHURCH, _sqlalchemy_async(ROLE, "async_engine")),
}
THROUGH_THE_POOL_FROM_NODE: Mapping[str, tuple[str, str]] = {
    "pool-node-postgres": (CHURCH, _node_postgres(ROLE, "pool")),
    "pool-prisma": (CHURCH, _prisma(ROLE)),
}
REFUSED = re.compile(r"certificate|altnames|SSL error|signature failure", re.IGNORECASE)
_PYTHON_CREDENTIALS = 'import json, os\ncredentials = json.loads(os.environ["CREDENTIALS"])\n'
_NODE_CREDENTIALS = "const credentials = JSON.parse(process.env.CREDENTIALS);\n"


def _runs(
    table: Mapping[str, tuple[str, str]],
    servers: Servers,
    variables: Mapping[str, str],
    situations: tuple[str, ...] = SITUATIONS,
) -> list[Run]:
    found = []
    for situation in situations:
        host = servers.other if situation == "other-name" else servers.address
        stranger = servers.stranger.read_text(encoding="utf-8")
        credentials = {**servers.credentials, "host": host}
        if situation == "stranger":
            credentials["ca"] = stranger
        given = {
            name: value.replace(f"@{servers.address}:", f"@{host}:") for name, value in variables.items()
        }
        given |= {"CREDENTIALS": json.dumps(credentials)}
        found += [
            Run(f"{name.replace(':', '-')}.{situation}", name.partition(":")[0], probe, given)
            for name, (_, probe) in table.items()
        ]
    return found


def _expected(where: str, servers: Servers) -> object:
    return {VALKEY: None, CONTROL: "control_plane_owner true", CHURCH: f"{servers.tenant.owner} true"}[where]


def _check(
    said: Mapping[str, dict[str, Any]], table: Mapping[str, tuple[str, str]], servers: Servers
) -> None:
    wrong = []
    for name, (where, _) in table.items():
        key = name.replace(":", "-")
        right = said[f"{key}.right"]
        answer, expected = right.get("answer"), _expected(where, servers)
        if (answer not in (True, "PONG")) if expected is None else (answer != expected):
            wrong.append((key, "right", right))
        wrong += [
            (key, situation, outcome)
            for situation in SITUATIONS[1:]
            if (outcome := said.get(f"{key}.{situation}")) is not None
            and not REFUSED.search(str(outcome.get("error", "")))
        ]
    assert not wrong, "\n".join(map(str, wrong))


def _split(runs: list[Run], servers: Servers, command: list[str]) -> dict[str, dict[str, Any]]:
    """Run each situation in a process of its own, all at once: clients mostly wait before they give up."""

    def one(situation: str) -> dict[str, dict[str, Any]]:
        authority = servers.stranger if situation == "stranger" else servers.authority
        return run_all([run for run in runs if run.name.endswith(f".{situation}")], authority, command)

    with ThreadPoolExecutor() as pool:
        said = pool.map(one, SITUATIONS)
    return {name: outcome for part in said for name, outcome in part.items()}


@pytest.fixture(autouse=True)
def _with_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snippets that take `credentials` find them where the page says they were read."""
    blocks = snippets()

    def given() -> dict[str, Any]:
        return {
            name: type(block)(
                block.language,
                (_PYTHON_CREDENTIALS if block.language == "python" else _NODE_CREDENTIALS) + block.code
                if name.startswith(("pool-", "direct-"))
                else block.code,
            )
            for name, block in blocks.items()
        }

    monkeypatch.setattr("tests.clients.conftest.snippets", given)


def test_pythons_clients_check_the_certificate_and_its_name(
    servers: Servers, variables: Mapping[str, str], python: Path
) -> None:
    runs = _runs(PYTHON, servers, variables)
    _check(_split(runs, servers, python_command(python)), PYTHON, servers)


def test_nodes_clients_check_the_certificate_and_its_name(
    servers: Servers, variables: Mapping[str, str], node: Path, tmp_path: Path
) -> None:
    runs = _runs(NODE, servers, variables)
    _check(_split(runs, servers, node_command(node, tmp_path)), NODE, servers)


def test_the_pool_serves_pythons_clients_as_the_owner_role_with_extensions(
    servers: Servers, variables: Mapping[str, str], python: Path
) -> None:
    runs = _runs(THROUGH_THE_POOL, servers, variables, ("right",))
    _check(run_all(runs, servers.authority, python_command(python)), THROUGH_THE_POOL, servers)


def test_the_pool_serves_nodes_clients_as_the_owner_role_with_extensions(
    servers: Servers, variables: Mapping[str, str], node: Path, tmp_path: Path
) -> None:
    runs = _runs(THROUGH_THE_POOL_FROM_NODE, servers, variables, ("right",))
    said = run_all(runs, servers.authority, node_command(node, tmp_path))
    _check(said, THROUGH_THE_POOL_FROM_NODE, servers)


def test_the_page_tries_every_snippet_that_connects() -> None:
    connecting = {
        name for table in (PYTHON, NODE, THROUGH_THE_POOL, THROUGH_THE_POOL_FROM_NODE) for name in table
    }
    elsewhere = {"schema.prisma", "read-credentials", "worker", "limit", "files", "upload"}
    assert set(snippets()) == {name.partition(":")[0] for name in connecting} | elsewhere


def test_pythons_clients_take_a_certificate_of_the_systems_authorities_as_well(
    servers: Servers, variables: Mapping[str, str], python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who signs Valkey's certificate is not documented: here it is an authority that only the system knows."""
    table = {name: entry for name, entry in PYTHON.items() if entry[0] == VALKEY}
    runs = _runs(table, servers, variables, ("right",))
    refused = run_all(runs, servers.stranger, python_command(python))
    assert all(REFUSED.search(outcome["error"]) for outcome in refused.values()), refused
    monkeypatch.setenv("SSL_CERT_FILE", str(servers.authority))
    _check(run_all(runs, servers.stranger, python_command(python)), table, servers)


def test_the_owner_role_makes_tables_and_no_schemas_or_extensions(servers: Servers) -> None:
    with servers.cluster.as_tenant(servers.tenant) as connection:
        connection.execute("CREATE TABLE made (name citext)")
        connection.execute("DROP TABLE made")
        for statement in (
            "CREATE SCHEMA reports",
            "CREATE EXTENSION hstore",
            "CREATE EXTENSION IF NOT EXISTS pg_trgm",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
                connection.execute(statement.encode())
