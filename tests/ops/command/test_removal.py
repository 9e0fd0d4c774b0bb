"""A church that was removed: what is left of it, until when, and its erasure; its neighbours keep everything."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from constructs_lib.object_storage import NONCURRENT_DAYS
from model.loader import load_environments
from model.plan import plan_environment
from ops import removal
from ops.bucket import Bucket
from ops.ci import settings
from ops.errors import UsageError
from ops.removal import Removal
from tests.ops.command.conftest import Command, commit
from tests.support import ENVIRONMENTS

moto = pytest.importorskip("moto")

GONE, NEIGHBOUR = "0b5e7c1e-8f4e-4c55-9a35-0d7a51c0a0ff", "0b5e7c1e-8f4e-4c55-9a35-0d7a51c0a0fe"
FIRST, SECOND = "presence360-production-backups", "presence360-production-backups-copy"
EXPORTS = "presence360-production-exports"
CREDENTIALS, DIRECTORY = (f"presence360-production-tenant-{name}" for name in ("credentials", "registry"))


def keys(tenant_id: str) -> dict[str, list[str]]:
    stamp = "20261126T010000Z.shared/dump.age"
    return {
        EXPORTS: [f"snapshots/{tenant_id}/face.jpg", f"exports/{tenant_id}/people.csv"],
        CREDENTIALS: [f"tenants/{tenant_id}.json"],
        DIRECTORY: [f"tenants/{tenant_id}.json"],
        FIRST: [f"dumps/tenant_{tenant_id}{end}/{stamp}" for end in ("", "_r2")],
        SECOND: [
            f"{folder}/tenant_{tenant_id}{end}/{stamp}"
            for folder in ("days", "weeks", "months")
            for end in ("", "_r2")
        ],
    }


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import boto3  # noqa: PLC0415  (after moto is known to be there)

    with moto.mock_aws():
        made = boto3.client(
            "s3", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )
        monkeypatch.setattr(Bucket, "of", lambda _environ, _region, name: Bucket(name, made))
        monkeypatch.setattr(settings, "load", lambda _: {})
        for name in keys(GONE):
            made.create_bucket(Bucket=name)
            made.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        for tenant_id in (GONE, NEIGHBOUR):
            for name, found in keys(tenant_id).items():
                for key in found:
                    # Two versions, and the mark of a deletion.
                    for _ in range(2):
                        made.put_object(Bucket=name, Key=key, Body=b"x")
                    made.delete_object(Bucket=name, Key=key)
        yield made


def of(wanted: str) -> Removal:
    (loaded,) = (one for one in load_environments(ENVIRONMENTS) if one.file.environment == "production")
    return Removal.of(loaded, plan_environment(loaded), wanted, {})


def test_the_report_says_what_is_left_and_until_when(client: Any) -> None:
    del client
    rests = {one.what: one for one in of(GONE).rests()}
    assert {what: one.objects for what, one in rests.items()} == {
        # A dump of each of two generations of its database.
        what: 6 if "dumps" in what else 3
        for what in rests
    }
    today = datetime.now(UTC)
    # As production's file says: 14 and 90 days in storage, 21 days, 8 weeks and 12 months of dumps.
    days = {
        "exports": 14 + 7, "snapshots": 90 + 7, "credentials": 1, "directory": 30, "dumps": 21 + 7,
        "copied dumps, days": 21 + 7, "copied dumps, weeks": 56 + 7, "copied dumps, months": 372 + 7,
    }  # fmt: skip
    assert rests.keys() == days.keys()
    for what, one in rests.items():
        assert one.until
        assert abs(one.until - today - timedelta(days=days[what])) < timedelta(minutes=5)


def test_what_terraform_has_not_deleted_yet_has_no_day(client: Any) -> None:
    """The credentials and the directory's entry are there until the removal is deployed: no rule deletes them."""
    for name in (CREDENTIALS, DIRECTORY):
        client.put_object(Bucket=name, Key=f"tenants/{GONE}.json", Body=b"x")
    rests = {one.what: one for one in of(GONE).rests()}
    assert {what for what, one in rests.items() if one.stays} == {"credentials", "directory"}
    assert [(rests[what].objects, rests[what].until) for what in ("credentials", "directory")] == [
        (4, None)
    ] * 2
    assert rests["dumps"].until


def test_an_erased_church_leaves_nothing_and_its_neighbour_keeps_everything(client: Any) -> None:
    said: list[str] = []
    assert of(GONE).erase(said.append) == 3 * 12
    assert len(said) == 8
    assert {one.objects for one in of(GONE).rests()} == {0}
    assert {one.until for one in of(GONE).rests()} == {None}
    assert {one.objects for one in of(NEIGHBOUR).rests()} == {3, 6}
    for name in keys(GONE):
        assert str(client.list_object_versions(Bucket=name)).count(GONE) == 0


def test_a_church_that_is_still_there_is_not_erased(client: Any) -> None:
    del client
    slug = load_environments(ENVIRONMENTS)[0].tenants[0].slug
    with pytest.raises(
        UsageError, match=f"{slug} is still in tenants.yaml: nothing of a church is erased before"
    ):
        of(slug).erase(print)
    with pytest.raises(
        UsageError, match="there is no church 'gracie' in production; of one that was removed"
    ):
        of("gracie")


def test_the_days_are_those_of_the_bucket() -> None:
    assert removal.EXPORTS_NONCURRENT_DAYS == NONCURRENT_DAYS


def test_an_id_that_no_church_ever_had_is_refused(command: Command, client: Any) -> None:
    """One mistyped digit: nothing of that id is left anywhere, which says nothing of the church that is meant."""
    del client
    calls = [("remove", "--report"), ("erase", "--confirm", GONE[:8])]
    wrong = f"{GONE[:-1]}0"
    remember(command, GONE)
    for name, *options in calls:
        told = command("tenant", name, "production", wrong, *options, code=2)
        assert f"no church of production ever had the id {wrong}" in told.err
        assert f"Did you mean '{GONE}'?" in told.err
        assert told.out == ""
    # What a bucket has is enough, for example where the repository was made anew.
    assert command("tenant", "remove", "production", NEIGHBOUR, "--report").out


def test_an_id_is_refused_where_git_cannot_be_asked(command: Command, client: Any) -> None:
    del client
    told = command("tenant", "remove", "production", f"{GONE[:-1]}0", "--report", code=2)
    assert "Git was not asked: " in told.err


def remember(command: Command, tenant_id: str) -> None:
    """Let git know a church that was removed."""
    root = command.files.root
    lock = root / "production" / "tenants.lock"
    text = lock.read_text(encoding="utf-8")
    lock.write_text(f"{text}{tenant_id} retired production shared=retired\n", encoding="utf-8")
    commit(root.parent)
    lock.write_text(text, encoding="utf-8")
    commit(root.parent)


def test_the_commands(command: Command, client: Any) -> None:
    remember(command, GONE)
    shown = command("tenant", "remove", "production", GONE, "--report").out
    assert f"{GONE}: its entry in tenants.yaml is gone" in shown
    last = max(one.until for one in of(GONE).rests() if one.until)
    assert f"By {last:%Y-%m-%d} nothing of it is left in the buckets, without anybody's doing." in shown
    assert "presence360 run production worker -- python -c " in shown
    wrong = command("tenant", "erase", "production", GONE, "--confirm", "1234", code=2)
    assert "is not how the id" in wrong.err
    done = command("tenant", "erase", "production", GONE, "--confirm", GONE[:8])
    assert "36 versions were deleted." in done.out
    assert (
        "Nothing of it is left in the buckets."
        in command("tenant", "remove", "production", GONE, "--report").out
    )
    client.put_object(Bucket=CREDENTIALS, Key=f"tenants/{GONE}.json", Body=b"x")
    shown = command("tenant", "remove", "production", GONE, "--report").out
    assert "What stays is deleted by the deploy that removes the entry" in shown
