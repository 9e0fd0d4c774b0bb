"""Edits that operators make every week, and what the guard says of them: nothing is lost, in these words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from lab.plans.environment import ENVIRONMENTS, GRACE, HOPE, SPRING, Environment, Tenant, situation
from lab.plans.planner import Situation
from lab.plans.resources import Resource
from lab.plans.tenants import ACTIVE_DATABASE
from model import addresses
from model.addresses import DATABASE, Address
from ops.guard.finding import Rule
from tests.ops.guard.cases import edited, lock, renamed, unchanged
from tests.ops.guard.lost_resources import SHARED
from tests.ops.guard.lost_tenants import PLACES

NEW = Tenant(SPRING, "spring", "Living Spring")
OWN = "db-s-2vcpu-4gb"
CA = Address("digitalocean_database_ca", "data/postgres-shared/ca")


@dataclass(frozen=True)
class Safe:
    """Plans that have to pass.

    Attributes:
        plans: by stack.
        says: what the Markdown has to say.
        warnings: which warnings there are, exactly.
        lock: the lock file of the base, if there is one.
        listed: what tenants.yaml lists, if it is given.
        first_deploys: the stacks of which nothing exists.
    """

    plans: Mapping[str, Situation]
    says: tuple[str, ...] = ()
    warnings: frozenset[Rule] = frozenset()
    lock: str = ""
    listed: tuple[Tenant, ...] | None = None
    first_deploys: tuple[str, ...] = ()


Edit = Callable[[Environment, str], tuple[Environment, Environment]]


def _edit(place: str, says: tuple[str, ...], edit: Edit) -> Safe:
    environment, cell = PLACES[place]
    before, after = edit(environment, cell)
    return Safe({place: situation(before, after, cell)}, says)


def _one(before: Mapping[str, object], after: Mapping[str, object] | None) -> Edit:
    """Edit Grace's entry; None removes it."""

    def edit(it: Environment, _: str) -> tuple[Environment, Environment]:
        was = it.tenant(GRACE, **before)
        return was, was.without(GRACE) if after is None else was.tenant(GRACE, **after)

    return edit


_DEDICATED = {"tier": "dedicated", "own_cluster": OWN}
_MOVED = {**_DEDICATED, "shared_copy": "kept"}
_KEPT = "retired: its database is kept without protection until the entry is removed"
_BACK = "back from retirement: its database is kept, and protected again"

# What happens to tenants, in every place where they live.
LIVES: Mapping[str, tuple[tuple[str, ...], Edit]] = {
    "no change": (("No changes.",), lambda it, _: (it, it)),
    "a tenant is added": (
        ("**Living Spring (spring)**: database added; user added; credentials added; directory entry added",),
        lambda it, cell: (it, it.plus(replace(NEW, cell=cell))),
    ),
    "the list is reordered": (("No changes.",), lambda it, _: (it, it.but(tenants=it.tenants[::-1]))),
    "slug renamed": (("host name grace → grace-chapel",), _one({}, {"slug": "grace-chapel"})),
    "name renamed": (("name Grace Chapel → Grace",), _one({}, {"name": "Grace"})),
    "suspended": (
        ("user removed; credentials removed", "status active → suspended"),
        _one({}, {"status": "suspended"}),
    ),
    "back from suspension": (
        ("user added; credentials added",),
        _one({"status": "suspended"}, {"status": "active"}),
    ),
    "retired": ((_KEPT, "user removed; credentials removed"), _one({}, {"status": "retired"})),
    "retired while suspended": ((_KEPT,), _one({"status": "suspended"}, {"status": "retired"})),
    "back from retirement": ((_BACK, "user added"), _one({"status": "retired"}, {"status": "active"})),
    "from retired to suspended": ((_BACK,), _one({"status": "retired"}, {"status": "suspended"})),
    "removed after it was retired": (
        (
            "nothing else is lost",
            "**1 database is dropped: Grace Chapel (grace)**",
            "**Grace Chapel (grace)**: database removed; directory entry removed",
        ),
        _one({"status": "retired"}, None),
    ),
    "rotation begun": (("user added; credentials changed",), _one({}, {"generation": 2, "keep": (1,)})),
    "rotation finished": (
        ("user removed; credentials changed",),
        _one({"generation": 2, "keep": (1,)}, {"keep": ()}),
    ),
    "rotation without an overlap": (("user added; user removed",), _one({}, {"generation": 2})),
    "own cluster made": (
        ("cluster of its own added; database in its own cluster added",),
        _one({}, {"own_cluster": OWN}),
    ),
    "own cluster serves": (
        (
            "user of its own cluster added; user removed; credentials changed",
            "tier shared → dedicated",
        ),
        _one({"own_cluster": OWN}, _MOVED),
    ),
    "shared copy retired": (
        (_KEPT.replace("the entry", "the line that names it"),),
        _one(_MOVED, {"shared_copy": "retired"}),
    ),
    "shared copy kept again": ((_BACK,), _one({**_MOVED, "shared_copy": "retired"}, {"shared_copy": "kept"})),
    "shared copy dropped": (
        ("**Grace Chapel (grace)**: database removed",),
        _one({**_MOVED, "shared_copy": "retired"}, {"shared_copy": ""}),
    ),
    "a tenant with its own cluster is added": (
        ("cluster of its own added",),
        lambda it, cell: (it, it.plus(replace(NEW, cell=cell, tier="dedicated", own_cluster=OWN))),
    ),
    "dedicated, suspended": (("user of its own cluster removed",), _one(_DEDICATED, {"status": "suspended"})),
    "dedicated, retired": (
        ("retired: its own cluster is kept without protection",),
        _one(_DEDICATED, {"status": "retired"}),
    ),
    "dedicated, back from retirement": (
        ("back from retirement: its own cluster is kept, and protected again",),
        _one({**_DEDICATED, "status": "retired"}, {"status": "active"}),
    ),
    "dedicated, removed after it was retired": (
        ("retired cluster of its own removed; database in its own cluster removed; directory entry removed",),
        _one({**_DEDICATED, "status": "retired"}, None),
    ),
    "back to the shared cluster": (
        ("tier dedicated → shared",),
        _one(_MOVED, {"tier": "shared", "shared_copy": ""}),
    ),
    "own cluster retired after the way back": (
        ("retired: its own cluster is kept without protection",),
        _one({"own_cluster": OWN}, {"own_retired": True}),
    ),
    "own cluster dropped after the way back": (
        ("retired cluster of its own removed",),
        _one({"own_cluster": OWN, "own_retired": True}, {"own_cluster": "", "own_retired": False}),
    ),
    "own cluster grows": (
        ("cluster of its own changed",),
        _one(_DEDICATED, {"own_cluster": "db-s-4vcpu-8gb"}),
    ),
    "last tenant removed after it was retired": (
        ("database removed",),
        lambda it, _: (
            it.tenant(GRACE, status="retired").but(tenants=it.tenant(GRACE, status="retired").tenants[:1]),
            it.but(tenants=()),
        ),
    ),
    "one added, one retired, one removed": (
        (_KEPT, "Living Spring", "database removed"),
        lambda it, cell: (
            it.tenant(GRACE, status="retired"),
            it.without(GRACE).tenant(HOPE, status="retired").plus(replace(NEW, cell=cell)),
        ),
    ),
}


def _operations(it: Environment) -> dict[str, tuple[Environment, tuple[str, ...], frozenset[Rule]]]:
    """Return edits of environment.yaml: what comes of them, what is said, which warnings."""
    public = it.public[0]
    more = {**it.groups, public: it.groups[public] + 1}
    return {
        "release": (
            it.but(release="1.5.0"),
            (f"group {public}: release", "group worker: release", f"worker `{it.release}` → `1.5.0`"),
            frozenset(),
        ),
        "settings": (it.but(settings="warning"), ("group worker: settings",), frozenset()),
        "secret": (it.but(secret="second"), ("group worker: secrets of worker",), frozenset()),
        "scaled up": (it.but(groups=more), (f"droplet {it.name}-{public}-{more[public]}",), frozenset()),
        "user data": (
            it.but(user_data="#cloud-config\n# edited"),
            ("replaced, the new one first",),
            frozenset(),
        ),
        "certificate": (it.but(alternative_names=("presence360.app",)), ("certificate",), frozenset()),
        "administrators' addresses": (
            it.but(admin_cidrs=("203.0.113.0/28", "198.51.100.9/32")),
            (f"firewall {it.name}-worker changed",),
            frozenset(),
        ),
        "time to live raised": (it.but(ttl={"snapshots/": 120, "exports/": 30}), ("Buckets",), frozenset()),
        "time to live lowered": (
            it.but(ttl={"snapshots/": 14, "exports/": 7}),
            ("would delete objects under `snapshots/` after 14 days",),
            frozenset({Rule.EXPIRY}),
        ),
        "exports expire under a new prefix": (
            it.but(ttl={**it.ttl, "previews/": 3}),
            ("under `previews/` after 3 days, for the first time",),
            frozenset({Rule.EXPIRY}),
        ),
        "cluster grows": (it.but(size="db-s-6vcpu-16gb", nodes=3), ("cluster",), frozenset()),
        "cluster shrinks": (
            it.but(size="db-s-1vcpu-1gb"),
            ("less CPU or memory than now",),
            frozenset({Rule.SMALLER}),
        ),
        "Postgres upgraded": (
            it.but(version="18"),
            ("version 17 would become 18",),
            frozenset({Rule.CLUSTER_CHANGE}),
        ),
        "droplets resized": (
            it.but(droplet_size="s-4vcpu-8gb"),
            ("replaced, the new one first",),
            frozenset(),
        ),
        "group added": (
            it.but(groups={**it.groups, "batch": 1}),
            ("droplet", "staging-batch" if it.name == "staging" else "production-batch"),
            frozenset(),
        ),
        "volume added": (it.but(snapshot="drill"), ("1 volume added",), frozenset()),
    }


def _operation(name: str, what: str) -> Safe:
    after, says, warnings = _operations(ENVIRONMENTS[name])[what]
    return Safe({name: situation(ENVIRONMENTS[name], after)}, says, warnings)


def _scaled_down(name: str) -> Safe:
    it = ENVIRONMENTS[name].but(groups={**ENVIRONMENTS[name].groups, "worker": 3})
    return Safe({name: situation(it, it.but(groups={**it.groups, "worker": 2}))}, (f"{name}-worker-3",))


def _first_deploy(name: str) -> Safe:
    it = unchanged(ENVIRONMENTS[name])
    it.there, it.tenants_there = {}, {}
    return Safe(
        {name: it},
        ("has an empty state", "On a stack's first deploy this is normal."),
        frozenset({Rule.EMPTY_STATE}),
    )


def _first_deploy_known(name: str) -> Safe:
    return replace(
        _first_deploy(name),
        says=("Grace Chapel",),
        warnings=frozenset(),
        lock=lock(f"{GRACE} active {name} shared=kept"),
        first_deploys=(name,),
    )


def _moved_construct(name: str) -> Safe:
    """A construct is renamed, and a moved block takes its database along."""
    it = unchanged(ENVIRONMENTS[name])
    renamed(it, str(addresses.CONTROL_PLANE_DATABASE), "control-plane_registry-database_0BADCAFE")
    it.moves.append(
        (
            str(addresses.CONTROL_PLANE_DATABASE),
            f"{DATABASE}.control-plane_registry-database_0BADCAFE",
        )
    )
    return Safe({name: it}, ("database `control_plane` moved",))


def _drift(name: str) -> Safe:
    it = unchanged(ENVIRONMENTS[name])
    it.drifted = {SHARED: "update", ACTIVE_DATABASE.instance(GRACE): "update"}
    return Safe(
        {name: it},
        ("No changes.",),
    )


def _data_sources(name: str) -> Safe:
    it = unchanged(ENVIRONMENTS[name])
    read = {
        "address": f"data.{CA}",
        "mode": "data",
        "type": "digitalocean_database_ca",
        "name": CA.name,
        "change": {"actions": ["read"], "before": None, "after": {}, "after_unknown": {"certificate": True}},
        "action_reason": "read_because_dependency_pending",
    }
    it.extra = {"resource_changes": [*it.plan()["resource_changes"], read]}
    return Safe({name: it}, ("No changes.",))


def _imported(name: str) -> Safe:
    it = unchanged(ENVIRONMENTS[name])
    changes = it.plan()["resource_changes"]
    next(one for one in changes if one["address"] == SHARED)["change"]["importing"] = {"id": "abc"}
    it.extra = {"resource_changes": changes}
    return Safe({name: it}, ("No changes.",))


def _removed_with(name: str, listed: bool, line: str) -> Safe:
    it = ENVIRONMENTS[name].tenant(GRACE, status="retired")
    after = it.without(GRACE)
    return Safe(
        {name: situation(it, after)},
        (
            "**1 database is dropped, as tenants.lock agreed: Grace Chapel (grace)**",
            "database removed; directory entry removed",
        ),
        lock=lock(line),
        listed=after.tenants if listed else None,
    )


def _group_removed(name: str) -> Safe:
    """Its bucket holds no data of people, but is protected all the same: the droplets alone go."""
    it = ENVIRONMENTS[name].but(groups={**ENVIRONMENTS[name].groups, "batch": 1})
    after = situation(it, it)
    for address in [one for one in after.wanted if "group-batch_" in one and "tag" not in one]:
        del after.wanted[address]
    return Safe({name: after}, (f"firewall {name}-batch removed",))


def _another_firewall_rule(name: str) -> Safe:
    address = str(addresses.postgres_firewall("shared"))
    it = unchanged(ENVIRONMENTS[name])
    rules = it.wanted[address].attributes["rule"]
    edited(it, address, rule=[*rules, {"type": "ip_addr", "value": "198.51.100.7"}])
    return Safe({name: it}, ("would let `198.51.100.7/32` connect",), frozenset({Rule.PUBLIC_DATABASE}))


def _closed_policy(name: str) -> Safe:
    it = unchanged(ENVIRONMENTS[name])
    text = '{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}]}'
    one = Resource("digitalocean_spaces_bucket_policy", "policy", {"bucket": "x", "policy": text})
    it.wanted[one.address] = one
    return Safe({name: it}, ("1 spaces bucket policy added",))


def _new_cell(name: str) -> Safe:
    """Another cell beside the environment, whose own plan is empty."""
    it = ENVIRONMENTS[name]
    after = it.but(cells=("cell-2",)).plus(replace(NEW, cell="cell-2"))
    cell = situation(after, after, "cell-2")
    cell.there, cell.tenants_there = {}, {}
    return Safe(
        {name: situation(it, after), f"{name}-cell-2": cell},
        (f"{name}-cell-2: **Living Spring (spring)**: database added",),
        frozenset({Rule.EMPTY_STATE}),
    )


def _same_ids_elsewhere(name: str) -> Safe:
    """Two environments have tenants of the same ids; one is removed in the one and stays in the other."""
    it = ENVIRONMENTS[name].tenant(GRACE, status="retired")
    (other,) = (one for one in ENVIRONMENTS if one != name)
    return Safe(
        {
            name: situation(it, it.without(GRACE)),
            other: situation(ENVIRONMENTS[other], ENVIRONMENTS[other].plus(NEW)),
        },
        (f"{name}: **Grace Chapel (grace)**: database removed",),
    )


def _bucket_added(name: str) -> Safe:
    it = unchanged(ENVIRONMENTS[name])
    old = it.wanted[str(addresses.EXPORTS_BUCKET)]
    new = replace(old, block="backups_bucket_AAAAAAAA").but(name=f"presence360-{name}-backups")
    it.wanted[new.address] = new
    return Safe({name: it}, (f"bucket presence360-{name}-backups added",))


def _public_already(name: str) -> Safe:
    """What everybody could read before is no news."""
    it = unchanged(ENVIRONMENTS[name])
    address = str(addresses.EXPORTS_BUCKET)
    for resources in (it.there, it.wanted):
        resources[address] = resources[address].but(acl="public-read")
    return Safe({name: it}, ("No changes.",))


CASES: dict[str, Callable[[], Safe]] = {}
for _place in PLACES:
    for _what, (_says, _life) in LIVES.items():
        CASES[f"{_place}: {_what}"] = partial(_edit, _place, _says, _life)
for _name in ENVIRONMENTS:
    for _what in _operations(ENVIRONMENTS[_name]):
        CASES[f"{_name}: {_what}"] = partial(_operation, _name, _what)
    CASES[f"{_name}: scaled down"] = partial(_scaled_down, _name)
    CASES[f"{_name}: first deploy"] = partial(_first_deploy, _name)
    CASES[f"{_name}: first deploy of known tenants"] = partial(_first_deploy_known, _name)
    CASES[f"{_name}: construct renamed with a moved block"] = partial(_moved_construct, _name)
    CASES[f"{_name}: drift alone"] = partial(_drift, _name)
    CASES[f"{_name}: data sources read"] = partial(_data_sources, _name)
    CASES[f"{_name}: imported"] = partial(_imported, _name)
    CASES[f"{_name}: removed, and all agree"] = partial(
        _removed_with, _name, True, f"{GRACE} retired {_name} shared=retired"
    )
    CASES[f"{_name}: removed, by the lock alone"] = partial(
        _removed_with, _name, False, f"{GRACE} retired {_name} shared=retired"
    )
    CASES[f"{_name}: droplets of a group removed"] = partial(_group_removed, _name)
    CASES[f"{_name}: an address in a database firewall"] = partial(_another_firewall_rule, _name)
    CASES[f"{_name}: bucket policy that denies"] = partial(_closed_policy, _name)
    CASES[f"{_name}: new cell"] = partial(_new_cell, _name)
    CASES[f"{_name}: same ids in another environment"] = partial(_same_ids_elsewhere, _name)
    CASES[f"{_name}: bucket that is public already"] = partial(_public_already, _name)
    CASES[f"{_name}: bucket added"] = partial(_bucket_added, _name)
