"""Install the systemd units and defaults that travel with the programs, and remove those that no longer do.

``units/<name>`` becomes ``/etc/systemd/system/<name>`` (drop-ins, ``units/<unit>.d/<name>.conf``, too), and
``defaults/<service>`` becomes ``/etc/default/<service>``.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from droplet import journal
from droplet.converge.errors import CommandError, ConvergeError
from droplet.converge.paths import Paths, write
from droplet.converge.processes import Run

SYSTEMCTL_SECONDS = 120

_ENABLING = {"SYSTEMCTL_SKIP_SYSV": "1"}
"""Debian's packages bring scripts for SysV's init as well. systemctl would enable those in /etc, where this program
does not write (systemd documentation, "Known Environment Variables")."""

_NO_RESTART = b"X-RestartIfChanged=no"
"""In a unit whose restart ends what clients do; systemd ignores options that begin with X- (systemd.unit(5))."""


def install(paths: Paths, run: Run) -> None:
    """Bring the droplet's units to what the current version of the programs brings.

    A unit with an ``[Install]`` section is enabled and started. One that changed is restarted, except a oneshot
    service, and one that says ``X-RestartIfChanged=no``: the next start reads the new file. What fails is tried again
    in the next run, and holds nothing else up.

    Raises:
        ConvergeError: systemd refused some of it.
    """
    if not paths.programs.is_dir():
        return
    wanted = {
        **_files(paths.programs / "units", paths.units),
        **_files(paths.programs / "defaults", paths.defaults),
    }
    before = _installed(paths)
    gone = [path for path in before if path not in wanted]
    changed = [
        path for path, text in wanted.items() if before.get(path) != _digest(text) or _read(path) != text
    ]
    if not gone and not changed:
        return
    # Recorded before anything is written, so that a run that is killed leaves no file that is never removed.
    record = {**before, **dict.fromkeys(changed, "")}
    _record(paths, record)
    problems: list[str] = []
    for path in gone:
        with _noting(path.name, problems):
            _remove(paths, run, path)
            del record[path]
    for path in changed:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write(path, wanted[path], mode=0o644)
    run(["systemctl", "daemon-reload"], {}, SYSTEMCTL_SECONDS)
    removed = {path.name for path in gone if path.parent == paths.units}
    touched = {_unit_of(paths, path) for path in (*changed, *gone)} - removed
    for unit in sorted(touched, key=_order):
        with _noting(unit, problems):
            own = paths.units / unit
            if own in changed and b"[Install]" in wanted[own].splitlines():
                run(["systemctl", "enable", "--now", unit], _ENABLING, SYSTEMCTL_SECONDS)
            if (own in before or own not in wanted) and _NO_RESTART not in wanted.get(own, b"").splitlines():
                _restart(run, unit)
            record.update({path: _digest(wanted[path]) for path in changed if _unit_of(paths, path) == unit})
            journal.log(journal.INFO, f"{unit} is as the programs bring it")
    _record(paths, record)
    if problems:
        raise ConvergeError("; ".join(problems))


@contextlib.contextmanager
def _noting(unit: str, problems: list[str]) -> Iterator[None]:
    """Note a problem with one unit, and go on with the next."""
    try:
        yield
    except CommandError as error:
        problems.append(f"{unit}: {error}")


def _remove(paths: Paths, run: Run, path: Path) -> None:
    # systemctl refuses a unit whose file somebody removed.
    if path.parent == paths.units and path.exists():
        run(["systemctl", "disable", "--now", path.name], _ENABLING, SYSTEMCTL_SECONDS)
    path.unlink(missing_ok=True)
    if path.parent not in {paths.units, paths.defaults}:
        with contextlib.suppress(OSError):
            path.parent.rmdir()
    journal.log(journal.INFO, f"removed {path}")


def _restart(run: Run, unit: str) -> None:
    kind = run(["systemctl", "show", "--value", "--property", "Type", unit], {}, SYSTEMCTL_SECONDS)
    if kind.strip() != "oneshot":
        run(["systemctl", "try-restart", unit], {}, SYSTEMCTL_SECONDS)


def _unit_of(paths: Paths, path: Path) -> str:
    """Return the unit that a file is of, or configures."""
    if path.is_relative_to(paths.defaults):
        return f"{path.name}.service"
    return path.relative_to(paths.units).parts[0].removesuffix(".d")


def _order(unit: str) -> tuple[bool, str]:
    """Timers and paths come after the services that they start."""
    return unit.endswith((".timer", ".path")), unit


def _files(source: Path, target: Path) -> dict[Path, bytes]:
    found = sorted(path for path in source.rglob("*") if path.is_file())
    return {target / path.relative_to(source): path.read_bytes() for path in found}


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _installed(paths: Paths) -> dict[Path, str]:
    """Return the digest of every file that earlier runs installed; empty where systemd has not taken it yet."""
    try:
        found = json.loads(paths.installed.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {Path(name): str(digest) for name, digest in found.items()}


def _record(paths: Paths, record: Mapping[Path, str]) -> None:
    text = json.dumps({str(path): digest for path, digest in record.items()}, indent=1, sort_keys=True)
    write(paths.installed, text.encode(), mode=0o644)
