"""`tenants.lock`: the tenants that were last agreed on, so that a change can be compared with what is deployed.

`tenants.yaml` alone cannot tell a church that was never there from one whose entry was deleted. The lock is written
by `presence360 tenant lock` and committed; it says where each tenant's data is, and a synth refuses an edit that would
lose any.
It is the first of two refusals. The second is Terraform's, by `prevent_destroy`, where somebody edits both files.

    # Written by `presence360 tenant lock`
    3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001 active staging shared=kept
    7d1c2b9a-5b1f-4e0c-8a6d-2c9be0f1a002 retired staging-cell-2 shared=retired dedicated=retired
    b1e6f7d2-2c3d-4b5a-9e8f-7a6c5d4e3003 active staging shared=kept dedicated=kept serves=dedicated postgres=17
    generation=2

`serves` stands where both places hold data, and the dedicated one is in use; `postgres` is the version of its cluster;
`generation` and `keep` are those of the credentials, where they are not the first; `database` is the generation of the
database that is served, where that is not the first, and `database-restoring`, `database-kept` and
`database-retired` the one beside it; `database-abandoned` lists numbers that are never used again.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from model.environment import CELL_PATTERN
from model.errors import Problem, shown
from model.generations import ONE_GENERATION, RESTORE_RUNBOOK, Database, name_of
from model.naming import FIRST_GENERATION, stack_of_cell
from model.tenancy import Guard, Homes, Status, Tier
from model.tenants import MOVE_RUNBOOK, Tenant, is_tenant_id

LOCK_FILE = "tenants.lock"

_HEADING = (
    "# Written by `presence360 tenant lock`: a line for each tenant that was agreed on. "
    "Edit tenants.yaml instead.\n"
)
RESTORE = "Restore the file from the main branch (git checkout), then run `presence360 tenant lock`."
_BESIDE = ("restoring", "kept", "retired")
"""What a generation of a database can be beside the one that is served (model/generations.py)."""

_CONFLICT = re.compile(r"<<<<<<<|=======|>>>>>>>")


@dataclass(frozen=True)
class KnownTenant:
    """One line of the lock.

    Attributes:
        id: the tenant's.
        stack: which stack's state its data is in.
        homes: where its data is.
        line: of the file, counted from 1; 0 for one that was made from an entry.
        tier: which of the two places serves it.
        version: of its own cluster's Postgres; None: it has none, or the lock is older than this.
        generation: of the credentials that are published.
        keep: earlier generations whose users are kept.
        database: the generations of its database.
    """

    id: str
    status: Status
    stack: str
    homes: Homes
    line: int = 0
    tier: Tier = Tier.SHARED
    version: str | None = None
    generation: int = FIRST_GENERATION
    keep: frozenset[int] = frozenset()
    database: Database = ONE_GENERATION

    @classmethod
    def of(cls, tenant: Tenant, environment: str) -> "KnownTenant":
        """Return what the lock will say of an entry."""
        stack = stack_of_cell(environment, tenant.cell) if tenant.cell else environment
        return cls(
            tenant.id,
            tenant.status,
            stack,
            tenant.homes,
            tier=tenant.tier,
            version=tenant.dedicated.version if tenant.dedicated else None,
            generation=tenant.credentials.generation,
            keep=frozenset(tenant.credentials.keep),
            database=tenant.database,
        )

    def __str__(self) -> str:
        said = {
            "shared": self.homes.shared,
            "dedicated": self.homes.dedicated,
            "serves": self.tier if self.tier is Tier.DEDICATED and self.homes.shared else None,
            "postgres": self.version,
            "generation": self.generation if self.generation > FIRST_GENERATION else None,
            "keep": ",".join(map(str, sorted(self.keep))),
            "database": self.database.current if self.database.current > FIRST_GENERATION else None,
            **{f"database-{state}": getattr(self.database, state) for state in _BESIDE},
            "database-abandoned": ",".join(map(str, sorted(self.database.abandoned))),
        }
        return " ".join(
            [self.id, self.status, self.stack, *(f"{key}={value}" for key, value in said.items() if value)]
        )


def format_lock(tenants: Iterable[Tenant], environment: str) -> str:
    """Return the text of the lock for these tenants, sorted by id, so that the file's order means nothing."""
    lines = sorted(f"{KnownTenant.of(tenant, environment)}\n" for tenant in tenants)
    return _HEADING + "".join(lines)


def parse_lock(text: str, file: str, environment: str) -> tuple[dict[str, KnownTenant], list[Problem]]:
    """Read a lock; what cannot be read is a problem, and every other line is returned."""
    known: dict[str, KnownTenant] = {}
    problems = []
    if other := _copied(text, environment):
        what = f"this is the lock of {shown(other)}: it lists its tenants, and none of {environment}"
        remedy = "Delete this file: `presence360 tenant lock` writes this environment's own."
        return {}, [Problem(file, 0, "", what, remedy)]
    if not text.strip():
        # Written without any tenant it still has its heading. An empty file would agree to every loss.
        return {}, [Problem(file, 0, "", "this file is empty: a lock has at least its heading", RESTORE)]
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        tenant = _parse_line(line, number, environment)
        if tenant is None or tenant.id in known:
            what = (
                "this is the mark of an unresolved merge"
                if _CONFLICT.match(line)
                else f"{shown(line)} is not a valid line of this file"
            )
            if tenant:
                what = f"{tenant.id} is listed twice"
            problems.append(Problem(file, number, "", what, RESTORE))
        else:
            known[tenant.id] = tenant
    return known, problems


def _copied(text: str, environment: str) -> str | None:
    """Return whose lock this is, if all its lines are of one other environment: a folder was copied with it."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    stacks = [re.sub(r"-cell-[0-9]+$", "", [*line.split(), "", "", ""][2]) for line in lines]
    if len(set(stacks)) != 1 or stacks[0] == environment:
        return None
    whole = all(_parse_line(line, 0, stacks[0]) for line in lines)
    return stacks[0] if whole else None


def _parse_line(line: str, number: int, environment: str) -> KnownTenant | None:
    try:
        tenant_id, status, stack, *said = line.split()
        words = dict(word.split("=") for word in said)
        homes = Homes(
            *(Guard(words.pop(place)) if place in words else None for place in ("shared", "dedicated"))
        )
        known = KnownTenant(
            tenant_id,
            Status(status),
            stack,
            homes,
            number,
            # Where its data is in one place, that place serves it.
            tier=Tier(words.pop("serves", Tier.SHARED if homes.shared else Tier.DEDICATED)),
            version=words.pop("postgres", None),
            generation=int(words.pop("generation", FIRST_GENERATION)),
            keep=frozenset(int(kept) for kept in words.pop("keep", "").split(",") if kept),
            database=Database(
                current=int(words.pop("database", FIRST_GENERATION)),
                abandoned=tuple(int(one) for one in words.pop("database-abandoned", "").split(",") if one),
                **{
                    state: int(words.pop(f"database-{state}"))
                    for state in _BESIDE
                    if f"database-{state}" in words
                },
            ),
        )
    except ValueError:
        return None
    cell = stack.removeprefix(f"{environment}-")
    right = is_tenant_id(tenant_id) and not words and (known.version or "0").isdecimal()
    if not right or not (stack == environment or re.match(CELL_PATTERN, cell)):
        return None
    return known


def losses(
    known: Mapping[str, KnownTenant], tenants: Iterable[Tenant], environment: str, lock: str
) -> list[Problem]:
    """Find edits that would lose a tenant's data, or leave it behind where nothing finds it.

    Args:
        known: what was agreed on before.
        tenants: what is written now.
        environment: the environment's name.
        lock: the lock's file name; problems are reported there, since an entry that is gone has no line.
    """
    now = {tenant.id: KnownTenant.of(tenant, environment) for tenant in tenants}
    problems = []
    for before in known.values():
        for message, remedy in _losses_of(before, now.get(before.id)):
            problems.append(Problem(lock, before.line, before.id, message, remedy))
    return problems


def _losses_of(before: KnownTenant, after: KnownTenant | None) -> Iterable[tuple[str, str]]:
    places = {"shared": "the database in its cell's cluster", "dedicated": "its own cluster"}
    if after is None:
        kept = [words for place, words in places.items() if getattr(before.homes, place) is Guard.KEPT]
        if kept:
            yield (
                f"this tenant was removed from tenants.yaml, but it was not retired: {' and '.join(kept)} "
                "would be lost",
                "Put the entry back. To remove a church, write `status: retired`, deploy that, and remove the entry "
                "in a later change.",
            )
        return
    if after.stack != before.stack:
        yield (
            f"this tenant's data is in {before.stack}, and tenants.yaml now says {after.stack}",
            "Restore `cell`: a tenant stays in its cell, because nothing would move its data.",
        )
    if before.status is not Status.RETIRED:
        for generation in before.database.protected:
            if generation not in after.database.there:
                yield (
                    f"tenants.yaml no longer mentions {name_of(before.id, generation)}, but it was not retired: it "
                    "would be lost",
                    f"Write `retired: {generation}` under `database`, deploy that, and remove it in a later change "
                    f"({RESTORE_RUNBOOK}).",
                )
    for place, words in places.items():
        if getattr(before.homes, place) is Guard.KEPT and getattr(after.homes, place) is None:
            step = (
                "`shared_copy: kept`, and later `shared_copy: retired`"
                if place == "shared"
                else "`retired: true` under `dedicated`"
            )
            yield (
                f"tenants.yaml no longer mentions {words}, but it was not retired: it would be lost",
                # Following the other remedy would leave the church on an empty database.
                how_to_move(before)
                if before.tier is not after.tier
                else f"Write {step}, deploy that, and remove it in a later change ({MOVE_RUNBOOK}).",
            )


def how_to_move(before: KnownTenant) -> str:
    """Say where a move begins, for a tenant whose tier was changed without its steps."""
    if before.tier is Tier.SHARED:
        return (
            f"Restore `tier: shared` and what stood beside it. A move begins with `dedicated` alone, which is "
            f"deployed: step "
            f"1 of {MOVE_RUNBOOK}."
        )
    if before.homes.shared is None:
        return (
            "Restore `tier: dedicated` and what stood beside it: its database in the cell's cluster was "
            "dropped, so there is "
            "none to go back to."
        )
    return (
        f"Restore `tier: dedicated` and what stood beside it. A move back begins with `status: suspended`, which is "
        f"deployed: step 4 of {MOVE_RUNBOOK}, under Undo."
    )
