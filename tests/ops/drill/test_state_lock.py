"""The lock of the drill's state: that of a run that was killed long ago is removed, and no other."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ops.drill import state_lock
from ops.errors import OperationError

KEYS = {"AWS_ACCESS_KEY_ID": "not-a-key", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@dataclass
class Opened:
    """A stack's folder; `terraform force-unlock` itself is tried in tests/ops/command/test_unlock.py."""

    folder: Path
    environ: Mapping[str, str]
    unlocked: list[str] = field(default_factory=list)

    def force_unlock(self, lock_id: str) -> None:
        self.unlocked.append(lock_id)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    backend = {
        "bucket": "state", "key": "drill.tfstate", "region": "us-east-1", "endpoints": {"s3": endpoint},
        "use_lockfile": True,
    }  # fmt: skip
    (tmp_path / "cdk.tf.json").write_text(json.dumps({"terraform": {"backend": {"s3": backend}}}))
    made = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="not-a-key",
        aws_secret_access_key="not-a-secret",
    )  # fmt: skip
    made.create_bucket(Bucket="state")
    yield made
    server.stop()


def test_a_lock_that_nobody_can_hold_any_more_is_removed(client: Any, tmp_path: Path) -> None:
    said: list[str] = []
    opened = Opened(tmp_path, KEYS)
    state_lock.remove_stale(opened, NOW, said.append)
    assert (opened.unlocked, said) == ([], [])
    for minutes in (2, 179):
        lock(client, NOW - timedelta(minutes=minutes))
        state_lock.remove_stale(opened, NOW, said.append)
        # Of a Terraform whose caller was killed, perhaps: it goes on.
        assert (opened.unlocked, said) == ([], [])
    lock(client, NOW - timedelta(minutes=181))
    state_lock.remove_stale(opened, NOW, said.append)
    assert opened.unlocked == ["6c33be6a"]
    assert "is locked by ops@laptop for apply" in said[0]


def lock(client: Any, created: datetime) -> None:
    found = {
        "ID": "6c33be6a", "Operation": "OperationTypeApply", "Who": "ops@laptop", "Created": created.isoformat(),
    }  # fmt: skip
    client.put_object(Bucket="state", Key="drill.tfstate.tflock", Body=json.dumps(found).encode())


def test_a_fork_is_not_destroyed_while_terraform_may_still_make_it(client: Any, tmp_path: Path) -> None:
    state_lock.check_free(state_lock.of(tmp_path, KEYS), NOW)
    lock(client, NOW - timedelta(minutes=179))
    with pytest.raises(OperationError, match=r"ops@laptop for apply.*may still make the fork"):
        state_lock.check_free(state_lock.of(tmp_path, KEYS), NOW)
    lock(client, NOW - timedelta(minutes=181))
    state_lock.check_free(state_lock.of(tmp_path, KEYS), NOW)


def test_a_state_in_a_file_has_no_lock_that_stays(tmp_path: Path) -> None:
    (tmp_path / "cdk.tf.json").write_text(json.dumps({"terraform": {"backend": {"local": {}}}}))
    opened = Opened(tmp_path, KEYS)
    state_lock.remove_stale(opened, NOW, lambda _: None)
    assert opened.unlocked == []
