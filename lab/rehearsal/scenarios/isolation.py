"""The whole path of a tenant's credentials: Terraform, the API, a real Postgres, the bucket, the isolation job."""

from collections.abc import Iterator, Mapping
from typing import Any

from lab.control_droplet import ControlDroplet
from lab.rehearsal.errors import expect
from lab.rehearsal.runner import first_apply
from lab.rehearsal.scene import Scene, scenario
from lab.rehearsal.tenants_databases import connect, control_droplet, credentials_of, missing


@scenario(
    "isolation",
    "on a real Postgres, each tenant's published credentials reach its own database and no other",
    lane="isolation",
    fresh=True,
    postgres=True,
)
def _isolation(scene: Scene) -> None:
    if lacking := "".join(missing(scene)):
        scene.say(f"not run: {lacking}")
        return
    first_apply(scene)
    droplet = control_droplet(scene, "isolation-droplet")
    open_before = sum(1 for _ in _crossings(scene, droplet))
    expect(open_before > 0, "the API was expected to leave databases open to every user")
    scene.say(
        f"before the isolation job, {open_before} attempts with tenants' logins reach another tenant's database"
    )
    ended = droplet.isolate()
    expect(ended.returncode == 0, f"the isolation job failed:\n{ended.stdout}")
    crossings = list(_crossings(scene, droplet))
    expect(not crossings, f"after the isolation job: {crossings}")
    own = [_works(credentials, droplet) for credentials in credentials_of(scene).values()]
    scene.say(
        f"after it none does; {len(own)} tenants create and read tables in their own databases: {own[0]}"
    )


def _crossings(scene: Scene, droplet: ControlDroplet) -> Iterator[str]:
    """Try every tenant's login on every other tenant's database; return what succeeds."""
    import psycopg  # noqa: PLC0415

    credentials = credentials_of(scene)
    for own, login in credentials.items():
        for other in credentials:
            if other == own:
                continue
            try:
                connect(login, droplet, database=other, options="").close()
            except psycopg.OperationalError as error:
                expect("permission denied for database" in str(error), f"refused for another reason: {error}")
            else:
                yield f"{login['user']} reaches {other}"


def _works(credentials: Mapping[str, Any], droplet: ControlDroplet) -> str:
    """Create, write and read in a tenant's own database as its credentials say; return whose the table is."""
    with connect(
        credentials, droplet, database=credentials["database"], options=credentials["options"]
    ) as connection:
        connection.execute("CREATE TABLE people (name text)")
        connection.execute("INSERT INTO people VALUES ('Ama')")
        expect(
            connection.execute("SELECT name FROM people").fetchall() == [("Ama",)],
            "what was written is not read",
        )
        owner = connection.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'people'").fetchone()[
            0
        ]
        # What is here belongs to migrations from now on.
        connection.execute("DROP TABLE people")
    expect(owner == credentials["role"], f"the table is {owner}'s")
    return f"a table of {owner}"
