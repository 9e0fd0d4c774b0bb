"""`presence360 backups`: how the dumps are, another one at once, the copy, and one dump fetched."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from model.backup_status import DumpsStatus
from model.naming import CONTROL_PLANE_DATABASE
from model.plan import plan_environment
from ops import backups, dump_choice, dump_file
from ops.backups import Backups
from ops.ci import settings, workflow
from ops.command import console
from ops.command.options import EnvironmentName, Environments, Json, examples, folder_to_write, load
from ops.command.wrong import Wrong
from ops.edits import find_tenant
from ops.paths import ENVIRONMENTS, ROOT
from ops.waiting import SYSTEM_CLOCK

HEADING = ("church", "cluster", "last good dump", "MiB", "failed", "reason")

app = typer.Typer(no_args_is_help=True, help="Dumps of our own: show, make, copy and fetch them.")

ChurchOrControlPlane = Annotated[
    str, typer.Argument(metavar="CHURCH", help="A church's slug or id, or `control_plane`.")
]

First = Annotated[
    bool, typer.Option("--first", help="From the bucket that the control group writes, instead of the copy.")
]


def _backups(environments: Path, environment: str, *churches: str) -> Backups:
    """Open an environment's dumps; a church that there is not, and a key that is missing, are told together."""
    loaded = load(environments, environment)
    with Wrong() as wrong:
        for church in churches:
            if church != CONTROL_PLANE_DATABASE:
                with wrong.part():
                    find_tenant(loaded, church, environments)
        with wrong.part():
            found = Backups.of(plan_environment(loaded), settings.load(ROOT))
    return found


@app.command(**examples("backups show staging", "backups show staging --json"))
def show(environment: EnvironmentName, json: Json = False, environments: Environments = ENVIRONMENTS) -> None:
    """Show each database's last good dump, and why one failed."""
    found = _backups(environments, environment)
    status = found.status()
    if json:
        console.as_json(_as_json(found, status))
    elif status is None:
        console.say(f"{environment}: the control group has not said anything of dumps yet")
    else:
        _table(found, status)


@app.command("list", **examples("backups list staging grace", "backups list staging grace --first --json"))
def list_dumps(
    environment: EnvironmentName,
    church: ChurchOrControlPlane,
    first: First = False,
    json: Json = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """List the dumps of a church, of every generation of its database, the newest first."""
    found = dump_choice.dumps_of(_backups(environments, environment, church), church, first=first)
    if json:
        console.as_json(
            [
                {
                    "name": one.folder,
                    "database": one.database,
                    "cluster": one.cluster,
                    "at": one.at.isoformat(),
                }
                for one in reversed(found)
            ]
        )
        return
    if not found:
        where = "the first bucket" if first else "the copy; `--first` looks into the bucket that is copied"
        console.say(
            f"{church}: there is no dump in {where}. `presence360 backups show {environment}` says why"
        )
        return
    rows = [(f"{one.at:%Y-%m-%d %H:%M:%S} UTC", one.cluster, one.folder) for one in reversed(found)]
    console.table(("of", "cluster", "name"), rows)


@app.command(**examples("backups dump staging", "backups dump staging grace"))
def dump(
    environment: EnvironmentName,
    churches: Annotated[
        list[str] | None, typer.Argument(metavar="[CHURCH]...", help="Slugs or ids, or `control_plane`.")
    ] = None,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Ask for dumps at once: of the churches named, or of every database."""
    found = _backups(environments, environment, *(churches or ()))
    found.ask([found.database(one) for one in churches or ()], SYSTEM_CLOCK.time())
    console.say(
        "Asked for. The control group begins within two minutes, or when the run that is under way has ended."
    )
    console.say(f"How far it is: presence360 backups show {environment}")


@app.command(**examples("backups copy staging"))
def copy(
    environment: EnvironmentName,
    only_if_asked_for: Annotated[
        bool,
        typer.Option(
            "--only-if-asked-for",
            help="For CI: exit code 0 where environment.yaml has no `backups:`.",
            hidden=True,
        ),
    ] = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Copy new dumps to the second bucket, and check each. A workflow does it every night, with a key of its own."""
    if only_if_asked_for and load(environments, environment).file.backups is None:
        console.say(f"{environment}: environment.yaml has no `backups:`, so there is nothing to copy")
        return
    found = _backups(environments, environment)
    result = backups.copy(found, SYSTEM_CLOCK.time(), lambda line: workflow.annotate("error", line))
    console.say(
        f"{environment}: {len(result.new)} new dumps were copied and checked, {len(result.failed)} failed"
    )
    for database, at in sorted(result.old.items()):
        workflow.annotate(
            "error",
            f"{found.name(database)}: its newest dump is of {at:%Y-%m-%d %H:%M} UTC: nothing came since",
        )
    if result.never:
        names = ", ".join(found.name(database) for database in result.never)
        console.warn(f"no dump yet: {names}")
    if not result.good:
        raise typer.Exit(1)


@app.command(
    **examples(
        "backups fetch staging grace --into grace-dump",
        "backups fetch staging grace --before 2026-11-20T12:00Z --into grace-dump",
    )
)
def fetch(
    environment: EnvironmentName,
    church: ChurchOrControlPlane,
    into: Annotated[Path, typer.Option(help="A new folder for the dump; it stays encrypted.")],
    before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The newest dump before this time, in UTC; left out, of all."),
    ] = None,
    first: First = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Fetch a dump, and check that it is what its index says. docs/backups.md says how it is read and restored."""
    with Wrong() as wrong:
        with wrong.part():
            if into.is_dir() and any(into.iterdir()):
                raise typer.BadParameter(f"{into} is not empty", param_hint="--into")
        with wrong.part():
            until = time_of(before, "--before")
        with wrong.part():
            found = _backups(environments, environment, church)
    folder_to_write(into)
    wanted = dump_choice.choose(found, church, until, first=first)
    backups.fetch(found, wanted, into, first=first)
    console.say(f"{into}: the dump {wanted.folder}, of {wanted.at:%Y-%m-%d %H:%M:%S} UTC")


@app.command(
    "open",
    **examples(
        "backups open grace-dump --identity operators.key",
        "backups open grace-dump --identity operators.key --archive grace.dump",
    ),
)
def open_dump(
    folder: Annotated[Path, typer.Argument(help="What `backups fetch` made.")],
    identity: Annotated[
        Path,
        typer.Option(help="A file with the private key of one of the recipients; it stays on this machine."),
    ],
    archive: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the archive alone into a new file, for pg_restore on this machine."
        ),
    ] = None,
) -> None:
    """Decrypt a dump, and write it to the next program: docs/runbooks/restore.md."""
    with Wrong() as wrong:
        with wrong.part():
            dump_file.check_folder(folder)
        with wrong.part():
            dump_file.check(identity)
        with wrong.part():
            if archive is None and sys.stdout.isatty():
                raise typer.BadParameter(
                    "a dump is no text for a terminal: write it to a program, or use --archive FILE"
                )
    if archive:
        dump_file.write_archive(folder, identity, archive)
        console.say(f"{archive}: the church's data in clear text; delete it when you are done")
    else:
        dump_file.pass_on(folder, identity, sys.stdout.buffer)


def time_of(text: str | None, option: str, otherwise: str = "") -> datetime | None:
    """Read a time; one without a zone is in UTC.

    Args:
        text: what was written; None: nothing.
        option: where.
        otherwise: what the option takes beside a time.

    Raises:
        BadParameter: it is none.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; write one such as 2026-11-20T12:00Z{otherwise and f', or: {otherwise}'}",
            param_hint=option,
        ) from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _table(found: Backups, status: DumpsStatus) -> None:
    console.say(f"{found.environment}: as of {status.time:%Y-%m-%d %H:%M} UTC", style="bold")
    for line in status.trouble:
        console.warn(line)
    console.table(
        HEADING,
        [
            (
                found.name(one.database),
                one.cluster,
                one.at and f"{one.at:%Y-%m-%d %H:%M} UTC",
                f"{one.bytes / 2**20:.1f}",
                f"{one.tries} times" if one.tries else None,
                one.reason or None,
            )
            # What somebody has to look at first.
            for one in sorted(status.databases, key=lambda one: (not one.tries, found.name(one.database)))
        ],
    )


def _as_json(found: Backups, status: DumpsStatus | None) -> dict[str, object]:
    return {
        "environment": found.environment,
        "time": status and status.time.isoformat(),
        "trouble": list(status.trouble) if status else [],
        "databases": [
            {
                "name": found.name(one.database),
                "database": one.database,
                "cluster": one.cluster,
                "at": one.at and one.at.isoformat(),
                "bytes": one.bytes,
                "tries": one.tries,
                "reason": one.reason,
            }
            for one in (status.databases if status else ())
        ],
    }
