"""Mutations of everything that holds data and is there once: each kind, in each environment, lost in each way."""

from collections.abc import Callable, Iterable
from functools import partial

from lab.plans import stack
from lab.plans.environment import ENVIRONMENTS, GRACE, TENANTS, Environment
from lab.plans.planner import Situation
from lab.plans.tenants import ACTIVE_DATABASE
from model import addresses
from ops.guard.finding import Rule
from tests.ops.guard.cases import Corpus, Lost, edited, renamed, unchanged, without

CORPUS = Corpus()

EVERYBODY = frozenset(tenant.id for tenant in TENANTS)
ZONE = str(addresses.DOMAIN)
VOLUME = str(stack.VOLUME)
SHARED = str(stack.SHARED_CLUSTER)
VALKEY = str(addresses.VALKEY)
CONTROL_PLANE = str(addresses.CONTROL_PLANE_DATABASE)


def holders(it: Environment) -> dict[str, tuple[str, str, frozenset[str]]]:
    """Return by a short name: the address, what has to be said, and whose data it holds."""
    return {
        "postgres cluster": (
            SHARED,
            f"cluster {it.name}-pg-shared with control_plane and the databases of",
            EVERYBODY,
        ),
        "valkey cluster": (VALKEY, f"cluster {it.name}-valkey with its queues and caches", frozenset()),
        "control plane database": (
            CONTROL_PLANE,
            f"database control_plane in cluster {it.name}-pg-shared",
            frozenset(),
        ),
        "exports bucket": (
            str(addresses.EXPORTS_BUCKET),
            f"bucket presence360-{it.name}-exports: snapshots and exports of all tenants",
            frozenset(),
        ),
        "directory bucket": (
            str(addresses.DIRECTORY_BUCKET),
            f"bucket presence360-{it.name}-tenant-registry: the directory of all tenants",
            frozenset(),
        ),
        "credentials bucket": (
            str(addresses.CREDENTIALS_BUCKET),
            f"bucket presence360-{it.name}-tenant-credentials: the credentials of all tenants",
            frozenset(),
        ),
        **{
            f"config bucket of {group}": (
                str(addresses.config_bucket(group)),
                f"bucket presence360-{it.name}-config-{group}",
                frozenset(),
            )
            for group in it.groups
        },
        "zone": (ZONE, f"zone {it.name}.presence360.app", frozenset()),
        # The observability group's, with the metrics.
        "volume": (VOLUME, "volume digitalocean_volume.", frozenset()),
        "tenant's database": (
            ACTIVE_DATABASE.instance(GRACE),
            f"Grace Chapel (grace): its database tenant_{GRACE} in cluster {it.name}-pg-shared",
            frozenset({GRACE}),
        ),
    }


def _block_renamed(it: Situation, address: str) -> Situation:
    return renamed(it, address, "renamed_construct_FFFFFFFF", it.wanted[address].key)


def _tainted(it: Situation, address: str) -> Situation:
    it.tainted.add(address)
    return it


def _replaced(it: Situation, address: str) -> Situation:
    it.replaced.add(address)
    return it


def _deposed(it: Situation, address: str) -> Situation:
    it.deposed.add(address)
    return it


def _forgotten(it: Situation, address: str) -> Situation:
    it.removed.add(address.partition("[")[0])
    return without(it, address)


def _moved_nowhere(it: Situation, address: str) -> Situation:
    one = it.wanted[address]
    key = f'["{one.key}"]' if one.key else ""
    it.moves.insert(0, (address, f"{one.kind}.nowhere_to_be_found_FFFFFFFF{key}"))
    return without(it, address)


def _deleted_outside(it: Situation, address: str) -> Situation:
    it.drifted[address] = "delete"
    return it


WAYS: dict[str, tuple[Callable[[Situation, str], Situation], Rule]] = {
    "block removed": (without, Rule.LOSS),
    "construct id renamed, no moved block": (_block_renamed, Rule.RECREATED),
    "tainted": (_tainted, Rule.RECREATED),
    "replaced by request": (_replaced, Rule.RECREATED),
    "deposed object": (_deposed, Rule.DEPOSED),
    "forgotten by a removed block": (_forgotten, Rule.FORGOTTEN),
    "moved to a block that is not there": (_moved_nowhere, Rule.LOSS),
    "deleted outside, made anew": (_deleted_outside, Rule.LOST_OUTSIDE),
}


def _lost(name: str, holder: str, way: str) -> Lost:
    environment = ENVIRONMENTS[name].but(snapshot=f"{name}-drill")
    address, said, tenants = holders(environment)[holder]
    mutate, rule = WAYS[way]
    return Lost({name: mutate(unchanged(environment), address)}, rule, (said,), tenants)


# Nothing of Valkey can be restored: that it is made anew is a warning (test_lost_outside.py).
NOT_A_LOSS = ("valkey cluster", "deleted outside, made anew")

for _name, _environment in ENVIRONMENTS.items():
    for _holder in holders(_environment):
        for _way in WAYS:
            if (_holder, _way) != NOT_A_LOSS:
                CORPUS.add(f"{_name}: {_holder}: {_way}", partial(_lost, _name, _holder, _way))

# Edits of what a resource is: Terraform replaces it where the provider cannot change it.
FORCED: Iterable[tuple[str, str, dict[str, object]]] = (
    ("postgres cluster", "name", {"name": "another"}),
    ("postgres cluster", "engine", {"engine": "mysql"}),
    ("postgres cluster", "vpc", {"private_network_uuid": "another"}),
    ("valkey cluster", "name", {"name": "another"}),
    ("valkey cluster", "engine", {"engine": "redis"}),
    ("valkey cluster", "vpc", {"private_network_uuid": "another"}),
    ("control plane database", "name", {"name": "another"}),
    ("control plane database", "cluster", {"cluster_id": "another"}),
    ("exports bucket", "region", {"region": "ams3"}),
    ("directory bucket", "region", {"region": "ams3"}),
    ("credentials bucket", "region", {"region": "ams3"}),
    ("zone", "name", {"name": "another.presence360.app"}),
    ("volume", "region", {"region": "ams3"}),
    ("volume", "name", {"name": "another"}),
    ("tenant's database", "name", {"name": "tenant_grace"}),
    ("tenant's database", "cluster", {"cluster_id": "another"}),
)


def _forced(name: str, holder: str, attributes: dict[str, object]) -> Lost:
    environment = ENVIRONMENTS[name].but(snapshot=f"{name}-drill")
    address, said, tenants = holders(environment)[holder]
    return Lost(
        {name: edited(unchanged(environment), address, **attributes)}, Rule.RECREATED, (said,), tenants
    )


for _name in ENVIRONMENTS:
    for _holder, _what, _attributes in FORCED:
        CORPUS.add(
            f"{_name}: {_holder}: another {_what}",
            partial(_forced, _name, _holder, _attributes),
        )


def _project_followed(name: str) -> Lost:
    """`ignore_changes` left out: a move between projects by hand is a replacement."""
    it = unchanged(ENVIRONMENTS[name])
    plan = it.plan()
    (cluster,) = (one for one in plan["resource_changes"] if one["address"] == SHARED)
    cluster["change"].update(actions=["delete", "create"], replace_paths=[["project_id"]])
    cluster["action_reason"] = "replace_because_cannot_update"
    it.extra = {"resource_changes": plan["resource_changes"]}
    return Lost({name: it}, Rule.RECREATED, (holders(ENVIRONMENTS[name])["postgres cluster"][1],), EVERYBODY)


def _vpc_replaced(name: str) -> Lost:
    """Another address range of the network: everything in it follows."""
    it = edited(unchanged(ENVIRONMENTS[name]), str(addresses.VPC), ip_range="10.99.0.0/20")
    said = holders(ENVIRONMENTS[name])
    return Lost(
        {name: it}, Rule.RECREATED, (said["postgres cluster"][1], said["valkey cluster"][1]), EVERYBODY
    )


def _destroyed(name: str) -> Lost:
    it = unchanged(ENVIRONMENTS[name])
    it.destroy = True
    said = holders(ENVIRONMENTS[name])
    return Lost({name: it}, Rule.LOSS, tuple(said[one][1] for one in said if one != "volume"), EVERYBODY)


def _unknown_kind(name: str) -> Lost:
    it = unchanged(ENVIRONMENTS[name])
    volume = unchanged(ENVIRONMENTS[name].but(snapshot="x")).there[VOLUME]
    kind = "digitalocean_thing_of_next_year"
    it.there[f"{kind}.one"] = type(volume)(kind, "one", {"id": "x"})
    return Lost({name: it}, Rule.UNKNOWN_KIND, ("thing of next year",), frozenset())


for _name in ENVIRONMENTS:
    CORPUS.add(f"{_name}: project_id not ignored", partial(_project_followed, _name))
    CORPUS.add(f"{_name}: another address range of the VPC", partial(_vpc_replaced, _name))
    CORPUS.add(f"{_name}: plan -destroy", partial(_destroyed, _name))
    CORPUS.add(f"{_name}: a kind that nobody knows", partial(_unknown_kind, _name))
