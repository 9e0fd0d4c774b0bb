"""The token and the keys: one line for each that is wrong, and whose a state's key is."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from lab.local_digitalocean.server import Server
from ops.api_client import Client
from ops.preflight import credentials
from tests.ops.preflight.conftest import TOKEN

boto3: Any = importlib.import_module("boto3")

BUCKETS = ("presence360-staging-state", "presence360-production-state")


@pytest.fixture
def folder(tmp_path: Path, server: Server, environ: dict[str, str]) -> Path:
    """Staging's folder, whose state is in a bucket that exists, as bootstrap makes it."""
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=environ["SPACES_ENDPOINT_URL"].replace("{{.Region}}", "fra1"),
        aws_access_key_id=environ["SPACES_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["SPACES_SECRET_ACCESS_KEY"],
    )
    for bucket in BUCKETS:
        client.create_bucket(Bucket=bucket)
        key: dict[str, Any] = {
            "name": bucket,
            "grants": [{"bucket": bucket, "permission": "readwrite"}],
            "access_key": f"KEY-OF-{bucket}",
            "created_at": "2026-11-26T00:00:00Z",
            "_secret": "secret",
        }
        server.account.tables["spaces_keys"][key["access_key"]] = key
    backend = {"bucket": BUCKETS[0], "region": "us-east-1", "endpoints": {"s3": client.meta.endpoint_url}}
    folder = tmp_path / "staging"
    folder.mkdir()
    (folder / "cdk.tf.json").write_text(
        json.dumps({"terraform": {"backend": {"s3": backend}}}), encoding="utf-8"
    )
    return folder


def state_key(bucket: str) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": f"KEY-OF-{bucket}", "AWS_SECRET_ACCESS_KEY": "secret"}


def test_what_is_right_is_not_mentioned(folder: Path, environ: dict[str, str]) -> None:
    found = credentials.check({**environ, **state_key(BUCKETS[0])}, [folder], "fra1")
    assert (found.problems, found.notes) == ((), ())


def test_every_wrong_one_is_one_line(folder: Path, environ: dict[str, str]) -> None:
    wrong = {
        "DIGITALOCEAN_TOKEN": "another",
        "SPACES_ACCESS_KEY_ID": "NOBODYS",
        "AWS_ACCESS_KEY_ID": "NOBODYS",
    }
    found = credentials.check({**environ, **wrong}, [folder, folder], "fra1")
    assert [problem.partition(":")[0] for problem in found.problems] == list(wrong)
    assert "does not know this token (401)" in found.problems[0]
    assert not any(TOKEN in problem or "another" in problem for problem in found.problems[:1])


def test_another_environments_state_key_is_called_by_its_name(folder: Path, environ: dict[str, str]) -> None:
    (problem,) = credentials.check({**environ, **state_key(BUCKETS[1])}, [folder], "fra1").problems
    assert problem.startswith(
        f"AWS_ACCESS_KEY_ID: this is the key called {BUCKETS[1]}, which does not open {BUCKETS[0]}, where the state of "
        "staging is."
    )


def test_a_state_bucket_that_was_never_made_says_what_makes_it(folder: Path, environ: dict[str, str]) -> None:
    file = folder / "cdk.tf.json"
    file.write_text(
        file.read_text(encoding="utf-8").replace(BUCKETS[0], "presence360-new-state"), encoding="utf-8"
    )
    (problem,) = credentials.check(environ, [folder], "fra1").problems
    assert "does not exist. Make it: cdktf deploy bootstrap" in problem


def test_a_state_in_a_file_needs_no_key(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "cdk.tf.json").write_text('{"terraform": {"backend": {"local": {}}}}', encoding="utf-8")
    assert credentials.check({**environ, "AWS_ACCESS_KEY_ID": "NOBODYS"}, [tmp_path], "fra1").problems == ()


def test_an_api_that_does_not_answer_is_no_wrong_token(environ: dict[str, str]) -> None:
    found = credentials.check({**environ, "DIGITALOCEAN_API_URL": "http://127.0.0.1:1"}, [], "")
    (problem,) = found.problems
    assert "did not answer" in problem
    assert "Check the network" in problem


def test_an_answer_that_is_no_refusal_of_the_token_is_a_note(server: Server, environ: dict[str, str]) -> None:
    server.faults.set({"faults": ["GET /v2/account 403"]})
    found = credentials.check(environ, [], "")
    assert found.problems == ()
    assert "403" in found.notes[0]


def test_a_list_is_read_to_its_end(server: Server, api: Client) -> None:
    for number in range(401):
        server.account.tables["tags"][f"t{number}"] = {"name": f"t{number}"}
    assert len(api.all("/v2/tags", "tags")) == 401
    assert api.count("/v2/tags", "tags") == 401
