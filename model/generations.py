"""Generations of a church's database: while a dump is restored beside the database that is served, there are two.

    step of `presence360 restore`     current   beside it
    (before)                          1
    begin                             1         restoring: 2    protected, filled from a dump, not served
    switch                            2         kept: 1         protected, not served any more
    finish                            2         retired: 1      not protected
    finish once more                  2                         dropped

`abandon` retires and drops generation 2 in the same way, and leaves `abandoned: [2]`: a number is never used again, so
that a dump of `tenant_<uuid>_r2` is of one database alone. `back` undoes a switch. Each step is an edit that is
deployed. A generation is a database of its own, with roles of its own (droplet/isolation). Only the current one has
users.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from model.errors import Findings
from model.naming import FIRST_GENERATION, database_key, tenant_database
from model.schema import Schema
from model.tenancy import Guard

if TYPE_CHECKING:
    from model.tenants import Tenant

RESTORE_RUNBOOK = "docs/runbooks/restore.md"

# tenant_<uuid>_r<n>_work_<8 digits>, the longest name that follows from it, has 61 of Postgres's 63 bytes.
MAX_GENERATION = 99


class Database(Schema):
    """Which generation of a church's database is served, and which is beside it."""

    current: int = Field(
        default=FIRST_GENERATION,
        ge=FIRST_GENERATION,
        le=MAX_GENERATION,
        description="The generation that is served. `presence360 restore switch` raises it.",
    )
    restoring: int | None = Field(
        default=None,
        le=MAX_GENERATION,
        description="A new generation, which a dump is restored into. It is protected, and not served.",
    )
    kept: int | None = Field(
        default=None,
        description="The generation before, after a switch. It is protected, and not served any more.",
    )
    retired: int | None = Field(
        default=None,
        description="A generation that nobody needs any more: not protected, and removing this line drops it.",
    )

    abandoned: tuple[int, ...] = Field(
        default=(),
        description="Generations that were restored and given up: their numbers are never used again, because their "
        "dumps are still there. `presence360 restore abandon` writes them.",
    )

    @property
    def last(self) -> int:
        """The highest number that is known to be used."""
        return max((*self.there, *self.abandoned))

    @property
    def beside(self) -> tuple[int, ...]:
        """The generation beside the one that is served, if there is one."""
        return tuple(one for one in (self.restoring, self.kept, self.retired) if one is not None)

    @property
    def there(self) -> tuple[int, ...]:
        """All, the current one first."""
        return (self.current, *self.beside)

    @property
    def protected(self) -> tuple[int, ...]:
        """Those that no plan may drop while the church is not retired."""
        return tuple(one for one in self.there if one != self.retired)

    def guard(self, generation: int, home: Guard) -> Guard:
        """Return what stands between a generation and a mistaken edit, where its church's data is guarded so."""
        return Guard.RETIRED if generation == self.retired else home


ONE_GENERATION = Database()
"""What nearly every church has."""


def key_of(tenant_id: str, database: Database) -> str:
    """Return the key of the database that is served."""
    return database_key(tenant_id, database.current)


def check_generations(index: int, tenant: "Tenant", findings: Findings) -> None:
    """Find generations that cannot be."""
    for key, message, remedy in _problems(tenant):
        findings.add(("tenants", index, "database", key), message, remedy, at_key=True)


def _problems(tenant: "Tenant") -> Iterator[tuple[str, str, str]]:
    database, now = tenant.database, tenant.database.current
    said = [name for name in ("restoring", "kept", "retired") if getattr(database, name) is not None]
    if len(said) > 1:
        yield (
            said[-1],
            f"{' and '.join(f'`{name}`' for name in said)} stand beside each other; one generation can be beside the "
            "one that is served",
            f"Finish or abandon one restore before the next one ({RESTORE_RUNBOOK}).",
        )
        return
    if gone := sorted({*database.abandoned} & {*database.there}):
        yield (
            "abandoned",
            f"generation {gone[0]} is there, and was abandoned: its number cannot be used again",
            f"Write a number for it that was never used: {database.last + 1}."
            if gone[0] == database.restoring
            else f"Remove {gone[0]} from `abandoned`.",
        )
    if database.restoring is not None and database.restoring <= now:
        yield (
            "restoring",
            f"generation {now} is served, so the one that is restored cannot be {database.restoring}",
            f"Write `restoring: {max((now, *database.abandoned)) + 1}`, the next one.",
        )
    if database.kept is not None and not FIRST_GENERATION <= database.kept < now:
        yield (
            "kept",
            f"generation {now} is served, so the one before it is not {database.kept}",
            "Write the generation that was served before the switch."
            if now > FIRST_GENERATION
            else "Remove it: no generation is before the first. After a switch `current` is 2.",
        )
    if database.retired == now:
        yield (
            "retired",
            f"generation {now} is served, so it cannot be retired",
            "Switch to the other generation first: `presence360 restore switch`.",
        )
    if said and tenant.homes.shared and tenant.homes.dedicated:
        yield (
            said[0],
            "the church is being moved to another cluster, and a restore stands beside the move",
            "Finish the move first: one generation in each cluster can be told from the other.",
        )


def name_of(tenant_id: str, generation: int) -> str:
    """Say which generation it is, and what its database is called."""
    return f"generation {generation} of its database ({tenant_database(tenant_id, generation)})"
