"""The container of a migration: how Docker is asked for it, and what it sees."""

import json
import os
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from droplet.converge.errors import CommandError
from droplet.converge.paths import Paths
from droplet.jobs import containers
from droplet.migrate import runner as runner_module
from droplet.migrate.runner import MAX_OUTPUT, Docker
from droplet.migrate.wanted import Job

IMAGE = "registry.example.org/presence360/tenant-api:1.4.2"
DIGEST = f"sha256:{'ab' * 32}"
JOB = Job("migrate-tenants", "tenants", IMAGE, ["alembic", "upgrade", "head"], {}, 256, 5)

SHOW = """
environment=; mount=
while [ $# -gt 0 ]; do
    case "$1" in --env-file) environment=$2;; --mount) mount=$2;; esac; shift
done
source=${mount#*source=}; source=${source%%,*}
stat -c %a "$environment" "$source" "$source/ca.pem"
cat "$environment" "$source/ca.pem"
"""


class Engine:
    """Docker's answers, by a part of the command."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.pulled: Mapping[str, str] | None = None

    def run(self, args: Sequence[str], env: Mapping[str, str], _timeout: float) -> str:
        command = " ".join(args)
        self.asked.append(command)
        if " pull " in command:
            self.pulled = dict(env)
            self.answers["inspect"] = (
                f"sha256:{'cd' * 32} {json.dumps([f'other/name@{DIGEST}', f'{IMAGE[:-6]}@{DIGEST}'])}"
            )
            return ""
        if "inspect" in command and "inspect" not in self.answers:
            raise CommandError("no such image")
        return next((answer for part, answer in self.answers.items() if part in command), "")


@pytest.fixture
def umask() -> Iterator[None]:
    """The unit's."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def docker(tmp_path: Path, engine: Engine, **more: Any) -> Docker:
    paths = Paths(state=tmp_path / "state")
    (paths.state / "migrate").mkdir(parents=True, exist_ok=True)
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return Docker(paths, scratch, run_program=engine.run, **more)


def test_an_image_is_pulled_with_the_registrys_login_and_known_by_its_digest(tmp_path: Path) -> None:
    engine = Engine()
    runner = docker(tmp_path, engine)
    assert runner.digest(JOB, b'{"auths": {}}') == DIGEST
    assert engine.pulled is not None
    login = Path(engine.pulled["DOCKER_CONFIG"]) / "config.json"
    assert (login.read_bytes(), stat.S_IMODE(login.stat().st_mode)) == (b'{"auths": {}}', 0o600)
    assert runner.exact[IMAGE] == f"{IMAGE[:-6]}@{DIGEST}"
    # The second time nothing is pulled.
    engine.asked.clear()
    assert runner.digest(JOB, None) == DIGEST
    assert [command for command in engine.asked if " pull " in command] == []


def test_an_image_that_came_from_no_registry_is_known_by_its_own_id(tmp_path: Path) -> None:
    runner = docker(tmp_path, Engine(inspect=f"{DIGEST} []"))
    assert runner.digest(JOB, None) == DIGEST


@pytest.mark.usefixtures("umask")
def test_a_container_reads_its_variables_and_the_authority_and_leaves_nothing(tmp_path: Path) -> None:
    started: list[Sequence[str]] = []

    def popen(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
        started.append(command)
        return subprocess.Popen(["/bin/sh", "-c", SHOW, "docker", *command], **options)

    runner = docker(tmp_path, Engine(inspect=f"{DIGEST} []"), popen=popen)
    runner.digest(JOB, None)
    ended = runner.run(
        JOB, "migrate-one", {"TENANT_DATABASE_URL": "postgresql://x:y@z/a b"}, "THE AUTHORITY\n"
    )
    assert ended.code == 0
    # Only root reads the variables; the container's user reads what is mounted, whatever the unit's umask is.
    assert ended.output == "600\n755\n644\nTENANT_DATABASE_URL=postgresql://x:y@z/a b\nTHE AUTHORITY\n"
    (command,) = started
    assert command[-4:] == [DIGEST, "alembic", "upgrade", "head"]
    assert " ".join(command).count("postgresql://") == 0, "a secret on a command line"
    for option in ("--read-only", "--user", "--cap-drop", "--pids-limit", "--memory", "--security-opt"):
        assert option in command
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == []


def test_a_container_that_takes_too_long_is_removed(tmp_path: Path) -> None:
    engine = Engine(inspect=f"{DIGEST} []")

    def popen(_command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(["/bin/sh", "-c", "echo begun; exec sleep 60"], **options)

    runner = docker(tmp_path, engine, popen=popen)
    runner.digest(JOB, None)
    quick = Job("migrate-tenants", "tenants", IMAGE, ["alembic"], {}, 256, 1)
    ended = runner.run(quick, "migrate-one", {}, "")
    assert (ended.code, ended.output) == (None, "begun\n")
    assert "docker rm --force migrate-one" in engine.asked


def test_what_an_earlier_program_left_is_ended(tmp_path: Path) -> None:
    engine = Engine(**{"ps --all": "abc\ndef\n"})
    docker(tmp_path, engine).stop()
    assert engine.asked[-1] == "docker rm --force abc def"


def test_images_of_earlier_migrations_go_unless_a_release_has_them(tmp_path: Path) -> None:
    engine = Engine()
    runner = docker(tmp_path, engine)
    folder = runner.paths.releases / "0123"
    folder.mkdir(parents=True)
    (folder / "release.json").write_text(json.dumps({"images": {"tenant-api": "r/p:2"}}))
    for version in range(1, 6):
        runner.tidy([f"r/p:{version}"])
    assert engine.asked == ["docker image rm r/p:1", "docker image rm r/p:3"]


def test_only_the_end_of_what_a_migration_prints_is_kept(tmp_path: Path) -> None:
    """A church's own data may be in it, as long as it likes: root's process keeps none of that."""

    def popen(_command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            ["/bin/sh", "-c", "head -c 20000000 /dev/zero; echo; echo the end"], **options
        )

    runner = docker(tmp_path, Engine(inspect=f"{DIGEST} []"), popen=popen)
    runner.digest(JOB, None)
    ended = runner.run(JOB, "migrate-one", {}, "")
    assert len(ended.output) <= MAX_OUTPUT
    assert ended.output.endswith("\nthe end\n")


def test_migrations_and_jobs_end_each_others_containers_never() -> None:
    assert runner_module.LABEL != containers.LABEL
