"""A program that the kernel kills: who waits for it says so, and says nothing of the others, which lost their input."""

from pathlib import Path

import pytest

from droplet.backup.archive import Encryption, Running, make
from droplet.backup.errors import BackupError, GaveWayError
from droplet.drill.checks import explained
from droplet.killed import KilledError, words
from droplet.move_tenant.pipe import pipe
from droplet.postgres import Client
from droplet.session import Session
from tests.droplet.test_postgres import client

KILLED = "echo a row of a church >&2; kill -9 $$"
# Like the programs': the one ends with an error where its input ends early, the other has no error of its own.
READS, FAILS = "exec cat", "cat >/dev/null; echo 'could not read from input file: end of file' >&2; exit 1"


def programs(folder: Path, **scripts: str) -> Client:
    made = client(folder, "exec cat >/dev/null")
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return made


def dumped(folder: Path, running: Running, **scripts: str) -> None:
    reader = programs(folder, age="cat >/dev/null", **scripts)
    encryption = Encryption(["age1"], str(folder / "age"))
    make(
        reader, "tenant_1", "1", folder / "dump", encryption=encryption, rate_mib=1000, private=folder, running=running,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "other"), [("pg_dump", "pg_restore"), ("pg_restore", "pg_dump")])
def test_a_dump_says_which_program_was_killed(tmp_path: Path, name: str, other: str) -> None:
    with pytest.raises(BackupError) as error:
        dumped(tmp_path, Running(), **{name: KILLED, other: FAILS if other == "pg_restore" else "echo"})
    assert str(error.value) == words(name)


def test_a_dump_that_gives_way_was_killed_by_us(tmp_path: Path) -> None:
    running = Running(reason="the run is to end")
    with pytest.raises(GaveWayError, match="the run is to end"):
        dumped(tmp_path, running, pg_dump="exec sleep 60", pg_restore=READS)


@pytest.mark.parametrize(("name", "other"), [("pg_dump", "pg_restore"), ("pg_restore", "pg_dump")])
def test_a_copy_says_which_program_was_killed(tmp_path: Path, name: str, other: str) -> None:
    source = programs(tmp_path, **{name: KILLED, other: FAILS if other == "pg_restore" else "exec sleep 60"})
    with Session(source, "tenant_2", tmp_path) as target, pytest.raises(KilledError) as error:
        pipe(source, "tenant_1", target, frozenset(), tmp_path)
    # In the drill's report too: the words are ours, and quote nothing.
    assert explained(error.value) == words(name)
