"""Mutations of tenants' databases: every way in which an edit of the list, or of the code behind it, loses one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from lab.plans.environment import ENVIRONMENTS, GRACE, HOPE, RIVER, TENANTS, Environment, situation
from lab.plans.planner import Situation
from lab.plans.resources import Resource, exist
from lab.plans.tenants import ACTIVE_DATABASE, RETIRED_DATABASE
from model.addresses import DEDICATED, TENANT_DIRECTORY
from model.tenancy import Guard
from ops.guard.finding import Rule
from tests.ops.guard.cases import Corpus, Lost, lock, renamed, unchanged, without

CORPUS = Corpus()

NAMES = {GRACE: "Grace Chapel (grace)", HOPE: "Hope Assembly (hope)", RIVER: "River of Life Church (river)"}
EVERYBODY = frozenset(NAMES)
OWN = "db-s-2vcpu-4gb"

# Where a tenant lives: the environment, and the cell's stack.
PLACES: dict[str, tuple[Environment, str]] = {
    **{name: (environment, "") for name, environment in ENVIRONMENTS.items()},
    "production-cell-2": (
        ENVIRONMENTS["production"].but(
            cells=("cell-2",), tenants=tuple(replace(one, cell="cell-2") for one in TENANTS)
        ),
        "cell-2",
    ),
}


def active(tenant: str) -> str:
    return ACTIVE_DATABASE.instance(tenant)


def retired(tenant: str) -> str:
    return RETIRED_DATABASE.instance(tenant)


def _database(tenant: str) -> str:
    return f"{NAMES[tenant]}: its database tenant_{tenant} in cluster "


def _one(place: str, it: Situation, rule: Rule, tenant: str = GRACE) -> Lost:
    return Lost({place: it}, rule, (_database(tenant),), frozenset({tenant}))


def _removed(place: str, tenant: str, status: str) -> Lost:
    """An entry leaves the file, and `prevent_destroy` is not there to stop it."""
    environment, cell = PLACES[place]
    before = environment.tenant(tenant, status=status)
    return _one(place, situation(before, before.without(tenant), cell), Rule.LOSS, tenant)


def _all_removed(place: str) -> Lost:
    environment, cell = PLACES[place]
    it = situation(environment, environment.but(tenants=()), cell)
    return Lost({place: it}, Rule.LOSS, tuple(map(_database, NAMES)), EVERYBODY)


def _move_left_out(place: str, tenant: str, before: str, after: str) -> Lost:
    environment, cell = PLACES[place]
    it = situation(environment.tenant(tenant, status=before), environment.tenant(tenant, status=after), cell)
    it.moves = []
    return _one(place, it, Rule.RECREATED, tenant)


def _move_reversed(place: str, tenant: str, before: str, after: str) -> Lost:
    environment, cell = PLACES[place]
    it = situation(environment.tenant(tenant, status=before), environment.tenant(tenant, status=after), cell)
    it.moves = [(to, start) if tenant in start else (start, to) for start, to in it.moves]
    return _one(place, it, Rule.RECREATED, tenant)


def _move_elsewhere(place: str) -> Lost:
    """The moved block of one tenant leads to the address of another that is new."""
    environment, cell = PLACES[place]
    before = environment.without(HOPE)
    it = situation(before, environment, cell)
    it.moves = [(active(GRACE), active(HOPE))]
    return Lost({place: it}, Rule.RECREATED, (_database(GRACE),), frozenset({GRACE}))


def _given_away(place: str) -> Lost:
    """A move to another tenant's address that changes nothing yet: its name is ignored."""
    environment, cell = PLACES[place]
    it = situation(environment.without(HOPE), environment, cell)
    it.moves = [(active(GRACE), active(HOPE))]
    it.wanted[active(HOPE)] = replace(it.wanted[active(HOPE)], attributes=it.wanted[active(GRACE)].attributes)
    return Lost(
        {place: it}, Rule.FOREIGN_MOVE, (_database(GRACE), "Hope Assembly (hope)"), frozenset({GRACE, HOPE})
    )


def _retired_and_removed(place: str, tenant: str) -> Lost:
    environment, cell = PLACES[place]
    it = situation(environment, environment.without(tenant), cell)
    it.moves = [(active(tenant), retired(tenant))]
    return _one(place, it, Rule.LOSS, tenant)


def _slug_as_key(place: str) -> Lost:
    environment, cell = PLACES[place]
    it = unchanged(environment, cell)
    for one in environment.of_cell(cell):
        renamed(it, active(one.id), ACTIVE_DATABASE.name, one.slug)
    return Lost({place: it}, Rule.RECREATED, tuple(map(_database, NAMES)), EVERYBODY)


def _count(place: str) -> Lost:
    environment, cell = PLACES[place]
    it = unchanged(environment, cell)
    for number, one in enumerate(environment.of_cell(cell)):
        renamed(it, active(one.id), ACTIVE_DATABASE.name, number)
    return Lost({place: it}, Rule.RECREATED, tuple(map(_database, NAMES)), EVERYBODY)


def _by_index(environment: Environment, cell: str, order: tuple[str, ...]) -> list[Resource]:
    wanted = environment.stack(cell)
    return [replace(wanted[active(tenant)], key=number) for number, tenant in enumerate(order)]


def _indexed(place: str, before: tuple[str, ...], after: tuple[str, ...]) -> Situation:
    environment, cell = PLACES[place]
    wanted = environment.stack(cell)
    for tenant in NAMES:
        del wanted[active(tenant)]
    there = wanted | {one.address: one for one in _by_index(environment, cell, before)}
    wanted = wanted | {one.address: one for one in _by_index(environment, cell, after)}
    names = environment.output(cell)
    return Situation(exist(there), wanted, tenants_there=names, tenants_wanted=names)


def _reordered(place: str) -> Lost:
    it = _indexed(place, (GRACE, HOPE, RIVER), (HOPE, GRACE, RIVER))
    return Lost({place: it}, Rule.RECREATED, (_database(GRACE), _database(HOPE)), frozenset({GRACE, HOPE}))


def _shifted(place: str) -> Lost:
    """The first of a list goes, and all that follow move up: the last address is one too many."""
    it = _indexed(place, (GRACE, HOPE, RIVER), (HOPE, RIVER))
    return Lost({place: it}, Rule.RECREATED, (_database(GRACE), _database(HOPE), _database(RIVER)), EVERYBODY)


def _without_for_each(place: str) -> Lost:
    environment, cell = PLACES[place]
    it = unchanged(environment, cell)
    one = it.wanted[active(GRACE)]
    for tenant in NAMES:
        del it.wanted[active(tenant)]
    single = replace(one, key=None)
    it.wanted[single.address] = single
    return Lost({place: it}, Rule.LOSS, (_database(HOPE), _database(RIVER)), frozenset({HOPE, RIVER}))


def _block_gone(place: str) -> Lost:
    environment, cell = PLACES[place]
    it = without(unchanged(environment, cell), *map(active, NAMES))
    it.empty_blocks = ()
    return Lost({place: it}, Rule.LOSS, tuple(map(_database, NAMES)), EVERYBODY)


def _swapped(place: str) -> Lost:
    """Two addresses hold each other's database, as after a mistaken `state mv`."""
    environment, cell = PLACES[place]
    it = unchanged(environment, cell)
    grace, hope = it.there[active(GRACE)], it.there[active(HOPE)]
    it.there[active(GRACE)] = replace(hope, key=GRACE)
    it.there[active(HOPE)] = replace(grace, key=HOPE)
    return Lost({place: it}, Rule.RECREATED, (_database(GRACE), _database(HOPE)), frozenset({GRACE, HOPE}))


def _under_a_foreign_key(place: str) -> Lost:
    """A retired tenant's entry goes, and what stands under its key is another's database."""
    environment, cell = PLACES[place]
    before = environment.tenant(GRACE, status="retired")
    it = situation(before, before.without(GRACE), cell)
    theirs = it.there[active(HOPE)]
    it.there[retired(GRACE)] = replace(theirs, block=RETIRED_DATABASE.name, key=GRACE)
    return Lost({place: it}, Rule.LOSS, (_database(HOPE),), frozenset({HOPE}))


def _retired_keys_swapped(place: str) -> Lost:
    """Two retired tenants are removed at once, and their databases stand under each other's keys."""
    environment, cell = PLACES[place]
    before = environment.tenant(GRACE, status="retired").tenant(HOPE, status="retired")
    it = situation(before, before.without(GRACE).without(HOPE), cell)
    grace, hope = it.there[retired(GRACE)], it.there[retired(HOPE)]
    it.there[retired(GRACE)], it.there[retired(HOPE)] = replace(hope, key=GRACE), replace(grace, key=HOPE)
    return Lost({place: it}, Rule.LOSS, (_database(GRACE), _database(HOPE)), frozenset({GRACE, HOPE}))


def _removed_and_made_elsewhere(place: str) -> Lost:
    """A retired tenant's entry goes, and other code makes a database of the same name."""
    environment, cell = PLACES[place]
    before = environment.tenant(GRACE, status="retired")
    it = situation(before, before.without(GRACE), cell)
    stray = replace(it.there[retired(GRACE)], block="elsewhere_FFFFFFFF", key=None)
    it.wanted[stray.address] = stray
    return _one(place, it, Rule.RECREATED)


def _removed_by_repetition(place: str) -> Lost:
    """The entry is removed after it was retired, but the database is deleted because its block lost its `for_each`."""
    environment, cell = PLACES[place]
    before = environment.tenant(GRACE, status="retired")
    it = situation(before, before.without(GRACE), cell)
    single = replace(it.there[retired(GRACE)], key=None).but(name="another")
    it.wanted[single.address] = single
    return _one(place, it, Rule.LOSS)


def _destroyed_while_retired(place: str) -> Lost:
    """plan -destroy asks for nothing that the lifecycle asked for, not even what is retired."""
    environment, cell = PLACES[place]
    before = environment.tenant(GRACE, status="retired")
    it = situation(before, before, cell)
    it.destroy = True
    return Lost({place: it}, Rule.LOSS, tuple(map(_database, NAMES)), EVERYBODY)


_LEFT: Mapping[str, Any] = {"tier": "dedicated", "own_cluster": OWN, "shared_copy": "retired"}


def _copy_with_its_block(place: str) -> Lost:
    """The block of the retired goes, and with it a copy whose line is still there."""
    environment, cell = PLACES[place]
    before = environment.tenant(GRACE, **_LEFT)
    it = without(situation(before, before, cell), retired(GRACE))
    it.empty_blocks = ()
    return _one(place, it, Rule.LOSS)


def _copy_with_the_original(place: str) -> Lost:
    """The shared copy goes, and the database that it is a copy of goes as well."""
    environment, cell = PLACES[place]
    before = environment.tenant(GRACE, **_LEFT)
    it = situation(before, before.tenant(GRACE, shared_copy=""), cell)
    without(it, DEDICATED[Guard.KEPT].database.instance(GRACE))
    return Lost(
        {place: it},
        Rule.LOSS,
        (f"{_database(GRACE)}{environment.name}-pg-{cell or 'shared'}",),
        frozenset({GRACE}),
    )


def _still_registered(place: str) -> Lost:
    """The database goes from its retired address while the registry still has the tenant."""
    environment, cell = PLACES[place]
    before = environment.tenant(GRACE, status="retired")
    return _one(place, without(situation(before, before, cell), retired(GRACE)), Rule.LOSS)


def _retired_block_gone(place: str) -> Lost:
    environment, cell = PLACES[place]
    before = environment.tenant(GRACE, status="retired").tenant(HOPE, status="retired")
    it = without(situation(before, before, cell), retired(GRACE), retired(HOPE))
    it.empty_blocks = ()
    return Lost({place: it}, Rule.LOSS, (_database(GRACE), _database(HOPE)), frozenset({GRACE, HOPE}))


def _block_gone_without_evidence(place: str) -> Lost:
    """The registry is elsewhere, and the block of all retired ones is left out: nothing says that entries left."""
    environment, cell = PLACES[place]
    before = environment.tenant(GRACE, status="retired")
    it = without(situation(before, before, cell), retired(GRACE))
    it.empty_blocks = ()
    for tenant in NAMES:
        address = TENANT_DIRECTORY.instance(tenant)
        del it.wanted[address], it.there[address]
    it.tenants_wanted = {}
    return _one(place, it, Rule.LOSS)


def _still_listed(place: str) -> Lost:
    environment, cell = PLACES[place]
    before = environment.tenant(GRACE, status="retired")
    return replace(_one(place, situation(before, before.without(GRACE), cell), Rule.LOSS), listed=TENANTS)


def _locked(place: str, line: str) -> Lost:
    """The lock file of the base does not know the tenant as retired."""
    environment, cell = PLACES[place]
    before = environment.tenant(GRACE, status="retired")
    return replace(
        _one(place, situation(before, before.without(GRACE), cell), Rule.LOSS),
        lock=lock(line.format(stack=place)),
    )


def _another_cell(place: str) -> Lost:
    """An entry changes its cell: dropped here, and made empty there."""
    environment, cell = PLACES[place]
    after = environment.tenant(GRACE, cell="cell-9")
    plans = {
        place: situation(environment, after, cell),
        f"{environment.name}-cell-9": situation(environment, after, "cell-9"),
    }
    return Lost(plans, Rule.RECREATED, (_database(GRACE),), frozenset({GRACE}))


def _retired_into_another_cell(place: str) -> Lost:
    environment, cell = PLACES[place]
    before = environment.tenant(GRACE, status="retired")
    after = environment.tenant(GRACE, cell="cell-9")
    plans = {
        place: situation(before, after, cell),
        f"{environment.name}-cell-9": situation(before, after, "cell-9"),
    }
    return Lost(plans, Rule.RECREATED, (_database(GRACE),), frozenset({GRACE}))


def _dedicated(place: str, before: Mapping[str, Any], after: Mapping[str, Any] | None) -> Lost:
    environment, cell = PLACES[place]
    was = environment.tenant(GRACE, **before)
    will = was.without(GRACE) if after is None else environment.tenant(GRACE, **{**before, **after})
    it = situation(was, will, cell)
    it.empty_blocks = (*it.empty_blocks, str(DEDICATED[Guard.KEPT].cluster))
    return Lost({place: it}, Rule.LOSS, (f"{NAMES[GRACE]}: its ",), frozenset({GRACE}))


def _dedicated_without_moves(place: str, before: str, after: str) -> Lost:
    environment, cell = PLACES[place]
    was = environment.tenant(GRACE, tier="dedicated", own_cluster=OWN, status=before)
    it = situation(was, was.tenant(GRACE, status=after), cell)
    it.moves = []
    return Lost(
        {place: it},
        Rule.RECREATED,
        (
            f"{NAMES[GRACE]}: its cluster {PLACES[place][0].name}-pg-{GRACE} with the databases of {NAMES[GRACE]}",
        ),
        frozenset({GRACE}),
    )


def _another_state(place: str) -> Lost:
    """The backend, or the stack's name, is another: the state is empty, and the tenants are known."""
    environment, cell = PLACES[place]
    it = situation(environment, environment, cell)
    it.there, it.tenants_there = {}, {}
    known = lock(*(f"{tenant} active {place} shared=kept" for tenant in NAMES))
    return Lost(
        {place: it},
        Rule.EMPTY_STATE,
        (f"stack {place}", "lists 3 of its tenants", "plan it without --base"),
        EVERYBODY,
        lock=known,
    )


_ON_DEDICATED = {"tier": "dedicated", "own_cluster": OWN}
_MOVING = {"own_cluster": OWN}

_SIMPLE: dict[str, Callable[[str], Lost]] = {
    "all entries removed": _all_removed,
    "moved block to another tenant's address": _move_elsewhere,
    "given to another tenant by a moved block": _given_away,
    "slug as key": _slug_as_key,
    "count instead of for_each": _count,
    "reordered by index": _reordered,
    "first of a list by index removed": _shifted,
    "for_each removed": _without_for_each,
    "block removed": _block_gone,
    "two tenants swapped in the state": _swapped,
    "another's database under a retired key": _under_a_foreign_key,
    "retired keys swapped, both removed": _retired_keys_swapped,
    "removed, and made elsewhere under its name": _removed_and_made_elsewhere,
    "destroyed with -destroy while one is retired": _destroyed_while_retired,
    "removed, and its block lost its for_each": _removed_by_repetition,
    "shared copy goes with its block": _copy_with_its_block,
    "shared copy goes with the original": _copy_with_the_original,
    "dropped while its directory entry stays": _still_registered,
    "block of the retired removed": _retired_block_gone,
    "block of the retired removed, no registry here": _block_gone_without_evidence,
    "removed from the plan, still in tenants.yaml": _still_listed,
    "removed after retirement that the lock does not know": partial(
        _locked, line="b1e6f7d2-2c3d-4b5a-9e8f-7a6c5d4e3003 active {stack} shared=kept"
    ),
    "removed while the lock says active": partial(_locked, line=f"{GRACE} active {{stack}} shared=kept"),
    "removed while the lock says suspended": partial(
        _locked, line=f"{GRACE} suspended {{stack}} shared=kept"
    ),
    "removed while the lock keeps its database": partial(
        _locked, line=f"{GRACE} retired {{stack}} shared=kept dedicated=retired"
    ),
    "moved to another cell": _another_cell,
    "retired, and moved to another cell": _retired_into_another_cell,
    "dedicated, entry removed": partial(_dedicated, before=_ON_DEDICATED, after=None),
    "dedicated and suspended, entry removed": partial(
        _dedicated, before={**_ON_DEDICATED, "status": "suspended"}, after=None
    ),
    "cluster of a move given up without retiring it": partial(
        _dedicated, before=_MOVING, after={"own_cluster": ""}
    ),
    "tier switched, shared copy not kept": partial(_dedicated, before=_MOVING, after={"tier": "dedicated"}),
    "kept shared copy dropped": partial(
        _dedicated, before={**_ON_DEDICATED, "shared_copy": "kept"}, after={"shared_copy": ""}
    ),
    "back to shared, its cluster dropped at once": partial(
        _dedicated,
        before={**_ON_DEDICATED, "shared_copy": "kept"},
        after={"tier": "shared", "own_cluster": "", "shared_copy": ""},
    ),
    "back to shared without a shared copy": partial(
        _dedicated, before=_ON_DEDICATED, after={"tier": "shared", "own_cluster": ""}
    ),
    "dedicated, retired without moved blocks": partial(
        _dedicated_without_moves, before="active", after="retired"
    ),
    "dedicated, back without moved blocks": partial(
        _dedicated_without_moves, before="retired", after="active"
    ),
    "another backend or stack name": _another_state,
}

for _place in PLACES:
    for _name, _make in _SIMPLE.items():
        CORPUS.add(f"{_place}: {_name}", partial(_make, _place))
    for _tenant, _who in ((GRACE, "first tenant"), (RIVER, "last tenant")):
        for _status in ("active", "suspended"):
            CORPUS.add(
                f"{_place}: {_who} removed while {_status}", partial(_removed, _place, _tenant, _status)
            )
        for _before, _after in (
            ("active", "retired"),
            ("suspended", "retired"),
            ("retired", "active"),
            ("retired", "suspended"),
        ):
            CORPUS.add(
                f"{_place}: {_who} from {_before} to {_after}, moved block left out",
                partial(_move_left_out, _place, _tenant, _before, _after),
            )
        CORPUS.add(
            f"{_place}: {_who} retired, moved block reversed",
            partial(_move_reversed, _place, _tenant, "active", "retired"),
        )
        CORPUS.add(
            f"{_place}: {_who} retired and removed in one edit",
            partial(_retired_and_removed, _place, _tenant),
        )
