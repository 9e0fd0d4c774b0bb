"""`presence360 restore`: one church of then beside today's, step by step (docs/runbooks/restore.md)."""

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from model.backup_status import DumpName
from model.naming import tenant_database
from model.plan import plan_environment
from ops import backups, dump_choice, dump_file, restoring
from ops.backups import Backups
from ops.ci import settings
from ops.command import console
from ops.command.backups import First, time_of
from ops.command.options import EnvironmentName, Environments, Json, TenantName, examples, load
from ops.command.wrong import Wrong
from ops.edits import Found, find_tenant
from ops.errors import OperationError, UsageError
from ops.paths import ENVIRONMENTS, ROOT
from ops.restore_run import OnDroplet, cluster_of, database_of

NEWEST, BACKUP = "newest", "backup"

app = typer.Typer(
    no_args_is_help=True, help="One church of then beside today's: docs/runbooks/restore.md has the steps."
)

Source = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="TIME|DUMP|newest|backup",
        help="The newest dump before a time in UTC, a dump's name (presence360 backups list), `newest`, or `backup`: a "
        "fork of one of DigitalOcean's (docs/runbooks/restore.md).",
    ),
]
Droplet = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS", help="A droplet of the control group (presence360 status has it), for SSH as root."
    ),
]


@app.command(**examples("restore show staging grace", "restore show staging grace --json"))
def show(
    environment: EnvironmentName,
    tenant: TenantName,
    json: Json = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Say which databases a church has, and which step comes next."""
    one = _found(environments, environment, tenant).tenant
    if not json:
        for line in restoring.standing(environment, one):
            console.say(line)
        return
    now = one.database
    console.as_json(
        {
            "environment": environment,
            "id": one.id,
            "slug": one.slug,
            "state": restoring.state_of(now),
            "served": database_of(one, now.current),
            **{
                word: None if number is None else database_of(one, number)
                for word, number in (
                    ("restoring", now.restoring),
                    ("kept", now.kept),
                    ("retired", now.retired),
                )
            },
            "abandoned": sorted(now.abandoned),
        }
    )


@app.command(
    **examples(
        "restore begin staging grace --from 2026-11-20T12:00Z",
        "restore begin staging grace --from newest",
    )
)
def begin(
    environment: EnvironmentName,
    tenant: TenantName,
    source: Source,
    first: First = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Begin: the deploy makes a second, empty database, in which nobody of the church's is let."""
    found = _found(environments, environment, tenant)
    with Wrong() as wrong:
        with wrong.part():
            restoring.may_begin(environments, environment, tenant)
        with wrong.part():
            _check_source(found, source)
        with wrong.part():
            known = _backups(found)
    if source != BACKUP:
        _say_of(_dump(known, found, source, first=first))
    dumped = dump_choice.last_generation(known, found.tenant.id)
    console.edited(restoring.begin(environments, environment, tenant, source, dumped))


@app.command(
    **examples(
        "restore fill staging grace --from 2026-11-20T12:00Z --identity operators.key --droplet 203.0.113.7"
    )
)
def fill(
    environment: EnvironmentName,
    tenant: TenantName,
    *,
    source: Source,
    identity: Annotated[
        Path,
        typer.Option(help="A file with the private key of one of the recipients; it stays on this machine."),
    ],
    droplet: Droplet,
    first: First = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Restore a dump into the second database. After a failure or a Ctrl-C it is as empty as before."""
    found = _found(environments, environment, tenant)
    at = OnDroplet(droplet, cluster_of(found.environment, found.tenant))
    with Wrong() as wrong:
        with wrong.part():
            then, _ = _both(found)
        with wrong.part():
            _check_source(found, source)
            if source == BACKUP:
                raise UsageError([f"--from {BACKUP}: {restoring.FROM_BACKUP}"])
        with wrong.part():
            dump_file.check(identity)
        with wrong.part():
            at.check()
        with wrong.part():
            known = _backups(found)
    wanted = _dump(known, found, source, first=first)
    _say_of(wanted)
    with tempfile.TemporaryDirectory(prefix="presence360-restore-") as folder:
        # What the dump says of itself is small: another key is found out before the whole dump was fetched.
        look, whole = Path(folder) / "contents", Path(folder) / "dump"
        backups.fetch(known, wanted, look, first=first, only=frozenset({dump_file.CONTENTS}))
        dump_file.contents(look, identity)
        backups.fetch(known, wanted, whole, first=first)
        at.fill(whole, identity, then)
    console.say(f"{then} holds what the dump holds.", style="bold")
    console.say(f"Next: presence360 restore compare {environment} {found.tenant.slug} --droplet {droplet}")


@app.command(**examples("restore compare staging grace --droplet 203.0.113.7"))
def compare(
    environment: EnvironmentName,
    tenant: TenantName,
    droplet: Droplet,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Show what differs between then and now, table by table: counts of rows, and never what is in one."""
    found = _found(environments, environment, tenant)
    OnDroplet(droplet, cluster_of(found.environment, found.tenant)).compare(*_both(found))
    console.say(f"Next: presence360 restore switch {environment} {found.tenant.slug}, or abandon")


@app.command(**examples("restore switch staging grace"))
def switch(
    environment: EnvironmentName,
    tenant: TenantName,
    unchecked: Annotated[
        bool,
        typer.Option(
            "--unchecked",
            help="Do not ask the bucket of the dumps whether anything was restored: where that bucket is lost "
            "(docs/runbooks/restore.md).",
        ),
    ] = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Serve what was restored, and keep today's beside it. The church is in maintenance until you end that."""
    restoring.may_switch(environments, environment, tenant)
    if not unchecked:
        _check_filled(_found(environments, environment, tenant))
    console.edited(restoring.switch(environments, environment, tenant))


@app.command(**examples("restore back staging grace"))
def back(environment: EnvironmentName, tenant: TenantName, environments: Environments = ENVIRONMENTS) -> None:
    """Undo a switch: serve the database again that was served before it."""
    console.edited(restoring.back(environments, environment, tenant))


@app.command(**examples("restore finish staging grace"))
def finish(
    environment: EnvironmentName, tenant: TenantName, environments: Environments = ENVIRONMENTS
) -> None:
    """Give up the database that was served before a switch: retire it, and called once more, drop it."""
    console.edited(restoring.finish(environments, environment, tenant))


@app.command(**examples("restore abandon staging grace"))
def abandon(
    environment: EnvironmentName, tenant: TenantName, environments: Environments = ENVIRONMENTS
) -> None:
    """Give up the database that was restored: retire it, and called once more, drop it."""
    console.edited(restoring.abandon(environments, environment, tenant))


def _found(environments: Path, environment: str, tenant: str) -> Found:
    return find_tenant(load(environments, environment), tenant, environments)


def _check_filled(found: Found) -> None:
    """Check that the generation that is to be served was dumped since it was filled: that dump was read back."""
    then, _ = _both(found)
    known = _backups(found)
    has = dump_choice.content_of(known, then)
    dumped = has and f"{has[0].at:%Y-%m-%d %H:%M} UTC"
    if has is None or not has[1].tables:
        told = f"its newest dump, of {dumped}, has no table" if has else "there is no dump of it"
        raise OperationError(
            f"{then} is not known to hold anything: {told}. A database is dumped within minutes of its restore: run "
            "this again then. If it was not filled, fill it. --unchecked switches all the same"
        )
    console.say(f"{then} holds {has[1].tables} tables with {has[1].rows} rows, by its dump of {dumped}.")


def _both(found: Found) -> tuple[str, str]:
    """Return the databases that a restore is between: of then, and of now."""
    tenant, now = found.tenant, found.tenant.database
    if now.restoring is None:
        raise UsageError(
            [
                f"{tenant.slug}: no generation of its database is being restored. `presence360 restore begin` begins it"
            ]
        )
    return database_of(tenant, now.restoring), database_of(tenant, now.current)


def _backups(found: Found) -> Backups:
    return Backups.of(plan_environment(found.environment), settings.load(ROOT))


def _dump(known: Backups, found: Found, source: str, *, first: bool) -> DumpName:
    slug = found.tenant.slug
    if "/" in source:
        return dump_choice.named(known, slug, source, first=first)
    before = None if source == NEWEST else _time(source)
    return dump_choice.choose(known, slug, before, first=first)


def _check_source(found: Found, source: str) -> None:
    """Check what can be known of `--from` without a bucket."""
    if "/" in source:
        dump_choice.name_of_dump(source, found.tenant.slug, tenant_database(found.tenant.id))
    elif source not in {NEWEST, BACKUP}:
        _time(source)


def _time(source: str) -> datetime | None:
    return time_of(source, "--from", f"{NEWEST}, {BACKUP}, or a dump's name")


def _say_of(wanted: DumpName) -> None:
    console.say(f"The dump: {wanted.folder}, of {wanted.at:%Y-%m-%d %H:%M:%S} UTC")
