"""Plans in a state bucket, on moto's S3 server."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from ops.ci import keep
from ops.ci.errors import StepError
from ops.ci.keep import PlanStore
from ops.errors import UsageError

KEYS = {"AWS_ACCESS_KEY_ID": "not-a-key", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(endpoint: str, tmp_path: Path) -> PlanStore:
    stack = tmp_path / "stack"
    stack.mkdir()
    backend = {
        "bucket": tmp_path.name.replace("_", "-"),
        "region": "us-east-1",
        "endpoints": {"s3": endpoint},
    }
    (stack / "cdk.tf.json").write_text(
        json.dumps({"terraform": {"backend": {"s3": backend}}}), encoding="utf-8"
    )
    store = PlanStore.of_stack(stack, KEYS)
    client: Any = store.client
    client.create_bucket(Bucket=store.bucket)
    return store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "plans"
    (folder / "staging").mkdir(parents=True)
    (folder / "record.json").write_text("{}", encoding="utf-8")
    (folder / "staging" / "plan.tfplan").write_bytes(b"\x00plan\xff")
    return folder


def keys(store: PlanStore) -> set[str]:
    found = store.client.list_objects_v2(Bucket=store.bucket, Prefix="").get("Contents", [])
    return {entry["Key"] for entry in found}


def test_a_kept_plan_comes_back_byte_by_byte(store: PlanStore, folder: Path, tmp_path: Path) -> None:
    store.put("71-1", folder)
    assert keys(store) == {"plans/71-1/record.json", "plans/71-1/staging/plan.tfplan"}
    store.get("71-1", tmp_path / "back")
    assert (tmp_path / "back/staging/plan.tfplan").read_bytes() == b"\x00plan\xff"
    assert (tmp_path / "back/record.json").read_text(encoding="utf-8") == "{}"
    assert (tmp_path / "back/staging").stat().st_mode & 0o077 == 0


def test_a_name_is_not_the_beginning_of_another(store: PlanStore, folder: Path) -> None:
    store.put("71-1", folder)
    store.put("71-11", folder)
    store.drop("71-1")
    assert keys(store) == {"plans/71-11/record.json", "plans/71-11/staging/plan.tfplan"}


def test_a_plan_that_is_not_there_says_why(store: PlanStore, tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"has no plan 71-1: .*Plan again, and review that plan\."):
        store.get("71-1", tmp_path / "back")


def test_what_nobody_will_approve_any_more_goes_and_the_state_stays(
    store: PlanStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("71-1", folder)
    store.client.put_object(Bucket=store.bucket, Key="staging.tfstate", Body=b"state")

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = UTC) -> datetime:  # type: ignore[override]  # datetime's own is typed as Self
            return datetime.now(tz) + keep.STALE_AFTER + timedelta(minutes=1)

    monkeypatch.setattr(keep, "datetime", Later)
    store.put("72-1", folder)
    assert keys(store) == {"plans/72-1/record.json", "plans/72-1/staging/plan.tfplan", "staging.tfstate"}


def test_the_commit_that_was_deployed_is_known_by_stack(store: PlanStore) -> None:
    store.remember_deployed("staging-cell-2", "a" * 40)
    assert store.deployed("staging-cell-2") == "a" * 40
    # A name that begins like another, and a deploy from outside git.
    assert store.deployed("staging-cell") == ""
    store.remember_deployed("staging", "")
    assert store.deployed("staging") == ""


@pytest.mark.parametrize("name", ["", "..", "a/b", "../staging.tfstate", "x" * 101])
def test_a_name_cannot_leave_its_place(store: PlanStore, folder: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is not a name for a plan"):
        store.put(name, folder)
    assert keys(store) == set()


def test_an_object_that_would_leave_the_folder_is_refused(store: PlanStore, tmp_path: Path) -> None:
    store.client.put_object(Bucket=store.bucket, Key="plans/71-1/../../x", Body=b"")
    with pytest.raises(StepError, match="which is not a file of a plan"):
        store.get("71-1", tmp_path / "back")


def test_a_bucket_that_is_not_there_is_named(store: PlanStore, folder: Path) -> None:
    with pytest.raises(StepError, match="the state bucket nowhere does not answer list_objects_v2"):
        PlanStore(store.client, "nowhere").put("71-1", folder)


def test_local_state_keeps_no_plans_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "cdk.tf.json").write_text('{"terraform": {"backend": {"local": {}}}}', encoding="utf-8")
    with pytest.raises(UsageError, match="leave KEEP out"):
        PlanStore.of_stack(tmp_path, KEYS)


def test_the_bucket_is_the_one_that_terraform_keeps_the_state_in(synthesized: Path) -> None:
    store: Any = PlanStore.of_stack(synthesized / "stacks" / "staging", KEYS)
    assert store.bucket == "presence360-staging-state"
    assert store.client.meta.endpoint_url == "https://fra1.digitaloceanspaces.com"


def test_more_plans_than_an_answer_lists_are_all_found(
    store: PlanStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: Any = store.client.list_objects_v2
    # S3 lists 1,000 at most; one at a time shows the same.
    monkeypatch.setattr(store.client, "list_objects_v2", lambda **asked: whole(**asked, MaxKeys=1))
    store.put("71-1", folder)
    store.get("71-1", tmp_path / "back")
    assert (tmp_path / "back/staging/plan.tfplan").exists()
    assert (tmp_path / "back").stat().st_mode & 0o077 == 0
    store.drop("71-1")
    assert whole(Bucket=store.bucket, Prefix="plans/").get("Contents", []) == []
