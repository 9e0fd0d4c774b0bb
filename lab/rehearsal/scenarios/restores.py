"""One church of then beside today's: what each step of `presence360 restore` makes of the plan, and of the account."""

import json
from typing import Any

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
    edit(scene, TENANT, "begin")
    only(scene.change(), ("+", "database_db"))
    expect(databases(scene, TENANT) == {FIRST, SECOND}, f"the databases are {databases(scene, TENANT)}")
    expect(users(scene, TENANT) == {f"{FIRST}_g1"}, f"the users are {users(scene, TENANT)}")
    _refused(scene, "finish")

    for step, served in (("switch", SECOND), ("back", FIRST), ("switch", SECOND)):
        edit(scene, TENANT, step)
        plan = scene.change()
        no_data_lost(plan)
        expect(not plan.of("database_db"), "a database changes")
        signs = sorted(change.sign for change in plan.of("database_user"))
        expect(signs == ["+", "-"], f"the users change so: {signs}")
        is_served(scene, TENANT, served)
    scene.tenant(TENANT, maintenance=None)
    scene.change()

    edit(scene, TENANT, "finish")
    plan = scene.change()
    no_data_lost(plan)
    (moved,) = plan.of("database_db")
    expect("retired" in moved.address and moved.actions == ("no-op",), f"{moved.address} {moved.actions}")
    edit(scene, TENANT, "finish")
    only(scene.change(), ("-", "database_db"))
    expect(databases(scene, TENANT) == {SECOND}, f"the databases are {databases(scene, TENANT)}")
    is_served(scene, TENANT, SECOND)


@scenario(
    "abandon-restore",
    "a restore that nobody wants: the second database is retired and dropped, and the church is not touched",
    lane=LANE,
)
def _abandon(scene: Scene) -> None:
    before = databases(scene, TENANT), users(scene, TENANT)
    for step, changes in (("begin", ["+"]), ("abandon", [">"]), ("abandon", ["-"])):
        edit(scene, TENANT, step)
        plan = scene.change()
        found = [">" if change.previous_address else change.sign for change in plan]
        expect(found == changes, f"{step}: expected {changes}, and the plan has {plan.lines()}")
    expect((databases(scene, TENANT), users(scene, TENANT)) == before, "the church is not as it was")


def edit(scene: Scene, tenant: str, step: str) -> None:
    """Do what a step of `presence360 restore` does of a church."""
    files, name = scene.workspace.folder / "environments", scene.workspace.environment
    edits = {
        "switch": restoring.switch,
        "back": restoring.back,
        "finish": restoring.finish,
        "abandon": restoring.abandon,
    }
    edited: Edited = (
        restoring.begin(files, name, tenant, "newest")
        if step == "begin"
        else edits[step](files, name, tenant)
    )
    scene.workspace.write_lock()
    scene.say(f"{step}: {edited.said[0]}")


def _refused(scene: Scene, step: str) -> None:
    try:
        edit(scene, TENANT, step)
    except RefusedError as error:
        scene.say(f"{step} is refused: {str(error).splitlines()[0].rpartition(': ')[2]}")
    else:
        raise UnexpectedError(f"{step} was not refused")


def is_served(scene: Scene, tenant: str, database: str) -> dict[str, Any]:
    """Check that services are given one database and its user, and no other has a user; return the credentials."""
    given: dict[str, Any] = json.loads(read_object(scene, "tenant-credentials", f"tenants/{tenant}.json"))
    user = f"{database}_g1"
    found = {key: given[key] for key in ("database", "user", "role")}
    expect(
        found == {"database": database, "user": user, "role": f"{database}_owner"},
        f"the credentials say {found}",
    )
    expect(users(scene, tenant) == {user}, f"the users are {users(scene, tenant)}")
    entry = json.loads(read_object(scene, "tenant-registry", f"tenants/{tenant}.json"))
    expect(entry["database"] == database, f"the directory says {entry['database']}")
    return given


def databases(scene: Scene, tenant: str) -> set[str]:
    """Return the names of a church's databases, in all clusters."""
    return _named(scene, "_databases", f"tenant_{tenant}")


def users(scene: Scene, tenant: str) -> set[str]:
    """Return the names of the users of a church's databases, in all clusters."""
    return _named(scene, "_users", f"tenant_{tenant}")


def _named(scene: Scene, part: str, begin: str) -> set[str]:
    clusters = scene.cloud.state()["clusters"]
    return {name for cluster in clusters for name in cluster[part] if name.startswith(begin)}
