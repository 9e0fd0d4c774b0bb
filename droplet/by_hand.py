"""What programs share that an operator starts on a droplet by hand: the passwords of a run, and how it ends."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from droplet.configuration import Cluster, ConfigurationError, read_configuration
from droplet.outcome import FailedError, RefusedError, UnknownError, printable
from droplet.session import SessionError

CONFIGURATIONS = Path("/var/lib/presence360/incoming/isolation")
"""The isolation job's configurations, as the group's bucket has them."""

LOCK_TIMEOUT_MS = 60_000
"""How long such a program waits for a lock."""

SETTINGS: Mapping[str, str] = {
    # The tenants' databases end statements after a minute; to copy or read a whole one takes longer.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "lock_timeout": str(LOCK_TIMEOUT_MS),
}
"""Of its sessions."""

_FIRST = 500
"""Where the droplet's memory is used up, the kernel kills these programs rather than a service (proc(5), oom_score_adj;
as much as jobs have, jobs/containers.py): a row of a church's may need any amount of it."""

_FOLDER = "presence360-by-hand-"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(work: Callable[[Path], None], *, undone: str = "") -> int:
    """Do what was asked for; return the exit code: 0 done, 1 failed, 2 refused before anything was begun.

    Args:
        work: is given a folder for passwords, which is removed with its end.
        undone: what is true after a failure, for the person at the terminal.
    """
    for number in _SIGNALS:
        signal.signal(number, _interrupted)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_FIRST), encoding="ascii")
    private = private_folder()
    try:
        work(private)
    except RefusedError as error:
        sys.stderr.writelines(f"refused: {printable(line)}\n" for line in str(error).splitlines())
        return 2
    except UnknownError as error:
        sys.stderr.write(printable(f"failed: {error}\n"))
        return 1
    except SessionError as error:
        sys.stderr.write(printable(f"failed: {error}\n"))
        if undone:
            sys.stderr.write(f"{undone}\n")
        return 1
    finally:
        shutil.rmtree(private)
    return 0


def find_cluster(folder: Path, name: str) -> Cluster:
    """Find a cluster in what Terraform's stacks say.

    Raises:
        RefusedError: no readable configuration names it.
    """
    known: dict[str, Cluster] = {}
    unreadable = []
    for path in sorted(folder.glob("*.json")):
        try:
            known |= {cluster.name: cluster for cluster in read_configuration(path, path.stem).clusters}
        except ConfigurationError:
            unreadable.append(path.name)
    if name not in known:
        more = f" Not readable: {', '.join(unreadable)}." if unreadable else ""
        names = ", ".join(sorted(known)) or "none"
        raise RefusedError(f"there is no cluster {name!r} in {folder}; there are: {names}.{more}")
    return known[name]


def private_folder() -> Path:
    """Make a folder for passwords, in memory if possible; remove those that killed runs left."""
    memory = Path("/run") if os.access("/run", os.W_OK) else Path(tempfile.gettempdir())
    for left in memory.glob(f"{_FOLDER}*-*"):
        if not Path("/proc", left.name.removeprefix(_FOLDER).partition("-")[0]).exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-", dir=memory))


def _interrupted(number: int, _frame: object) -> None:
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)  # what is left is to clean up
    raise FailedError(f"interrupted ({signal.Signals(number).name})")
