"""A lock that a killed run left: real Terraform holds it in a bucket of moto's, and the command removes it."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from ops.ci import settings, stacks, steps
from ops.command import deploy
from ops.command.app import app
from ops.errors import UsageError
from ops.unlock import StateLock, find

KEYS = {"AWS_ACCESS_KEY_ID": "not-a-key", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}
LOCK = {
    "ID": "6c33be6a-4f76-4dae-a5ae-d3e0a1a3b6f1",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "ops@laptop",
    "Version": "1.11.4",
    "Created": "2026-11-26T03:04:05.123456789Z",
    "Path": "bucket/key",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def stack(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack whose state is in a bucket, in an output folder of its own."""
    bucket = f"state-{time.time_ns()}"
    boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="not-a-key",
        aws_secret_access_key="not-a-secret",
    ).create_bucket(Bucket=bucket)  # fmt: skip
    backend = {
        "bucket": bucket, "key": "demo.tfstate", "region": "us-east-1", "endpoints": {"s3": endpoint},
        "use_lockfile": True, "use_path_style": True, "skip_credentials_validation": True,
        "skip_requesting_account_id": True, "skip_region_validation": True, "skip_metadata_api_check": True,
        "skip_s3_checksum": True,
    }  # fmt: skip
    thing = {"input": "a", "provisioner": [{"local-exec": {"command": "exec sleep 120"}}]}
    program = {
        "terraform": {"backend": {"s3": backend}}, "resource": {"terraform_data": {"thing": thing}},
    }  # fmt: skip
    folder = tmp_path / "stacks" / "demo"
    folder.mkdir(parents=True)
    (folder / "cdk.tf.json").write_text(json.dumps(program), encoding="utf-8")
    (tmp_path / "manifest.json").write_text(json.dumps({"stacks": {"demo": {}}}), encoding="utf-8")
    environ = {**os.environ, **KEYS, "CHECKPOINT_DISABLE": "1"}
    for module in (deploy, steps):
        monkeypatch.setattr(module, "OUTDIR", tmp_path)
    monkeypatch.setattr(steps, "synthesize", lambda _: None)
    monkeypatch.setattr(stacks, "stack_names", lambda _: ["demo"])
    monkeypatch.setattr(settings, "load", lambda _: environ)
    return folder


def run(*arguments: str, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, ["unlock", *arguments])
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def test_what_is_said_of_a_lock() -> None:
    lock = StateLock.read("staging", json.dumps(LOCK).encode())
    assert lock.told(datetime(2026, 11, 26, 3, 9, 17, 123456, tzinfo=UTC)) == (
        "staging is locked by ops@laptop for apply, since 2026-11-26 03:04:05 UTC (5 min 12 s); "
        "lock id 6c33be6a-4f76-4dae-a5ae-d3e0a1a3b6f1"
    )


def test_a_state_without_a_lock(stack: Path) -> None:
    assert run(stack.name)[0] == "demo: its state is not locked\n"
    assert json.loads(run(stack.name, "--json")[0]) is None


def test_a_stack_that_is_not_there(stack: Path) -> None:
    assert "there is no stack 'dem'\n    Did you mean 'demo'? Name one of: demo." in run("dem", code=2)[1]
    assert stack.exists()


def test_without_credentials_it_names_what_is_missing(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "load", lambda _: {"PATH": os.environ["PATH"]})
    error = run(stack.name, code=2)[1]
    assert "presence360: AWS_ACCESS_KEY_ID is not set" in error
    assert "presence360: AWS_SECRET_ACCESS_KEY is not set" in error


def test_a_state_in_a_file_has_nothing_to_unlock(tmp_path: Path) -> None:
    (tmp_path / "cdk.tf.json").write_text('{"terraform": {"backend": {"local": {}}}}', encoding="utf-8")
    with pytest.raises(UsageError, match="keeps its state in a file here"):
        find(tmp_path, {})


@pytest.mark.terraform
@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_the_lock_of_a_killed_run_is_removed(stack: Path) -> None:
    environ = {**os.environ, **KEYS, "CHECKPOINT_DISABLE": "1"}
    terraform = ["terraform", f"-chdir={stack}"]
    subprocess.run([*terraform, "init", "-input=false"], env=environ, check=True, capture_output=True)
    with subprocess.Popen(
        [*terraform, "apply", "-auto-approve"], env=environ, stdout=subprocess.DEVNULL
    ) as apply:
        deadline = time.monotonic() + 60
        while find(stack, environ) is None:
            assert time.monotonic() < deadline, "terraform took no lock"
            time.sleep(0.2)
        # As when a machine goes down: nobody gives the lock back.
        apply.kill()
    lock = find(stack, environ)
    assert lock is not None
    said, error = run(stack.name, code=2)
    assert lock.told()[:40] in said
    assert (
        f"there is no terminal to ask on: make sure that the run has ended, then add --id {lock.id}" in error
    )
    assert "nothing was unlocked" in run(stack.name, "--id", "other", code=2)[1]
    assert json.loads(run(stack.name, "--json")[0])["id"] == lock.id
    assert "demo: unlocked." in run(stack.name, "--id", lock.id)[0]
    assert find(stack, environ) is None
