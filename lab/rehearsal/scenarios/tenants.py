"""The life of a church: it is added, renamed, suspended, retired and removed."""

from typing import Any

from lab.rehearsal.changes import DATABASES, Plan
from lab.rehearsal.errors import UnexpectedError, expect
from lab.rehearsal.judged import check
from lab.rehearsal.scene import Scene, scenario
from lab.rehearsal.workspace import lift_protection
from model.errors import InvalidInputError
from ops.rotate import rotate

LANE = "tenants"
# A tenant of the rehearsal: the environment's own tenants stay as they are.
TENANT = "00000000-0000-4000-8000-0000000000aa"
SLUG, OTHER_SLUG, NAME = "rehearsal", "rehearsed", "Rehearsal Church"
ENTRY: dict[str, Any] = {"id": TENANT, "slug": SLUG, "name": NAME}
CREDENTIALS_BUCKET, REGISTRY_BUCKET = "tenant-credentials/", "tenant-registry/"

# What a tenant has: its database, its user, its credentials, its entry in the directory.
OWN = ("database_db", "database_user", "spaces_bucket_object")
SHARED_BY_ALL = (
    "droplet",
    "droplet_autoscale",
    "loadbalancer",
    "firewall",
    "record",
    "domain",
    "certificate",
    "vpc",
)


def only(plan: Plan, *wanted: tuple[str, str]) -> None:
    """Check that a plan has exactly these changes, as (sign, kind)."""
    found = sorted((change.sign, change.short_kind) for change in plan if not change.previous_address)
    expect(found == sorted(wanted), f"expected {sorted(wanted)}, and the plan has {found}")


def no_data_lost(plan: Plan) -> None:
    """Check that a plan deletes nothing that holds data, and changes nothing that all tenants share."""
    lost = [change.address for change in plan.of(*DATABASES, "spaces_bucket") if change.deletes]
    expect(not lost, f"data would be lost: {lost}")
    others = [change.address for change in plan.of(*SHARED_BY_ALL)]
    expect(not others, f"what all tenants share would change: {others}")


@scenario(
    "add-tenant",
    "a church is added: its own four resources are made, nginx learns its host name, and nothing else changes",
    lane=LANE,
)
def _add(scene: Scene) -> None:
    scene.workspace.edit_tenants(lambda tenants: tenants.append(dict(ENTRY)))
    plan = scene.change()
    only(
        plan,
        ("+", "database_db"),
        ("+", "database_user"),
        ("+", "spaces_bucket_object"),
        ("+", "spaces_bucket_object"),
        # The list of slugs, and the manifest of its bucket.
        ("~", "spaces_bucket_object"),
        ("~", "spaces_bucket_object"),
    )
    expect(
        all(TENANT in change.address for change in plan if change.sign == "+"),
        "something of another tenant is made",
    )


@scenario(
    "remove-active",
    "an entry is removed without being retired: the lock, Terraform and the guard refuse it",
    lane=LANE,
)
def _remove_active(scene: Scene) -> None:
    workspace = scene.workspace
    try:
        workspace.edit_tenants(_without)
    except InvalidInputError as error:
        scene.say("the lock: " + str(error).splitlines()[0].partition(": ")[2])
    else:
        raise UnexpectedError("the lock did not refuse to remove an active tenant")
    # If the lock's line is deleted as well, Terraform refuses.
    lock = workspace.folder / "environments" / workspace.environment / "tenants.lock"
    kept = lock.read_text(encoding="utf-8")
    lock.write_text(
        "".join(line for line in kept.splitlines(keepends=True) if TENANT not in line), encoding="utf-8"
    )
    workspace.synthesize()
    reason = scene.terraform().refused()
    expect("Instance cannot be destroyed" in reason, f"refused for another reason:\n{reason}")
    scene.say(f"Terraform: Instance cannot be destroyed, of {SLUG}'s database")
    _unprotected(scene)
    workspace.edit_tenants(lambda tenants: tenants.append(dict(ENTRY)))
    workspace.synthesize()
    expect(scene.terraform().is_settled(), "the entry is back, and the plan is not empty")


def _unprotected(scene: Scene) -> None:
    """Check that the guard refuses if `prevent_destroy` is removed as well."""
    scene.workspace.adjustments.append(lift_protection)
    plan = scene.plan()
    scene.workspace.adjustments.clear()
    try:
        check(scene.workspace, plan)
    except UnexpectedError as error:
        reasons = [line for line in str(error).splitlines() if TENANT in line and "database" in line]
        expect(len(reasons) == 1, f"refused for another reason:\n{error}")
        scene.say(f"the plan guard: {reasons[0]}")
    else:
        raise UnexpectedError("the plan guard did not refuse to delete an active tenant's database")


def _without(tenants: list[dict[str, Any]]) -> None:
    tenants[:] = [tenant for tenant in tenants if tenant["id"] != TENANT]


@scenario("rename-tenant", "a church gets another host name: no database changes", lane=LANE)
def _rename(scene: Scene) -> None:
    scene.tenant(TENANT, slug=OTHER_SLUG)
    plan = scene.change()
    expect(bool(len(plan)), "nothing changes")
    expect(
        all(change.sign == "~" and change.short_kind == "spaces_bucket_object" for change in plan),
        "something else than objects changes",
    )


@scenario(
    "rotate-credentials",
    "a church's credentials are rotated: a second user is made, then the first one is deleted",
    lane=LANE,
)
def _rotate(scene: Scene) -> None:
    workspace = scene.workspace
    environments = workspace.folder / "environments"
    rotate(environments, workspace.environment, TENANT, finish=False)
    workspace.write_lock()
    only(scene.change(), ("+", "database_user"), ("~", "spaces_bucket_object"))
    rotate(environments, workspace.environment, TENANT, finish=True)
    workspace.write_lock()
    only(scene.change(), ("-", "database_user"), ("~", "spaces_bucket_object"))
    users = _users(scene)
    expect(users == {f"tenant_{TENANT}_g2"}, f"the users are {sorted(users)}")


def _users(scene: Scene) -> set[str]:
    return {
        name
        for cluster in scene.cloud.state()["clusters"]
        for name in cluster["_users"]
        if name.startswith(f"tenant_{TENANT}")
    }


def _databases(scene: Scene) -> set[str]:
    return {
        f"{cluster['name']}/{name}"
        for cluster in scene.cloud.state()["clusters"]
        for name in cluster["_databases"]
        if name.startswith(f"tenant_{TENANT}")
    }


@scenario(
    "suspend-tenant",
    "a church is suspended: its user and credentials are deleted, its data is untouched",
    lane=LANE,
)
def _suspend(scene: Scene) -> None:
    before = _databases(scene)
    scene.tenant(TENANT, status="suspended")
    plan = scene.change()
    no_data_lost(plan)
    expect(
        [change.sign for change in plan.of("database_user")] == ["-"],
        "something else than its user is deleted",
    )
    expect(not plan.of(*DATABASES), "a database changes")
    expect(
        _databases(scene) == before and not _users(scene),
        "the database or the users differ from what is expected",
    )


@scenario("return-tenant", "a suspended church comes back, with a new password", lane=LANE)
def _return(scene: Scene) -> None:
    scene.tenant(TENANT, status=None)
    plan = scene.change()
    no_data_lost(plan)
    expect(
        [change.sign for change in plan.of("database_user")] == ["+"], "something else than its user is made"
    )
    expect(not plan.of(*DATABASES), "a database changes")


@scenario(
    "retire-tenant",
    "a church is retired: its database only moves in the state, and loses its protection",
    lane=LANE,
)
def _retire(scene: Scene) -> None:
    before = _databases(scene)
    scene.tenant(TENANT, status="retired")
    plan = scene.change()
    no_data_lost(plan)
    databases = plan.of("database_db")
    expect(len(databases) == 1 and bool(databases[0].previous_address), "its database does not move")
    expect("retired" in databases[0].address, f"it moves to {databases[0].address}")
    expect(databases[0].actions == ("no-op",), "its database changes")
    expect(
        _databases(scene) == before and not _users(scene),
        "the database or the users differ from what is expected",
    )


@scenario(
    "unretire-tenant", "a retired church comes back: its database only moves back in the state", lane=LANE
)
def _unretire(scene: Scene) -> None:
    before = _databases(scene)
    scene.tenant(TENANT, status=None)
    plan = scene.change()
    no_data_lost(plan)
    databases = plan.of("database_db")
    expect(len(databases) == 1 and bool(databases[0].previous_address), "its database does not move back")
    expect(databases[0].actions == ("no-op",), "its database changes")
    expect(
        _databases(scene) == before and len(_users(scene)) == 1,
        "the database or the users differ from what is expected",
    )


@scenario(
    "remove-tenant",
    "a church is retired, and its entry removed in a second edit: that drops its database",
    lane=LANE,
)
def _remove(scene: Scene) -> None:
    scene.tenant(TENANT, status="retired")
    no_data_lost(scene.change())
    scene.workspace.edit_tenants(_without)
    plan = scene.change()
    dropped = plan.of("database_db")
    expect([change.sign for change in dropped] == ["-"], "something else than its database is dropped")
    expect(
        all(TENANT in change.address for change in plan if change.deletes),
        "something of another tenant is deleted",
    )
    others = [change.address for change in plan.of(*SHARED_BY_ALL)]
    expect(not others, f"what all tenants share would change: {others}")
    expect(not _databases(scene), "the database still exists")
