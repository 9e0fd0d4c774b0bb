"""Backups of the metrics in Spaces, by vmbackup and vmrestore: the newest state, and one a day for a week.

Only what changed travels (VictoriaMetrics documentation, "vmbackup", "Incremental backups"); the day's is copied from
the newest inside Spaces.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from droplet.converge.errors import CommandError
from droplet.converge.paths import write
from droplet.converge.processes import Run
from droplet.journal import ERROR, INFO, log

DATA = Path("/srv/metrics/data")
STORE = "http://127.0.0.1:8428"
NAME = "metrics-backup.prom"
PUBLISHED = Path("/run/presence360") / NAME
"""The metrics of the run before, as the health daemon serves them."""
_WHEN = 'presence360_backup_timestamp_seconds{what="metrics"}'
SECONDS = 3000
LATEST = "latest"
DAYS = 7

COMPLETE = "backup_complete.ignore"
"""The object that ends a backup; vmrestore names it where there is none (lib/backup/actions/restore.go)."""
BEGUN = "restore-in-progress"
"""The file with which vmrestore begins, and which it removes at its end (lib/backup/backupnames)."""


def backup(
    run: Run, given: Path, scratch: Path, published: Path = PUBLISHED, now: float | None = None
) -> int:
    """Copy the newest state, and keep the day's; 1 if that failed."""
    now = time.time() if now is None else now
    problem = ""
    try:
        known = _known(given)
        snapshot = f"-snapshot.createURL={STORE}/snapshot/create"
        _run(
            run,
            known,
            ["/usr/bin/vmbackup", f"-storageDataPath={DATA}", snapshot, f"-dst={_place(known, LATEST)}"],
        )
        # A week later the same name is written again; 0 is Monday.
        day = f"day-{time.gmtime(now).tm_wday}"
        # Backups without a snapshot copy from one to the other (its documentation, "Server-side copy of the backup").
        _run(
            run,
            known,
            ["/usr/bin/vmbackup", f"-origin={_place(known, LATEST)}", f"-dst={_place(known, day)}"],
        )
    except (CommandError, OSError, ValueError, KeyError) as error:
        problem = str(error)
        log(ERROR, f"backup: {problem}")
    _report(scratch, published, now, success=not problem)
    return 1 if problem else 0


def restore(run: Run, given: Path, data: Path = DATA, now: float | None = None) -> int:
    """Bring the newest whole backup back, where there is nothing yet, or where that was begun; 1 if it failed.

    The unit of the store runs it before each start. Where no backup was ever made, as on the first droplet, the store
    begins empty. Where one cannot be fetched now it does not begin, and is started again: the next backup of an empty
    store would take the place of the one that is wanted.
    """
    if data.exists() and any(data.iterdir()) and not (data / BEGUN).exists():
        return 0
    try:
        known = _known(given)
        found = next((place for place in _newest_first(now) if _restored(run, known, place, data)), None)
    except (CommandError, OSError, ValueError, KeyError) as error:
        log(ERROR, f"the last backup cannot be restored: {error}")
        return 1
    if found:
        log(INFO, f"the metrics come from the backup {found}")
    else:
        log(INFO, "there is no backup yet: the store begins empty")
        # What vmrestore left keeps the store from starting.
        for path in data.iterdir() if data.exists() else ():
            path.unlink()
    _give_away(data)
    return 0


def _newest_first(now: float | None) -> list[str]:
    today = time.gmtime(time.time() if now is None else now).tm_wday
    return [LATEST, *(f"day-{(today - back) % DAYS}" for back in range(DAYS))]


def _restored(run: Run, known: Mapping[str, Any], place: str, data: Path) -> bool:
    """Restore one backup; False if it is not there, or was not completed."""
    try:
        _run(run, known, ["/usr/bin/vmrestore", f"-src={_place(known, place)}", f"-storageDataPath={data}"])
    except CommandError as error:
        if COMPLETE in str(error):
            return False
        raise
    return True


def _give_away(data: Path) -> None:
    """Let the store have what root wrote: its folder's owner is its user."""
    if not data.exists():
        return
    owner = data.stat()
    for path in (data, *data.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _known(given: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((given / "backup.json").read_text(encoding="utf-8"))
    return value


def _place(known: Mapping[str, Any], name: str) -> str:
    return f"s3://{known['bucket']}/{name}"


def _run(run: Run, known: Mapping[str, Any], command: list[str]) -> None:
    endpoint = f"-customS3Endpoint={known['endpoint']}"
    # On no command line, where every user of the droplet could read them.
    login = {
        "AWS_ACCESS_KEY_ID": str(known["access_key"]),
        "AWS_SECRET_ACCESS_KEY": str(known["secret_key"]),
        "AWS_REGION": "us-east-1",
    }
    run([*command, endpoint, "-httpListenAddr=127.0.0.1:0", "-loggerLevel=ERROR"], login, SECONDS)


def _report(scratch: Path, published: Path, now: float, *, success: bool) -> None:
    text = (
        "# HELP presence360_backup_success Whether the last backup was made.\n"
        "# TYPE presence360_backup_success gauge\n"
        f'presence360_backup_success{{what="metrics"}} {int(success)}\n'
    )
    if success:
        text += f"{_WHEN} {now:.0f}\n"
    elif published.exists():
        # When the last good one was made.
        lines = published.read_text(encoding="utf-8").splitlines(keepends=True)
        text += "".join(line for line in lines if line.startswith(_WHEN))
    write(scratch / NAME, text.encode(), mode=0o644)
