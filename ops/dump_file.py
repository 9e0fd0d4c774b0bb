"""A dump that was fetched: decrypted on the operator's machine, and passed on to droplet/restore."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import IO, Any

from model.backup_status import INDEX
from ops.arguments import told
from ops.errors import OperationError, UsageError

DUMP, CONTENTS = "dump.age", "contents.age"
AGE = "age"
NO_AGE = "age is not installed: Debian's package `age`, or https://github.com/FiloSottile/age"


def check(identity: Path, age: str = AGE, *, option: str = "--identity") -> None:
    """Check what opens a dump, before one is fetched; `option` names the file in the call.

    Raises:
        UsageError: the file with the key cannot be read, or the program is missing.
    """
    problems = []
    try:
        identity.read_bytes()
    except OSError as error:
        problems.append(
            f"{option} {told(identity)}: {error.strerror}. Name the file with your private key of age."
        )
    if shutil.which(age) is None:
        problems.append(NO_AGE)
    if problems:
        raise UsageError(problems)


def check_folder(folder: Path) -> None:
    """Check that a folder has a dump.

    Raises:
        UsageError: a part of it is missing.
    """
    if missing := [name for name in (INDEX, DUMP, CONTENTS) if not (folder / name).is_file()]:
        there = "it has no" if folder.is_dir() else "there is no such folder, so no"
        raise UsageError(
            [
                f"{told(folder)}: {there} {', '.join(missing)}. Name a folder that `presence360 backups fetch` made."
            ]
        )


def contents(folder: Path, identity: Path, age: str = AGE) -> dict[str, Any]:
    """Decrypt what a dump says of itself, and check that it belongs to the index beside it.

    Args:
        folder: as `presence360 backups fetch` made it.
        identity: a file with a private key.
        age: the program.

    Raises:
        OperationError: it cannot be decrypted, or is another dump's.
    """
    index = _json(_read(folder / INDEX), INDEX)
    done = _run([age, "--decrypt", "--identity", str(identity), str(folder / CONTENTS)])
    if done.returncode != 0:
        raise OperationError(_why(done.stderr, identity))
    said = _json(done.stdout, CONTENTS)
    for key in ("database", "cluster", "time", "schema"):
        if said.get(key) != index.get(key):
            raise OperationError(
                f"{folder}: {CONTENTS} is of another dump than {INDEX}: {key} is {said.get(key)!r} "
                f"and {index.get(key)!r}"
            )
    return said


def pass_on(folder: Path, identity: Path, out: IO[bytes], age: str = AGE) -> None:
    """Write what droplet/restore reads: a line with what the dump says of itself, and the archive behind it.

    Raises:
        OperationError: it cannot be decrypted, or is another dump's.
    """
    said = contents(folder, identity, age)
    out.write(json.dumps(said).encode() + b"\n")
    out.flush()
    _archive(folder, identity, out, age)


def write_archive(folder: Path, identity: Path, into: Path, age: str = AGE) -> None:
    """Write the archive into a new file that only its owner reads.

    Raises:
        OperationError: it cannot be decrypted, is another dump's, or the file is there already.
    """
    contents(folder, identity, age)
    try:
        descriptor = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise OperationError(f"{into}: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as out:
        _archive(folder, identity, out, age)


def _archive(folder: Path, identity: Path, out: IO[bytes], age: str) -> None:
    done = _run([age, "--decrypt", "--identity", str(identity), str(folder / DUMP)], out)
    if done.returncode != 0:
        raise OperationError(_why(done.stderr, identity))


def _run(command: list[str], out: IO[bytes] | None = None) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out or subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
    except FileNotFoundError:
        raise OperationError(NO_AGE) from None


def _why(said: bytes, identity: Path) -> str:
    text = said.decode(errors="replace").strip()
    if "no identity matched" in text:
        return f"{identity}: the dump was not encrypted for this key"
    line = next((one for one in text.splitlines() if one.startswith("age: error")), text[-300:])
    return f"the dump was not decrypted: {line.removeprefix('age: error: ')}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperationError(f"{path}: {error.strerror}; presence360 backups fetch makes it") from None


def _json(content: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise OperationError(f"{name} is not JSON") from None
    if not isinstance(value, dict):
        raise OperationError(f"{name} is not a JSON object")
    return value
