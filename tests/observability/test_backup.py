"""Metrics go to an object store and come back: the real vmbackup and vmrestore, and the program that runs them."""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from droplet.converge.errors import CommandError
from droplet.converge.processes import run_program
from droplet.observability import backup
from lab.metrics_programs import MissingError, metrics_programs
from tests.observability.loop import Loop, eventually
from tests.observability.test_loop import plan as plan  # a fixture  # noqa: PLC0414

BUCKET = "presence360-staging-metrics"
WEDNESDAY = 1_795_608_000.0
"""2026-11-25, 12:00 UTC."""


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """The address of an object store with the bucket."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client(address).create_bucket(Bucket=BUCKET)
    yield address
    server.stop()


def client(address: str) -> Any:
    return pytest.importorskip("boto3").client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="writer",
        aws_secret_access_key="secret",
    )


@pytest.fixture
def loop(plan: Any, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    try:
        loop = Loop(tmp_path / "loop", metrics_programs(), plan)
    except MissingError as error:
        pytest.skip(str(error))
    known = {"endpoint": store, "bucket": BUCKET, "access_key": "writer", "secret_key": "secret"}
    (loop.secrets / "backup.json").write_text(json.dumps(known))
    monkeypatch.setattr(backup, "STORE", f"http://127.0.0.1:{loop.store}")
    monkeypatch.setattr(backup, "DATA", loop.folder / "data")
    loop.droplet.pages["/metrics"] = "presence360_healthy 1\n"
    loop.start_store()
    yield loop
    loop.end()


def test_a_day_is_there_again_after_everything_was_lost(loop: Loop, store: str, tmp_path: Path) -> None:
    seen: list[Sequence[str]] = []

    def run(command: Sequence[str], env: Mapping[str, str], timeout: float) -> str:
        seen.append(command)
        return run_program([str(loop.programs / Path(command[0]).name), *command[1:]], env, timeout)

    eventually("a sample", lambda: loop.query("presence360_healthy"))
    first = loop.query("tfirst_over_time(presence360_healthy[1h])")[0]["value"][1]
    assert backup.backup(run, loop.secrets, tmp_path, tmp_path / "published", now=WEDNESDAY) == 0
    assert (tmp_path / "metrics-backup.prom").read_text().splitlines()[2:] == [
        'presence360_backup_success{what="metrics"} 1',
        'presence360_backup_timestamp_seconds{what="metrics"} 1795608000',
    ]
    # The newest, and the day's.
    listed = client(store).list_objects_v2(Bucket=BUCKET)["Contents"]
    assert {one["Key"].partition("/")[0] for one in listed} == {"latest", "day-2"}
    # A key on a command line would be every process's to read.
    assert not any("secret" in word or "writer" in word for command in seen for word in command)

    loop.stop("victoria-metrics")
    # Where something is, nothing is brought back.
    assert backup.restore(run, loop.secrets, loop.folder / "data") == 0
    assert not any("vmrestore" in command[0] for command in seen)
    (loop.folder / "data").rename(loop.folder / "lost")
    (loop.folder / "data").mkdir()
    assert backup.restore(run, loop.secrets, loop.folder / "data") == 0
    loop.droplet.pages.clear()
    loop.start_store()
    again = eventually("the sample", lambda: loop.query("tfirst_over_time(presence360_healthy[1h])"))
    assert again[0]["value"][1] == first


def test_a_store_without_a_backup_begins_empty_and_starts(
    loop: Loop, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vmrestore leaves a mark with which victoria-metrics does not start."""
    client(store).create_bucket(Bucket="empty")
    known = json.loads((loop.secrets / "backup.json").read_text()) | {"bucket": "empty"}
    (loop.secrets / "backup.json").write_text(json.dumps(known))
    loop.stop("victoria-metrics")
    data = loop.folder / "data"
    data.rename(loop.folder / "lost")
    data.mkdir()

    def run(command: Sequence[str], env: Mapping[str, str], timeout: float) -> str:
        return run_program([str(loop.programs / Path(command[0]).name), *command[1:]], env, timeout)

    assert backup.restore(run, loop.secrets, data) == 0
    assert list(data.iterdir()) == []
    loop.start_store()
    # One that was interrupted is begun again, and does not look like a store's own data.
    loop.stop("victoria-metrics")
    (data / backup.BEGUN).touch()
    monkeypatch.setattr(backup, "_restored", lambda *_: True)
    assert backup.restore(run, loop.secrets, data) == 0


def test_a_store_that_does_not_answer_is_a_failure_that_shows(tmp_path: Path) -> None:
    known = {"endpoint": "http://127.0.0.1:1", "bucket": BUCKET, "access_key": "a", "secret_key": "s"}
    (tmp_path / "backup.json").write_text(json.dumps(known))

    def run(command: Sequence[str], _env: Mapping[str, str], _timeout: float) -> str:
        raise CommandError(f"{command[0]}: exit 1")

    (tmp_path / "published").write_text('presence360_backup_timestamp_seconds{what="metrics"} 7\n')
    assert backup.backup(run, tmp_path, tmp_path, tmp_path / "published", now=time.time()) == 1
    text = (tmp_path / "metrics-backup.prom").read_text()
    assert re.search(r"^presence360_backup_success\{what=\"metrics\"\} 0$", text, re.MULTILINE)
    assert 'presence360_backup_timestamp_seconds{what="metrics"} 7' in text
    assert backup.restore(run, tmp_path, tmp_path / "empty") == 1
