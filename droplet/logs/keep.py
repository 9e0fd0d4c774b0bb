"""On the observability group's droplet: files of about a day, and none that is older than it may be.

journal-remote begins a new file when one is full, and removes the oldest of a group beyond its part of the disk
(journal-remote.conf(5), MaxUse=). It knows no time: a droplet that writes little would have one file for months. So
each day what is written is set aside under the name that systemd gives a full file, and `journalctl --vacuum-time`,
which removes only such files, does the rest.

The times of lines are the senders' word. A file that begins with a line of 2100 would stay for ever by it, so the time
at which the file was made here counts as well; journalctl, too, goes by the older of both.
"""

import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from droplet.converge.errors import CommandError
from droplet.converge.paths import write
from droplet.converge.processes import Run
from droplet.journal import ERROR, INFO, log

DAY_SECONDS = 86_400
AHEAD_SECONDS = 3600
"""A line of a droplet whose clock is right is not of a later time than this."""
SECONDS = 120

_HEADER = struct.Struct("<8s64x16s80x8s8x8s")
"""The parts of a file's header that its name has: signature, seqnum_id, head_entry_seqnum, head_entry_realtime
(systemd.io/JOURNAL_FILE_FORMAT, "Header"; integers are little endian)."""
_SIGNATURE = b"LPKSHHRH"
_MADE = "user.crtime_usec"
"""systemd's own mark on each file that it makes: when, in microseconds, little endian (fd_setcrtime in
src/basic/xattr-util.c). The kernel's time of birth is not in Python's `os.stat`."""


@dataclass(frozen=True)
class Keep:
    """One run.

    Attributes:
        run: runs a program.
        folder: has a folder for each group.
        days: how long lines are kept.
        clock: seconds since 1970.
        units: where those of the groups are that there are.
    """

    run: Run
    folder: Path
    days: int
    clock: Callable[[], float] = time.time
    units: Path = Path("/etc/systemd/system")

    def once(self, metrics: Path) -> bool:
        """Do it for each group, and write the metrics; whether all was done."""
        problems = []
        groups = sorted(path for path in self.folder.glob("*") if path.is_dir())
        for group in groups:
            try:
                self._set_aside(group)
                # A file goes when its first line is too old, and it has about a day: with one day more all are whole.
                self.run(
                    ["journalctl", f"--directory={group}", f"--vacuum-time={self.days + 1}days"], {}, SECONDS
                )
                problems += self._too_old(group)
            except (CommandError, OSError) as error:
                problems.append(f"{group.name}: {error}")
        for problem in problems:
            log(ERROR, problem)
        self._report(groups, metrics, success=not problems)
        return not problems

    def _set_aside(self, group: Path) -> None:
        names = {}
        for path in group.glob("*.journal"):
            # A full one has its name already.
            head = None if "@" in path.name else read_head(path)
            if head and self._is_a_day_old(path, head):
                names[path] = path.with_name(f"{path.stem}@{head.name}.journal")
        if not names:
            return
        unit = f"presence360-journal-{group.name}.service"
        # Of a group that is gone only its lines are left.
        writes = (self.units / unit).exists()
        # Its socket stays: a droplet that asks meanwhile waits, or comes again.
        if writes:
            self.run(["systemctl", "stop", unit], {}, SECONDS)
        for path, name in names.items():
            path.rename(name)
        if writes:
            self.run(["systemctl", "start", unit], {}, SECONDS)
        log(INFO, f"{group.name}: set {len(names)} files aside")

    def _is_a_day_old(self, path: Path, head: "Head") -> bool:
        now, made = self.clock(), made_at(path)
        if head.time and now - head.time > DAY_SECONDS:
            return True
        # Where nothing says when it was made, a first line of the future is enough.
        return head.time > now + AHEAD_SECONDS if made is None else now - made > DAY_SECONDS

    def _too_old(self, group: Path) -> list[str]:
        """Say which files are still there, whatever journalctl says of its success."""
        found = []
        for path in sorted(group.glob("*.journal*")):
            made = made_at(path)
            age = self.clock() - (path.stat().st_mtime if made is None else made)
            if age > (self.days + 2) * DAY_SECONDS:
                found.append(
                    f"{group.name}: {path.name} is {age / DAY_SECONDS:.0f} days old and was not removed "
                    f"(`days` is {self.days}). Remove it by hand"
                )
        return found

    def _report(self, groups: list[Path], metrics: Path, *, success: bool) -> None:
        name = "presence360_logs_kept"
        lines = [
            f"# HELP {name}_bytes What a group's logs take on the disk.",
            f"# TYPE {name}_bytes gauge",
            *(
                f'{name}_bytes{{sender="{group.name}"}} '
                f"{sum(path.stat().st_blocks * 512 for path in group.glob('*.journal'))}"
                for group in groups
            ),
            f"# HELP {name}_success Whether the last run could set files aside and remove old ones.",
            f"# TYPE {name}_success gauge",
            f"{name}_success {int(success)}",
            f"# HELP {name}_timestamp_seconds When the last run ended.",
            f"# TYPE {name}_timestamp_seconds gauge",
            f"{name}_timestamp_seconds {self.clock():.0f}",
        ]
        write(metrics, ("\n".join(lines) + "\n").encode(), mode=0o644)


@dataclass(frozen=True)
class Head:
    """Of a file: the time of its first line, 0 where it has none, and what its name has when it is full."""

    time: float
    name: str


def read_head(path: Path) -> Head | None:
    """Read a file's header; None where it is no journal."""
    with path.open("rb") as file:
        content = file.read(_HEADER.size)
    if len(content) < _HEADER.size:
        return None
    signature, sequence, first, began = _HEADER.unpack(content)
    number, microseconds = int.from_bytes(first, "little"), int.from_bytes(began, "little")
    if signature != _SIGNATURE:
        return None
    return Head(microseconds / 1e6, f"{sequence.hex()}-{number:016x}-{microseconds:016x}")


def made_at(path: Path) -> float | None:
    """Return when systemd made a file here, in seconds since 1970; None where the file does not say."""
    try:
        mark = os.getxattr(path, _MADE)
    except OSError:
        return None
    return int.from_bytes(mark, "little") / 1e6
