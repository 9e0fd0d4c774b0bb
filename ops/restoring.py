"""Restore a church's database beside the one that is served, as docs/runbooks/restore.md describes it.

Each step is an edit of tenants.yaml that is reviewed and deployed like any other (model/generations.py has the table);
between two of them a dump is restored and compared on a droplet (ops/restore_run.py).
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from model.generations import Database, name_of
from model.known_tenants import LOCK_FILE
from model.naming import FIRST_GENERATION, tenant_database
from model.tenancy import CLOSED_STATUS, Status
from model.tenants import Tenant
from ops import yaml_edit
from ops.edits import Draft, Edited, Found, deploy, draft, refuse
from ops.refused import RefusedError
from ops.tenants import agreed_on, host
from ops.yaml_edit import Value

CLOSED = CLOSED_STATUS[Status.SUSPENDED]
"""What its host answers while the church is in maintenance (docs/maintenance.md)."""


FROM_BACKUP = (
    "a database is read from the fork on a droplet, and not from here: docs/runbooks/restore.md, "
    '"From a second of the last seven days"'
)
"""How a restore goes on that begins with a backup of the whole cluster."""


def state_of(database: Database) -> str | None:
    """Say in a word where a restore stands; None where there is none."""
    for word in ("restoring", "kept", "retired"):
        if (generation := getattr(database, word)) is not None:
            return f"{word} {generation}"
    return None


def may_begin(root: Path, environment: str, wanted: str) -> Found:
    """Return a church that a restore can begin for, before anything else is asked.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such church, it is retired, or a restore is under way.
    """
    with draft(root) as change:
        return _may_begin(change, change.tenant(environment, wanted))


def _may_begin(change: Draft, found: Found) -> Found:
    tenant, environment = found.tenant, found.environment.file.environment
    if state := state_of(tenant.database):
        raise _refused(change, found, f"a restore of {tenant.slug} is under way: {state}")
    if tenant.status is Status.RETIRED:
        raise refuse(
            change,
            found,
            "status",
            f"{tenant.slug} is retired",
            f"Serve it again first: presence360 tenant resume {environment} {tenant.slug}",
        )
    return found


def begin(root: Path, environment: str, wanted: str, dump: str, dumped: int = FIRST_GENERATION) -> Edited:
    """Add the generation that a dump is restored into.

    Args:
        root: the folder of the environments.
        environment: the church's.
        wanted: its slug or its id.
        dump: what the next command is told of the dump.
        dumped: the highest number that a dump of the church's database has: a number is not used again, so that what
            is known of the new database is not what was known of another.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such church, it is retired, or a restore is under way.
    """
    with draft(root) as change:
        found = _may_begin(change, change.tenant(environment, wanted))
        tenant, now = found.tenant, found.tenant.database
        number = max(now.last, dumped) + 1
        files = _write(change, found, {"current": now.current, "restoring": number})
    said = [
        f"{tenant.slug}: {name_of(tenant.id, number)} is made beside generation {now.current}.",
        "At the deploy: that database is made, empty and protected. Nobody is given it, and the church is served as "
        "before.",
        deploy(environment),
        f"A minute after that: {FROM_BACKUP if dump == 'backup' else _fill(environment, tenant, dump)}",
    ]
    return Edited(files, tuple(said))


def switch(root: Path, environment: str, wanted: str) -> Edited:
    """Let the restored generation serve, and close the church until that is deployed.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such church, no generation that is restored, or its `begin` is not committed: one
            deploy of both would serve a database that was made empty by it.
    """
    with draft(root) as change:
        found = change.tenant(environment, wanted)
        restored, now = _may_switch(change, found), found.tenant.database
        files = _write(change, found, {"current": restored, "kept": now.current}, close=True)
    return Edited(files, _switched(found, restored, now.current))


def may_switch(root: Path, environment: str, wanted: str) -> None:
    """Check that a church can be switched, before a bucket is asked.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: as `switch` does.
    """
    with draft(root) as change:
        _may_switch(change, change.tenant(environment, wanted))


def _may_switch(change: Draft, found: Found) -> int:
    """Return the generation that is to be served."""
    tenant, environment, restored = (
        found.tenant, found.environment.file.environment, found.tenant.database.restoring
    )  # fmt: skip
    if restored is None:
        raise _refused(change, found, f"no generation of {tenant.slug}'s database is being restored")
    before = agreed_on(change.file(environment, LOCK_FILE), tenant.id, environment)
    # After a `back` that is not committed it stands there under another word, and is filled.
    known = before is not None and restored in before.database.there
    if not known and (early := _not_agreed(change, found, "restoring", restored)):
        raise early
    return restored


def back(root: Path, environment: str, wanted: str) -> Edited:
    """Undo a switch: let the generation before serve again, as long as it is there.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such church, or no earlier generation.
    """
    with draft(root) as change:
        found = change.tenant(environment, wanted)
        now = found.tenant.database
        earlier = _earlier(now)
        if earlier is None:
            raise _refused(change, found, f"no earlier generation of {found.tenant.slug}'s database is kept")
        files = _write(change, found, {"current": earlier, "restoring": now.current}, close=True)
    return Edited(files, _switched(found, earlier, now.current))


def _earlier(now: Database) -> int | None:
    """Return the generation before a switch, if it is still there: kept, or retired and not dropped."""
    retired = now.retired if now.retired is not None and now.retired < now.current else None
    return retired if now.kept is None else now.kept


def finish(root: Path, environment: str, wanted: str) -> Edited:
    """Give up the generation that was served before: its protection, and with the second call the database.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such church, nothing was switched, the church is closed, or the step before is not
            deployed.
    """
    with draft(root) as change:
        found = change.tenant(environment, wanted)
        now = found.tenant.database
        if now.kept is not None:
            _check_switched(change, found, now.kept)
            return _retired(change, found, now.kept, "finish")
        if now.retired is not None and now.retired < now.current:
            return _dropped(change, found, now.retired)
        raise _refused(change, found, f"no earlier generation of {found.tenant.slug}'s database is kept")


def abandon(root: Path, environment: str, wanted: str) -> Edited:
    """Give up the generation that was restored: its protection, and with the second call the database.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such church, nothing is restored, or the first step is not deployed.
    """
    with draft(root) as change:
        found = change.tenant(environment, wanted)
        now = found.tenant.database
        if now.restoring is not None:
            if early := _not_agreed(change, found, "restoring", now.restoring):
                raise early
            return _retired(change, found, now.restoring, "abandon")
        if now.retired is not None and now.retired > now.current:
            return _dropped(change, found, now.retired)
        raise _refused(change, found, f"no generation of {found.tenant.slug}'s database is being restored")


def standing(environment: str, tenant: Tenant) -> tuple[str, ...]:
    """Say where a restore stands, and what may follow."""
    now = tenant.database
    said = [f"{tenant.slug}: {name_of(tenant.id, now.current)} is served."]
    for word, meaning in (
        ("restoring", "is beside it, protected and not served."),
        ("kept", "was served before it, and is kept and protected."),
        ("retired", "is not protected any more."),
    ):
        if (generation := getattr(now, word)) is not None:
            said.append(f"{name_of(tenant.id, generation).capitalize()} {meaning}")
    return (*said, _next(environment, tenant))


def _write(change: Draft, found: Found, values: Mapping[str, int], *, close: bool = False) -> tuple[str, ...]:
    """Write what stands under `database`, and with ``close`` that the church is in maintenance."""
    file, entry = change.file(found.environment.file.environment), ("tenants", found.index)
    for key in ("current", "restoring", "kept", "retired"):
        path = (*entry, "database", key)
        if key in values:
            change.edit(file, partial(yaml_edit.set_value, path=path, value=values[key]))
        elif getattr(found.tenant.database, key) is not None:
            change.edit(file, partial(yaml_edit.remove, path=path))
    if close and found.tenant.served:
        change.edit(file, partial(yaml_edit.set_value, path=(*entry, "maintenance"), value=True))
    return change.write().files


def _switched(found: Found, to: int, before: int) -> tuple[str, ...]:
    tenant, environment = found.tenant, found.environment.file.environment
    said = [f"{tenant.slug}: {name_of(tenant.id, to)} is to be served, and generation {before} is kept."]
    if not tenant.served:
        said.append(f"The church is {tenant.status}: it is served from there when it returns.")
        return (*said, deploy(environment), _next_after_switch(environment, tenant, to, before))
    return (
        *said,
        f"At the deploy, within two minutes: https://{host(found.environment, tenant.slug)} answers {CLOSED}, the "
        f"users of generation {before} are dropped and those of {to} are made, and migrations bring its schema to the "
        "release. What was written since the dump stays in the other generation.",
        deploy(environment),
        f"When `presence360 migrations {environment}` shows the church as done, and somebody has looked at it from an "
        f"address in network.admin_cidrs: presence360 maintenance {environment} off --tenant {tenant.slug}, and deploy",
        _next_after_switch(environment, tenant, to, before),
    )


def _next_after_switch(environment: str, tenant: Tenant, to: int, before: int) -> str:
    if to < before:
        return f"To give generation {before} up: {_command(environment, tenant, 'abandon')}"
    return (
        f"To go back: {_command(environment, tenant, 'back')}. To give generation {before} up, when nobody wants "
        f"anything of it: {_command(environment, tenant, 'finish')}"
    )


def _retired(change: Draft, found: Found, generation: int, step: str) -> Edited:
    tenant, environment = found.tenant, found.environment.file.environment
    files = _write(change, found, {"current": tenant.database.current, "retired": generation})
    return Edited(
        files,
        (
            f"{tenant.slug}: {name_of(tenant.id, generation)} is retired.",
            "At the deploy: it is kept, without protection: a later edit may drop it. Its dumps stay as long as any.",
            deploy(environment),
            f"To drop it, once this is deployed: {_command(environment, tenant, step)}",
        ),
    )


def _dropped(change: Draft, found: Found, generation: int) -> Edited:
    tenant, environment = found.tenant, found.environment.file.environment
    if early := _not_agreed(change, found, "retired", generation):
        raise early
    path = ("tenants", found.index, "database")
    change.edit(change.file(environment), partial(yaml_edit.remove, path=(*path, "retired")))
    if generation > tenant.database.current:
        numbers: list[Value] = [*sorted({*tenant.database.abandoned, generation})]
        change.edit(
            change.file(environment),
            partial(yaml_edit.set_value, path=(*path, "abandoned"), value=numbers),
        )
    return Edited(
        change.write().files,
        (
            f"{tenant.slug}: generation {tenant.database.current} of its database alone is left.",
            f"At the deploy: the database {tenant_database(tenant.id, generation)} is DROPPED, with everything in it. "
            "After that, its dumps and DigitalOcean's backups of the cluster have it.",
            f"The retirement has to be deployed before this. {deploy(environment)}",
        ),
    )


_SAYS = {
    "restoring": ("is being restored", "it is not made before that"),
    "kept": ("is kept from a switch", "it is the one that is served until the switch is deployed"),
    "retired": ("is retired", "Terraform refuses to drop a protected database"),
}
"""What a word of `database:` says of a generation, and why the step after it waits for a deploy."""


def _not_agreed(change: Draft, found: Found, word: str, generation: int) -> RefusedError | None:
    """Refuse a step whose step before is an edit that nobody has committed yet: it cannot be deployed."""
    tenant, environment = found.tenant, found.environment.file.environment
    before = agreed_on(change.file(environment, LOCK_FILE), tenant.id, environment)
    if before is None or getattr(before.database, word) == generation:
        return None
    says, why = _SAYS[word]
    return refuse(
        change,
        found,
        "database",
        f"generation {generation} {says} here, and not in the last commit: that cannot be deployed yet, and {why}",
        f"Commit this and deploy it (presence360 apply {environment}), then run the command again; or take the edit "
        "back (git checkout).",
    )


def _check_switched(change: Draft, found: Found, kept: int) -> None:
    """Refuse to give up what was served before a switch that is not deployed, or that nobody has looked at."""
    tenant, environment = found.tenant, found.environment.file.environment
    early = _not_agreed(change, found, "kept", kept)
    problems = [*early.problems] if early else []
    if tenant.served and tenant.maintenance:
        problems += refuse(
            change,
            found,
            "maintenance",
            f"{tenant.slug} is in maintenance: nobody has worked yet with what was restored",
            f"Look at the church, then: presence360 maintenance {environment} off --tenant {tenant.slug}, and deploy.",
        ).problems
    if problems:
        raise RefusedError.of(problems)


def _refused(change: Draft, found: Found, message: str) -> RefusedError:
    return refuse(change, found, "database", message, _next(found.environment.file.environment, found.tenant))


def _next(environment: str, tenant: Tenant) -> str:
    """Say which commands lead on from where a restore stands."""
    now = tenant.database
    if now.restoring is not None:
        steps = ", then ".join(
            (
                _fill(environment, tenant, "TIME"),
                f"{_command(environment, tenant, 'compare')} --droplet ADDRESS",
                _command(environment, tenant, "switch"),
            )
        )
        return (
            f"Next: {steps}. If it began with --from backup, in the place of fill: {FROM_BACKUP}. To give it up: "
            f"{_command(environment, tenant, 'abandon')}"
        )
    if now.kept is not None:
        return f"Next: {_command(environment, tenant, 'finish')}. To go back: {_command(environment, tenant, 'back')}"
    if now.retired is not None:
        step = "finish" if now.retired < now.current else "abandon"
        undo = f". To go back: {_command(environment, tenant, 'back')}" if _earlier(now) else ""
        return (
            f"Next, when this is deployed: {_command(environment, tenant, step)}, which drops generation "
            f"{now.retired}{undo}"
        )
    return (
        f"To restore a dump beside it: {_command(environment, tenant, 'begin')} --from TIME (or `newest`, a dump's "
        "name, or `backup`)"
    )


def _fill(environment: str, tenant: Tenant, dump: str) -> str:
    return f"{_command(environment, tenant, 'fill')} --from {dump} --identity operators.key --droplet ADDRESS"


def _command(environment: str, tenant: Tenant, step: str) -> str:
    return f"presence360 restore {step} {environment} {tenant.slug}"
