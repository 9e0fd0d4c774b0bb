"""What a container uses, as the kernel counts it (kernel documentation, "Control Group v2")."""

from dataclasses import dataclass
from pathlib import Path

_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Usage:
    """What a container uses; None where the kernel does not count it.

    Attributes:
        memory: in bytes, without the files that the kernel only caches and gives up first, as `docker stats` counts.
        cpu_seconds: since the container started.
        processes: and threads.
    """

    memory: int | None = None
    cpu_seconds: float | None = None
    processes: int | None = None


def usage(pid: int, *, proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")) -> Usage:
    """Return what the control group of a container's first process uses."""
    group = _group(pid, proc, root)
    if group is None:
        return Usage()
    current, cached = _number(group / "memory.current"), _entry(group / "memory.stat", "inactive_file")
    microseconds = _entry(group / "cpu.stat", "usage_usec")
    return Usage(
        memory=None if current is None else max(0, current - (cached or 0)),
        cpu_seconds=None if microseconds is None else microseconds / _MICROSECONDS,
        processes=_number(group / "pids.current"),
    )


def _group(pid: int, proc: Path, root: Path) -> Path | None:
    """Find the folder of a process's group: the line of version 2 is `0::/path`."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return None
    return next((root / line[3:].lstrip("/") for line in lines if line.startswith("0::")), None)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _entry(file: Path, name: str) -> int | None:
    """Return one line of a file of lines `name number`."""
    try:
        lines = dict(line.split(" ", 1) for line in file.read_text().splitlines())
        return int(lines[name])
    except (OSError, ValueError, KeyError):
        return None
