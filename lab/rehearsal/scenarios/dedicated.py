"""A church with a cluster of its own is restored in it: Terraform, the API, real Postgres servers, a droplet's jobs."""

from typing import Any

from lab.control_droplet import ControlDroplet
from lab.opened_dump import opened_dump
from lab.rehearsal.errors import expect
from lab.rehearsal.scenarios.cells import CLUSTER
from lab.rehearsal.scenarios.restores import databases, edit, is_served, users
from lab.rehearsal.scenarios.tenants import no_data_lost, only
from lab.rehearsal.scene import Scene, Stopwatch, scenario
from lab.rehearsal.tenants_databases import connect, control_droplet, fetch, missing

TENANT = "00000000-0000-4000-8000-0000000000dd"
FIRST, SECOND = f"tenant_{TENANT}", f"tenant_{TENANT}_r2"
ROWS = 2000


@scenario(
    "restore-dedicated",
    "a church with a cluster of its own loses rows, and a dump is restored, compared and served in that cluster",
    lane="isolation",
    fresh=True,
    postgres=True,
)
def _restore(scene: Scene) -> None:
    if lacking := "".join(missing(scene)):
        scene.say(f"not run: {lacking}")
        return
    entry = {"id": TENANT, "slug": "large", "name": "Large Church", "tier": "dedicated", "dedicated": CLUSTER}
    scene.workspace.edit_tenants(lambda tenants: tenants.append(entry))
    scene.change()
    droplet = control_droplet(scene, "dedicated-droplet")
    _visit(droplet)
    stream = _dumped_and_lost(scene, droplet)
    seconds = _begun_and_filled(scene, droplet, stream)
    login = _switched(scene, droplet)
    _finished(scene)
    fetch(scene, droplet)
    _visit(droplet)
    expect(_count(login, droplet) == ROWS, "rows are gone with the old database")
    scene.say(f"{ROWS} rows were restored and compared in {seconds:.1f} s, in the church's own cluster")


def _dumped_and_lost(scene: Scene, droplet: ControlDroplet) -> bytes:
    """Write rows as the church does, dump them, and delete some; return the dump."""
    login = is_served(scene, TENANT, FIRST)
    _write(login, droplet, "INSERT INTO people (name) SELECT 'member ' || n FROM generate_series(1, %s) AS n")
    stream = opened_dump(droplet.configurations, TENANT, FIRST)
    _write(login, droplet, "DELETE FROM people WHERE id %% 4 = 0 AND id <= %s")
    return stream


def _begun_and_filled(scene: Scene, droplet: ControlDroplet, stream: bytes) -> float:
    """Make the second database in the church's own cluster, and fill it there; return how long that took."""
    edit(scene, TENANT, "begin")
    plan = scene.change()
    only(plan, ("+", "database_db"))
    (made,) = plan.of("database_db")
    expect(
        "dedicated_restored" in made.address and SECOND.removeprefix("tenant_") in made.address, made.address
    )
    expect(_cluster_of(scene, SECOND) == _cluster_of(scene, FIRST), "they are in two clusters")
    fetch(scene, droplet)
    _visit(droplet)
    watch = Stopwatch()
    _fill(scene, droplet, stream)
    seconds = watch.seconds
    said = _ran(droplet, "compare", SECOND, FIRST, "--in", TENANT)
    lost = ["public.people", str(ROWS), str(ROWS - ROWS // 4), str(ROWS // 4), "0", "0"]
    expect(lost in [line.split() for line in said.splitlines()], f"what differs: {said}")
    is_served(scene, TENANT, FIRST)
    return seconds


def _switched(scene: Scene, droplet: ControlDroplet) -> dict[str, Any]:
    """Serve what was restored; return the credentials."""
    edit(scene, TENANT, "switch")
    plan = scene.change()
    no_data_lost(plan)
    expect(not plan.of("database_db", "database_cluster"), "a database or a cluster changes")
    fetch(scene, droplet)
    _visit(droplet)
    login = is_served(scene, TENANT, SECOND)
    expect(_count(login, droplet) == ROWS, f"{_count(login, droplet)} of {ROWS} rows are served")
    scene.tenant(TENANT, maintenance=None)
    scene.change()
    return login


def _finished(scene: Scene) -> None:
    """Give the old database up, in two steps; the cluster stays."""
    edit(scene, TENANT, "finish")
    plan = scene.change()
    no_data_lost(plan)
    (moved,) = plan.of("database_db")
    expect(
        "dedicated_retired" in moved.address and moved.actions == ("no-op",),
        f"{moved.address} {moved.actions}",
    )
    edit(scene, TENANT, "finish")
    only(scene.change(), ("-", "database_db"))
    expect(databases(scene, TENANT) == {SECOND}, f"the databases are {databases(scene, TENANT)}")
    expect(users(scene, TENANT) == {f"{SECOND}_g1"}, f"the users are {users(scene, TENANT)}")


def _visit(droplet: ControlDroplet) -> None:
    """Run isolation and migrations once, as their timers do."""
    for ended in (droplet.isolate(), droplet.migrate()):
        expect(ended.returncode == 0, f"a job failed:\n{ended.stdout}")
    said = droplet.told("migrations.json")
    expect(said["state"] == "done", f"migrations: {said['reason']}")


def _fill(scene: Scene, droplet: ControlDroplet, stream: bytes) -> None:
    """Restore into the second database; in another cluster there is none."""
    names: list[str] = []
    scene.workspace.edit(lambda document: names.append(document["postgres"]["tenants"]))
    refused = droplet.by_hand("restore", SECOND, "--to", names[0], given=stream)
    expect(refused.returncode == 2, f"in {names[0]} it was not refused")  # noqa: PLR2004  (droplet/by_hand.py)
    said = _ran(droplet, "restore", SECOND, "--to", TENANT, given=stream)
    expect(f"same: public.people: {ROWS} rows" in said, f"restored: {said}")


def _ran(droplet: ControlDroplet, program: str, *arguments: str, given: bytes = b"") -> str:
    done = droplet.by_hand(program, *arguments, given=given)
    expect(done.returncode == 0, f"{program} failed:\n{done.stdout.decode()}\n{done.stderr.decode()}")
    return done.stdout.decode()


def _write(login: dict[str, Any], droplet: ControlDroplet, statement: str) -> None:
    with connect(login, droplet, database=login["database"], options=login["options"]) as connection:
        connection.execute(statement, [ROWS])


def _count(login: dict[str, Any], droplet: ControlDroplet) -> int:
    with connect(login, droplet, database=login["database"], options=login["options"]) as connection:
        (number,) = connection.execute("SELECT count(*) FROM people").fetchone()
    return int(number)


def _cluster_of(scene: Scene, database: str) -> str:
    (name,) = (one["name"] for one in scene.cloud.state()["clusters"] if database in one["_databases"])
    return str(name)
