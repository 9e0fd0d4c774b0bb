"""Edits of a tenant that lose nothing and still hurt: steps left out, against `tenants.lock`.

A church that is moved has to be copied, and a rotation has to leave the old user until every service has changed over.
Each of these is a row of steps in which every step is agreed on before the next, and the lock shows which were.
"""

from collections.abc import Iterable, Iterator, Mapping

from model.errors import Problem
from model.generations import ONE_GENERATION, RESTORE_RUNBOOK, Database, name_of
from model.known_tenants import KnownTenant, how_to_move
from model.tenancy import Status, Tier
from model.tenants import MOVE_RUNBOOK, Tenant

ROTATE_RUNBOOK = "docs/runbooks/rotate-credentials.md"


def missteps(
    known: Mapping[str, KnownTenant], tenants: Iterable[Tenant], environment: str, lock: str
) -> Iterator[Problem]:
    """Find edits that leave out a step.

    Args:
        known: what was agreed on before.
        tenants: what is written now.
        environment: the environment's name.
        lock: the lock's file name; problems are reported at the tenant's line there.
    """
    for tenant in tenants:
        before, after = known.get(tenant.id), KnownTenant.of(tenant, environment)
        is_served = tenant.served and not tenant.maintenance
        for message, remedy in (
            *_missteps_of(before, after),
            *_of_database(before, after, is_served=is_served),
        ):
            yield Problem(lock, before.line if before else 0, tenant.id, message, remedy)


def _missteps_of(before: KnownTenant | None, after: KnownTenant) -> Iterator[tuple[str, str]]:
    if before is None:
        yield from _of_new(after)
    else:
        yield from _of_move(before, after)
        yield from _of_version(before, after)
        yield from _of_rotation(before, after)


def _of_new(after: KnownTenant) -> Iterator[tuple[str, str]]:
    if after.tier is Tier.DEDICATED and after.homes.shared:
        yield (
            "this tenant is new, so there is no old database that `shared_copy` could keep",
            "Remove `shared_copy`.",
        )


def _of_move(before: KnownTenant, after: KnownTenant) -> Iterator[tuple[str, str]]:
    if after.tier is before.tier:
        return
    there = before.homes.dedicated if after.tier is Tier.DEDICATED else before.homes.shared
    gone = after.homes.shared if before.tier is Tier.SHARED else after.homes.dedicated
    if gone is None:
        return  # The database that it is served from now would be lost: that is refused with its own words.
    place = "its own cluster" if after.tier is Tier.DEDICATED else "the database in its cell's cluster"
    if there is None:
        yield (
            f"the tier changes to {str(after.tier)!r}, but {place} was not made before: the church would be "
            f"served from an "
            "empty database",
            how_to_move(before),
        )
    elif before.status is Status.ACTIVE:
        yield (
            f"the tier changes to {str(after.tier)!r} while the church is served: what it writes would be left behind, "
            "and what was not copied is missing",
            f"Restore `tier: {before.tier}`, write `status: suspended`, deploy that, and copy the database: "
            f"steps 2 and 3 of "
            f"{MOVE_RUNBOOK}.",
        )


def _of_database(
    before: KnownTenant | None, after: KnownTenant, *, is_served: bool
) -> Iterator[tuple[str, str]]:
    if before is None:
        if after.database != ONE_GENERATION:
            yield (
                "this tenant is new, so its database has one generation",
                f"Remove `database`. A restore begins with `presence360 restore begin` ({RESTORE_RUNBOOK}).",
            )
        return
    was, now = before.database, after.database
    yield from _of_numbers(was, now)
    if now.current != was.current:
        # Back to one that is retired is no loss while it is there. One that was abandoned may never have been filled.
        there = [one for one in was.beside if one in was.protected or one < was.current]
        if now.current not in there:
            yield (
                f"{name_of(after.id, now.current)} is to be served, and it was not made before: the church would be "
                "served from an empty database",
                f"Write `current: {was.current}`"
                + (f", or `current: {there[0]}`, the one that was made." if there else ".")
                + f" A restore begins with `presence360 restore begin` ({RESTORE_RUNBOOK}).",
            )
        elif is_served:
            yield (
                f"generation {now.current} of its database is to be served in the place of {was.current}, while the "
                "church is served: what it writes meanwhile would be left behind",
                "Write `maintenance: true` in the same edit, as `presence360 restore switch` does.",
            )
        elif was.current == now.retired:
            yield (
                f"generation {now.current} of its database is to be served in the place of {was.current}, which is "
                "given up in the same edit: nothing would protect what the church was served from until now",
                f"Write `{'kept' if was.current < now.current else 'restoring'}: {was.current}`, and deploy that. "
                f"Give it up in a later change ({RESTORE_RUNBOOK}).",
            )
        return
    for word in ("kept", "retired"):
        generation = getattr(now, word)
        if generation is not None and generation not in was.there:
            yield (
                f"`{word}: {generation}` names a generation of its database that was not there",
                f"Remove it. `presence360 restore begin` restores a dump beside today's database ({RESTORE_RUNBOOK}).",
            )


def _of_numbers(was: Database, now: Database) -> Iterator[tuple[str, str]]:
    """Find a number that would be used again: a dump of its first use would pass for one of its second."""
    new = now.restoring if now.restoring not in was.there else None
    if new is not None and new <= was.last:
        yield (
            f"`restoring: {new}` uses the number of a generation of its database that was there before: its dumps "
            "would pass for the new one's",
            f"Write `restoring: {was.last + 1}`.",
        )
    known = {*now.abandoned, *now.there}
    gone = {*was.abandoned, *(one for one in was.beside if one == was.retired and one > was.current)} - known
    for generation in sorted(gone):
        yield (
            f"`abandoned` does not list generation {generation} of its database, so its number would be used again",
            f"Write `abandoned: {sorted({*now.abandoned, *gone})}` under `database`.",
        )


def _of_version(before: KnownTenant, after: KnownTenant) -> Iterator[tuple[str, str]]:
    if before.version and after.version and int(after.version) < int(before.version):
        yield (
            f"the version of its own cluster was {before.version} and is now {after.version}: a cluster can only be "
            "upgraded",
            f'Write `version: "{before.version}"` or a newer one under `dedicated`.',
        )


def _of_rotation(before: KnownTenant, after: KnownTenant) -> Iterator[tuple[str, str]]:
    # A tenant that is not served has no users that a service could still be using.
    if before.status is not Status.ACTIVE or after.status is not Status.ACTIVE:
        return
    if after.generation < before.generation:
        yield (
            f"generation {before.generation} is in use, and the entry now says {after.generation}: its user would be "
            "dropped while services use it",
            f"Write `generation: {before.generation}` again. To replace these credentials, rotate once more: "
            f"`presence360 "
            "tenant rotate`.",
        )
    elif after.generation > before.generation and before.generation not in after.keep:
        yield (
            f"generation {before.generation} is in use and is not kept: its user would be dropped before services have "
            f"changed to generation {after.generation}",
            f"Write `keep: [{before.generation}]` beside `generation: {after.generation}`, deploy that, and "
            f"finish later "
            f"({ROTATE_RUNBOOK}).",
        )
