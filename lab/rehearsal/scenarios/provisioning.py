"""A church begins: from its entry in tenants.yaml to a row in its own database, on a real Postgres, each step timed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lab.control_droplet import ControlDroplet
from lab.rehearsal.errors import UnexpectedError, expect
from lab.rehearsal.scene import Scene, Stopwatch, scenario
from lab.rehearsal.tenants_databases import (
    connect,
    control_droplet,
    credentials_of,
    fetch,
    missing,
    read_object,
)

TENANT = "00000000-0000-4000-8000-0000000000bb"
SLUG = "new-church"
DATABASE = f"tenant_{TENANT}"
OWNER, USER = f"{DATABASE}_owner", f"{DATABASE}_g1"

EXPECTED_SECONDS = 120
"""What a church waits at most for its schema once its database is there (docs/migrations.md)."""
TIMER_SECONDS = 60 + 30
"""Isolation comes each minute, migrations each half minute (their timers)."""


@dataclass
class _Steps:
    """How long each step took, by its name."""

    took: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        watch = Stopwatch()
        yield
        self.took[name] = watch.seconds


@scenario(
    "provisioning",
    "a church's entry becomes a database, a schema, credentials and a host name; its user reaches nothing else",
    lane="isolation",
    fresh=True,
    postgres=True,
)
def _provisioning(scene: Scene) -> None:
    if lacking := "".join(missing(scene)):
        scene.say(f"not run: {lacking}")
        return
    droplet = control_droplet(scene, "provisioning-droplet")
    _those_before(droplet)
    steps, since = _Steps(), len(scene.cloud.calls())
    with steps.step("entry, plan"):
        scene.workspace.edit_tenants(
            lambda tenants: tenants.append({"id": TENANT, "slug": SLUG, "name": "New Church"})
        )
        plan = scene.plan()
    with steps.step("apply, guard and second plan"):
        scene.apply(plan)
    _by_the_api(scene, since, steps)
    with steps.step("fetch"):
        fetch(scene, droplet)
    with steps.step("route"):
        expect(SLUG in droplet.slugs(), f"nginx does not know {SLUG}")
    login = _published(scene)
    _not_before_isolation(login, droplet)
    with steps.step("isolation"):
        ended = droplet.isolate()
        expect(ended.returncode == 0, f"the isolation job failed:\n{ended.stdout}")
    with steps.step("schema"):
        ended = droplet.migrate()
        expect(ended.returncode == 0, f"the migrations failed:\n{ended.stdout}")
    said = droplet.told("migrations.json")
    expect(said["state"] == "done", f"migrations: {said['reason']}")
    with steps.step("credentials, first row"):
        _works(login, droplet)
    refused = _reaches_nothing_else(scene, login, droplet)
    for name, seconds in steps.took.items():
        scene.say(f"{name}: {seconds:.1f} s")
    ours = steps.took["isolation"] + steps.took["schema"] + TIMER_SECONDS
    expect(ours < EXPECTED_SECONDS, f"a church has its schema {ours:.0f} s after its database")
    scene.say(f"within {ours:.0f} s of its database, timers included, the church has its schema")
    scene.say(f"its user does its own work; {refused} attempts on what is not its own are refused")


def _those_before(droplet: ControlDroplet) -> None:
    """Isolate and migrate the churches that are there, so that what follows is the new one's alone."""
    for ended in (droplet.isolate(), droplet.migrate()):
        expect(ended.returncode == 0, f"it failed for the churches that were there:\n{ended.stdout}")


def _by_the_api(scene: Scene, since: int, steps: _Steps) -> None:
    """Note what the API and Spaces took for what is the church's own, and check that it is all there."""
    made = [
        call
        for call in scene.cloud.calls(since)
        if call.method in {"POST", "PUT"} and call.status in {200, 201}
    ]
    for name, wanted in (
        ("database", lambda call: call.route.endswith("/dbs") and call.subject == DATABASE),
        ("user", lambda call: call.route.endswith("/users") and call.subject == USER),
        ("credentials' object", lambda call: "tenant-credentials" in call.path and TENANT in call.path),
        ("directory's entry", lambda call: "tenant-registry" in call.path and TENANT in call.path),
        ("list of host names", lambda call: call.path.endswith("/tenants.json")),
    ):
        found = [call.seconds for call in made if wanted(call)]
        expect(bool(found), f"nothing made the {name}: {sorted({call.route for call in made})}")
        steps.took[f"{name}, by the API"] = max(found)


def _published(scene: Scene) -> Mapping[str, Any]:
    """Return the church's credentials, as the tenant plane reads them; check them and the directory's entry."""
    login = credentials_of(scene)[DATABASE]
    expect((login["user"], login["role"]) == (USER, OWNER), f"the credentials are {login['user']}'s")
    entry = json.loads(read_object(scene, "tenant-registry", f"tenants/{TENANT}.json"))
    told = {name: entry[name] for name in ("id", "slug", "database", "status")}
    wanted = {"id": TENANT, "slug": SLUG, "database": DATABASE, "status": "active"}
    expect(told == wanted, f"the directory says {told}")
    expect(login["password"] not in json.dumps(entry), "the directory has the password")
    return login


def _not_before_isolation(login: Mapping[str, Any], droplet: ControlDroplet) -> None:
    """Check that a service cannot work in the database before it is isolated: its role is not there."""
    import psycopg  # noqa: PLC0415  (only scenarios with Postgres need it)

    try:
        connect(login, droplet, database=DATABASE, options=login["options"]).close()
    except psycopg.OperationalError as error:
        expect(f'role "{OWNER}" does not exist' in str(error), f"refused for another reason: {error}")
    else:
        raise UnexpectedError("the owner role was there before the isolation job")


def _works(login: Mapping[str, Any], droplet: ControlDroplet) -> None:
    """Do what a service does with the credentials: in the schema that the release brought, and in a new table."""
    with connect(login, droplet, database=DATABASE, options=login["options"]) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        expect(revision == "0003", f"the schema is at {revision}")
        connection.execute("INSERT INTO people (name, email) VALUES ('Ama', 'ama@example.org')")
        found = connection.execute("SELECT name FROM people").fetchall()
        expect(found == [("Ama",)], f"what was written is not read: {found}")
        for statement in (
            "UPDATE people SET name = 'Ama Mensah'",
            "CREATE TABLE visits (person int REFERENCES people)",
            "ALTER TABLE visits ADD COLUMN day date",
            "CREATE INDEX CONCURRENTLY visits_day ON visits (day)",
            "DROP TABLE visits",
            "DELETE FROM people",
        ):
            connection.execute(statement)
        owners = connection.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        expect(owners == [(OWNER,)], f"tables belong to {owners}")


def _reaches_nothing_else(scene: Scene, login: Mapping[str, Any], droplet: ControlDroplet) -> int:
    """Try what is not the church's own, as its user and in its role; return how many attempts were refused."""
    import psycopg  # noqa: PLC0415

    refused = 0
    # Other clusters are other servers; this one has what is named here.
    here = {name for name, one in credentials_of(scene).items() if one["port"] == login["port"]}
    others = sorted({*here, "control_plane", "defaultdb"} - {DATABASE})
    for other in others:
        try:
            connect(login, droplet, database=other, options="").close()
        except psycopg.OperationalError as error:
            expect(
                "permission denied for database" in str(error),
                f"{other}: refused for another reason: {error}",
            )
            refused += 1
        else:
            raise UnexpectedError(f"{USER} reaches {other}")
    neighbour = next(other for other in others if other.startswith("tenant_"))
    for options in ("", login["options"]):
        with connect(login, droplet, database=DATABASE, options=options) as connection:
            for statement in (
                "CREATE ROLE mine LOGIN",
                f'ALTER ROLE "{USER}" CREATEDB',
                "CREATE DATABASE mine",
                f'ALTER DATABASE "{DATABASE}" RENAME TO mine',
                f'DROP DATABASE "{neighbour}"',
                f'COMMENT ON DATABASE "{DATABASE}" IS NULL',
                f'SET ROLE "{neighbour}_owner"',
                f'GRANT "{neighbour}_access" TO "{USER}"',
                "SET ROLE doadmin",
                "SET SESSION AUTHORIZATION doadmin",
                "CREATE SCHEMA mine",
                "CREATE EXTENSION postgres_fdw WITH SCHEMA public",
                "CREATE TABLE extensions.mine ()",
                "SELECT rolpassword FROM pg_authid",
                "SELECT pg_read_file('/etc/passwd')",
                "COPY (SELECT 1) TO PROGRAM 'true'",
                "ALTER SYSTEM SET work_mem = '1GB'",
            ):
                try:
                    connection.execute(statement)
                except (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported):
                    refused += 1
                except psycopg.Error as error:
                    raise UnexpectedError(f"{statement}: refused for another reason: {error}") from None
                else:
                    raise UnexpectedError(f"{USER} may: {statement}")
    return refused
