"""Programs of Debian 13 on this machine: unpacked into the cache, not installed, and nothing starts by itself.

They are what droplets have, or what DigitalOcean's services are made of, and each runs with the C library that it was
built for, whatever Debian this machine has.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SUITE = "trixie"


class MissingError(Exception):
    """This machine cannot have something; the message says why."""


def cache() -> Path:
    """Return the folder for what takes long to make and is the same in each run."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "presence360"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder of the cache; where it is not there yet, ``make`` fills it, whole or not at all.

    Several processes may ask at the same time: one makes it, the others wait.
    """
    folder = cache() / name
    with _locked(cache() / f"{name}.lock"):
        if not folder.exists():
            draft = cache() / f"{name}.new"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            make(draft)
            draft.replace(folder)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def unpacked(package: str, programs: Mapping[str, str], *more: str, beside: Sequence[str] = ()) -> Path:
    """Return a folder with some programs of a Debian package, made in a few seconds where it is not there yet.

    The folder can be copied elsewhere.

    Args:
        package: its name; what it depends on comes with it.
        programs: by the name that each gets in the folder, where the package has it, such as ``usr/sbin/pgbouncer``.
        more: further packages that have some of the programs.
        beside: patterns of files that a program looks for in its own folder, or loads as it goes.

    Raises:
        MissingError: this machine cannot have it.
    """
    # By what is in it as well: an older checkout's folder may lack a program.
    content = "\n".join((package, *more, *beside, *(f"{name} {path}" for name, path in programs.items())))
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    return made_once(
        f"{package}-{SUITE}-{digest}", lambda folder: _unpack(folder, (package, *more), programs, beside)
    )


def _unpack(
    folder: Path, packages: Sequence[str], programs: Mapping[str, str], beside: Sequence[str]
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "debian"
        extract(root, *packages)
        loader = next(root.glob("usr/lib/*/ld-linux-*.so.*"))
        # Some libraries, such as those of radosgw, are in a folder below Debian's.
        below = (loader.parent / name for name in ("ceph", "pulseaudio", "systemd"))
        search = ":".join(str(path) for path in (loader.parent, *below) if path.exists())
        library = folder / "lib"
        library.mkdir()
        shutil.copy(loader, library)
        for found in [path for pattern in beside for path in root.glob(pattern)]:
            shutil.copy(found, library)
        for name, path in programs.items():
            # In Debian one may be a link to another program, which looks at the name that it is run by.
            binary = shutil.copy((root / path).resolve(), library / f"{name}.bin")
            shown = subprocess.run(
                [loader, "--library-path", search, "--list", binary],
                capture_output=True,
                text=True,
                check=True,
            )
            for word in shown.stdout.split():
                if word.startswith(str(root)) and not (library / Path(word).name).exists():
                    shutil.copy(word, library)
            program = folder / name
            program.write_text(
                '#!/bin/sh\nhome=$(dirname "$0")/lib\n'
                f'exec "$home/{loader.name}" --library-path "$home" --argv0 {name} "$home/{name}.bin" "$@"\n',
                encoding="utf-8",
            )
            program.chmod(0o755)


def extract(root: Path, *packages: str) -> None:
    """Unpack Debian packages and what they depend on into a new folder.

    Raises:
        MissingError: mmdebstrap is missing here, or Debian's packages cannot be had.
    """
    if not shutil.which("mmdebstrap"):
        raise MissingError(f"no mmdebstrap to get Debian 13's {', '.join(packages)} with")
    command = ["mmdebstrap", "--variant=extract", f"--include={','.join(packages)}", SUITE, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MissingError(f"mmdebstrap: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
