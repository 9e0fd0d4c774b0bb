"""Install the systemd units and defaults that travel with the programs, and remove those that no longer do.

``units/<name>`` becomes ``/etc/systemd/system/<name>`` (drop-ins, ``units/<unit>.d/<name>.conf``, too), and
``defaults/<service>`` becomes ``/etc/default/<service>``.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from droplet import journal
from droplet.converge.errors import CommandError, ConvergeError
from droplet.converge.paths import Paths, write
from droplet.converge.processes import Run

SYSTEMCTL_SECONDS = 120


def install(paths: Paths, run: Run) -> None:
    """Bring the droplet's units to what the current version of the programs brings.

    A unit with an ``[Install]`` section is enabled and started. One that changed is restarted, except a oneshot
    service: its next start reads the new file. What fails is tried again in the next run, and holds nothing else up.

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
    gone = [Path(name) for name in before if Path(name) not in wanted]
    changed = [
        path for path, text in wanted.items() if before.get(str(path)) != _digest(text) or _read(path) != text
    ]
    if not gone and not changed:
        return
    # Recorded before it is written, so that a run that is killed leaves nothing unknown behind.
    record = {**before, **{str(path): "" for path in changed}}
    _record(paths, record)
    failed = [_attempt(paths, run, record, path, None, known=True) for path in gone]
    for path in changed:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write(path, wanted[path], mode=0o644)
    run(["systemctl", "daemon-reload"], {}, SYSTEMCTL_SECONDS)
    failed += [
        _attempt(paths, run, record, path, wanted[path], known=str(path) in before)
        for path in _ordered(changed)
    ]
    _record(paths, record)
    if problems := [problem for problem in failed if problem]:
        raise ConvergeError("; ".join(problems))


def _attempt(
    paths: Paths, run: Run, record: dict[str, str], path: Path, text: bytes | None, *, known: bool
) -> str | None:
    """Put one file into effect, or remove it where it has no text; return the problem, and record success."""
    unit = _unit_of(paths, path)
    try:
        if text is None:
            _remove(paths, run, path, unit)
            del record[str(path)]
            journal.log(journal.INFO, f"removed {path}")
            return None
        if path.parent == paths.units and b"[Install]" in text.splitlines():
            run(["systemctl", "enable", "--now", unit], {}, SYSTEMCTL_SECONDS)
        if known or path.parent != paths.units:
            _restart(run, unit)
    except CommandError as error:
        return f"{unit}: {error}"
    record[str(path)] = _digest(text)
    journal.log(journal.INFO, f"installed {path}")
    return None


def _remove(paths: Paths, run: Run, path: Path, unit: str) -> None:
    if path.parent == paths.units:
        run(["systemctl", "disable", "--now", unit], {}, SYSTEMCTL_SECONDS)
    path.unlink(missing_ok=True)
    if path.parent not in {paths.units, paths.defaults}:
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _restart(run: Run, unit: str) -> None:
    kind = run(["systemctl", "show", "--value", "--property", "Type", unit], {}, SYSTEMCTL_SECONDS)
    if kind.strip() != "oneshot":
        run(["systemctl", "try-restart", unit], {}, SYSTEMCTL_SECONDS)


def _unit_of(paths: Paths, path: Path) -> str:
    if path.is_relative_to(paths.defaults):
        return f"{path.name}.service"
    return path.relative_to(paths.units).parts[0].removesuffix(".d")


def _ordered(changed: Iterable[Path]) -> list[Path]:
    """Defaults and drop-ins first, so that a unit starts with them; timers and paths after the services they start."""
    return sorted(
        changed, key=lambda path: (path.suffix in {".timer", ".path"}, path.suffix == ".service", path)
    )


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


def _installed(paths: Paths) -> dict[str, str]:
    try:
        found = json.loads(paths.installed.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {str(name): str(digest) for name, digest in found.items()}


def _record(paths: Paths, record: Mapping[str, str]) -> None:
    write(paths.installed, json.dumps(record, indent=1, sort_keys=True).encode(), mode=0o644)
