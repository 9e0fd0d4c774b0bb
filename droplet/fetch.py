#!/usr/bin/python3
"""presence360-fetch: fetch the group's bucket, install the programs that are in it, and start converge.

The programs travel as one object, programs.json: {"files": {path: text}}. Each version has a folder, programs/<digest>,
and the link programs/current names the one that runs. A version that fails its self-test is refused. It travels in
user data, so that no version can break it. Needs Debian 13's python3 and rclone, and nothing else.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

STATE = Path("/var/lib/presence360")
METRICS = Path("/run/presence360/fetch.prom")

RCLONE = ["/usr/bin/rclone", "--config", "/etc/presence360/rclone.conf"]
# --checksum: Terraform's objects carry no modification time to compare. Two levels: the objects, and isolation's.
LIMITS = ["--max-depth", "2", "--retries", "2", "--contimeout", "10s", "--timeout", "20s"]
FETCH_SECONDS, SELF_TEST_SECONDS = 50, 60

# -I: neither the working folder nor the environment decides what is imported. -B: a version stays as it was sent.
PYTHON = ["/usr/bin/python3", "-I", "-B"]

WAIT = 75
"""The running version's exit status for "wait" (droplet/converge/turns.py); any other means yes."""
ANSWER_SECONDS = 10
TURNS, SLOT_SECONDS = 1, 360
"""Where no release says how many slots a round of the group has, and how long each is."""


class RefusedError(Exception):
    """The bucket's programs are not installed; the version before goes on."""


def once() -> list[str] | None:
    """Fetch and update; return the command line of converge, or None while there are no programs."""
    fetched = updated = False
    # Whatever happens here, the version that is installed goes on.
    try:
        fetch()
        fetched = True
        update()
        updated = True
    except Exception as error:
        log(3, f"{type(error).__name__}: {error}")
    try:
        report(success=updated)
    except OSError as error:
        log(3, f"metrics: {error}")
    if version() is None:
        return None
    return [*PYTHON, f"{STATE}/programs/current", "converge", *([] if fetched else ["--heal"])]


def fetch() -> None:
    """Bring the folder `incoming` to what the bucket holds."""
    incoming = STATE / "incoming"
    incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
    subprocess.run(
        [*RCLONE, "--quiet", "--checksum", *LIMITS, "sync", "group:", incoming],
        check=True,
        timeout=FETCH_SECONDS,
    )


def update() -> None:
    """Install the fetched version, unless it runs already, is refused, or has to wait."""
    content = (STATE / "incoming/programs.json").read_bytes()
    digest, running = hashlib.sha256(content).hexdigest()[:16], version()
    programs = STATE / "programs"
    waiting = programs / "waiting"
    if digest == running:
        waiting.unlink(missing_ok=True)
        return
    if not (programs / digest).exists():
        unpack(json.loads(content)["files"], programs / digest)
    tested = subprocess.run(
        [*PYTHON, programs / digest, "self-test"],
        timeout=SELF_TEST_SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )
    if tested.returncode != 0:
        reason = tested.stderr[-500:]
        raise RefusedError(f"programs {digest}: self-test: exit {tested.returncode}: {reason}")
    if running and has_to_wait(digest, waiting):
        return
    link = programs / "current.new"
    link.unlink(missing_ok=True)
    link.symlink_to(digest)
    link.replace(programs / "current")
    log(6, f"programs {digest} installed, after {running or 'none'}")
    for path in programs.iterdir():
        if path.is_dir() and path.name not in {"current", digest, running}:
            shutil.rmtree(path)


def unpack(files: dict[str, str], folder: Path) -> None:
    """Write a version so that its folder is complete or does not exist, even after a power failure."""
    draft = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    for name, text in files.items():
        # A name of a file: "a/b", and neither "", ".", "/a", "a/", "a//b" nor "../a".
        if {"", ".", ".."} & set(name.split("/")):
            raise RefusedError(f"programs.json: {name!r} is not a path below the version's folder")
        (draft / name).parent.mkdir(parents=True, exist_ok=True)
        (draft / name).write_text(text)
    for path in (*draft.rglob("*"), draft):
        sync(path)
    draft.rename(folder)
    sync(folder.parent)


def sync(path: Path) -> None:
    """Write a file, or a folder's list of files, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def has_to_wait(digest: str, waiting: Path) -> bool:
    """Ask the running version whether another may take over now; a broken one cannot stop its successor."""
    if not waiting.exists() or waiting.read_text() != digest:
        waiting.write_text(digest)
    # Longer than a whole round and a slot: the version that still says "wait" may be broken.
    turns, slot_seconds = timing()
    if time.time() - waiting.stat().st_mtime > (turns + 1) * slot_seconds:
        return False
    try:
        asked = [*PYTHON, f"{STATE}/programs/current", "--may-update", digest]
        return subprocess.run(asked, timeout=ANSWER_SECONDS, check=False).returncode == WAIT
    except subprocess.TimeoutExpired:
        return False


def timing() -> tuple[int, int]:
    """Return how many turns the group's droplets take and how long one is, from the release that runs."""
    try:
        derived = json.loads((STATE / "current/derived.json").read_text())
        return int(derived["turns"]), int(derived["slot_seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return TURNS, SLOT_SECONDS


def version() -> str | None:
    """Return the digest of the version that runs."""
    current = STATE / "programs/current"
    return current.resolve().name if current.is_dir() else None


def report(*, success: bool) -> None:
    """Write the metrics of this run; the health daemon serves them."""
    lines = [
        "# HELP presence360_fetch_success Whether the bucket was fetched and its programs were not refused.",
        "# TYPE presence360_fetch_success gauge",
        f"presence360_fetch_success {int(success)}",
        f"presence360_fetch_timestamp_seconds {time.time():.0f}",
        f'presence360_programs_info{{digest="{version() or "none"}"}} 1',
    ]
    METRICS.parent.mkdir(exist_ok=True)
    draft = METRICS.with_name(".fetch.new")
    draft.write_text("\n".join(lines) + "\n")
    draft.replace(METRICS)


def log(priority: int, message: str) -> None:
    """Write one line to the journal, with its syslog priority (sd-daemon(3)); a second line would be one by itself."""
    line = "".join(one if one.isprintable() else repr(one)[1:-1] for one in message)
    sys.stdout.write(f"<{priority}>{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    command = once()
    if command is None:
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606  no shell, on purpose
