"""One church of then beside today's: what each step of `presence360 restore` makes of the plan, and of the account."""

import json

from lab.rehearsal.errors import UnexpectedError, expect
from lab.rehearsal.scenarios.tenants import no_data_lost, only
from lab.rehearsal.scene import Scene, scenario
from lab.rehearsal.tenants_databases import read_object
from ops import restoring
from ops.edits import Edited
from ops.refused import RefusedError

LANE = "restores"
TENANT = "00000000-0000-4000-8000-0000000000cc"
FIRST, SECOND = f"tenant_{TENANT}", f"tenant_{TENANT}_r2"


@scenario(
    "restore-tenant",
    "a dump is restored beside a church's database: a second one is made, serves, and the first is retired and dropped",
    lane=LANE,
)
def _restore(scene: Scene) -> None:
    entry = {"id": TENANT, "slug": "restored", "name": "Restored Church"}
    scene.workspace.edit_tenants(lambda tenants: tenants.append(entry))
    scene.change()
    _refused(scene, "switch")
    _edit(scene, "begin")
    only(scene.change(), ("+", "database_db"))
    expect(_databases(scene) == {FIRST, SECOND}, f"the databases are {_databases(scene)}")
    expect(_users(scene) == {f"{FIRST}_g1"}, f"the users are {_users(scene)}")
    _refused(scene, "finish")

    for step, served in (("switch", SECOND), ("back", FIRST), ("switch", SECOND)):
        _edit(scene, step)
        plan = scene.change()
        no_data_lost(plan)
        expect(not plan.of("database_db"), "a database changes")
        signs = sorted(change.sign for change in plan.of("database_user"))
        expect(signs == ["+", "-"], f"the users change so: {signs}")
        _is_served(scene, served)
    scene.tenant(TENANT, maintenance=None)
    scene.change()

    _edit(scene, "finish")
    plan = scene.change()
    no_data_lost(plan)
    (moved,) = plan.of("database_db")
    expect("retired" in moved.address and moved.actions == ("no-op",), f"{moved.address} {moved.actions}")
    _edit(scene, "finish")
    only(scene.change(), ("-", "database_db"))
    expect(_databases(scene) == {SECOND}, f"the databases are {_databases(scene)}")
    _is_served(scene, SECOND)


@scenario(
    "abandon-restore",
    "a restore that nobody wants: the second database is retired and dropped, and the church is not touched",
    lane=LANE,
)
def _abandon(scene: Scene) -> None:
    before = _databases(scene), _users(scene)
    for step, changes in (("begin", ["+"]), ("abandon", [">"]), ("abandon", ["-"])):
        _edit(scene, step)
        plan = scene.change()
        found = [">" if change.previous_address else change.sign for change in plan]
        expect(found == changes, f"{step}: expected {changes}, and the plan has {plan.lines()}")
    expect((_databases(scene), _users(scene)) == before, "the church is not as it was")


def _edit(scene: Scene, step: str) -> None:
    """Do what the command does."""
    files, name = scene.workspace.folder / "environments", scene.workspace.environment
    edits = {
        "switch": restoring.switch,
        "back": restoring.back,
        "finish": restoring.finish,
        "abandon": restoring.abandon,
    }
    edited: Edited = (
        restoring.begin(files, name, TENANT, "newest")
        if step == "begin"
        else edits[step](files, name, TENANT)
    )
    scene.workspace.write_lock()
    scene.say(f"{step}: {edited.said[0]}")


def _refused(scene: Scene, step: str) -> None:
    try:
        _edit(scene, step)
    except RefusedError as error:
        scene.say(f"{step} is refused: {str(error).splitlines()[0].rpartition(': ')[2]}")
    else:
        raise UnexpectedError(f"{step} was not refused")


def _is_served(scene: Scene, database: str) -> None:
    """Check that the services are given one database and its user, and that no other has a user."""
    given = json.loads(read_object(scene, "tenant-credentials", f"tenants/{TENANT}.json"))
    user = f"{database}_g1"
    found = {key: given[key] for key in ("database", "user", "role")}
    expect(
        found == {"database": database, "user": user, "role": f"{database}_owner"},
        f"the credentials say {found}",
    )
    expect(_users(scene) == {user}, f"the users are {_users(scene)}")
    entry = json.loads(read_object(scene, "tenant-registry", f"tenants/{TENANT}.json"))
    expect(entry["database"] == database, f"the directory says {entry['database']}")


def _databases(scene: Scene) -> set[str]:
    clusters = scene.cloud.state()["clusters"]
    return {name for cluster in clusters for name in cluster["_databases"] if name.startswith(FIRST)}


def _users(scene: Scene) -> set[str]:
    clusters = scene.cloud.state()["clusters"]
    return {name for cluster in clusters for name in cluster["_users"] if name.startswith(FIRST)}
