"""The copy: checked before it counts, kept by days, weeks and months, and there when the first bucket is not."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from model.backup_status import DumpContent, DumpName
from model.backups import BackupsPlan
from model.naming import tenant_of_database
from ops.backups import Backups, copy, fetch, folder_for
from ops.bucket import Bucket
from ops.dump_choice import choose, content_of, dumps_of, named
from ops.errors import OperationError, UsageError

moto = pytest.importorskip("moto")

GRACE, ZION = "tenant_3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001", "tenant_3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a002"
PLAN = BackupsPlan(
    bucket="first",
    region="fra1",
    copy_bucket="second",
    copy_region="ams3",
    recipients=(),
    keep_days=14,
    copy_days={"days": 14, "weeks": 56, "months": 372},
    hour="01:00",
    parallel=2,
    rate_mib=32,
)
MONDAY = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    import boto3  # noqa: PLC0415  (after moto is known to be there)

    with moto.mock_aws():
        yield boto3.client(
            "s3", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )


@pytest.fixture
def backups(client: Any) -> Iterator[Backups]:
    buckets = [Bucket(f"{name}-{time.time_ns()}", client) for name in ("first", "second")]
    for bucket in buckets:
        client.create_bucket(Bucket=bucket.name)
        versioning = {"Status": "Enabled"}
        client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=versioning)
    served = {"grace": [GRACE], "zion": [ZION]}
    clusters = {tenant_of_database(one) or one: "shared" for one in (GRACE, ZION, "control_plane")}
    yield Backups("staging", PLAN, {GRACE: "grace", ZION: "zion"}, served, clusters, *buckets)


def dump(backups: Backups, database: str, at: datetime, /, **changed: Any) -> DumpName:
    """Put a dump into the first bucket, as droplet/backup does; ``elsewhere`` is another cluster's name."""
    name = DumpName(database, at, changed.pop("elsewhere", "shared"))
    objects = {"dump.age": f"{database} {at}".encode() * 100, "contents.age": b"contents"}
    index = {
        "version": 1,
        "database": database,
        "cluster": name.cluster,
        "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "objects": {
            key: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for key, content in objects.items()
        },
        **changed,
    }
    for key, content in objects.items():
        backups.first.write(f"dumps/{name.folder}/{key}", content)
    backups.first.write(f"dumps/{name.folder}/index.json", json.dumps(index).encode())
    return name


def copied(backups: Backups, now: datetime) -> dict[DumpName, str]:
    result = copy(backups, now, lambda _: None)
    assert result.failed == {}
    return result.new


def test_days_weeks_and_months() -> None:
    there: dict[DumpName, str] = {}
    for day in range(40):
        name = DumpName(GRACE, MONDAY + timedelta(days=day), "shared")
        there[name] = folder_for(there, name, PLAN.copy_days)
    folders = list(there.values())
    # 2 November is a Monday; 1 December begins a month within a week.
    assert [day for day, folder in enumerate(folders) if folder == "months"] == [0, 29]
    assert [day for day, folder in enumerate(folders) if folder == "weeks"] == [7, 14, 21, 28, 35]
    assert folders.count("days") == 33
    # Another church's, or another cluster's, are firsts of their own.
    assert folder_for(there, DumpName(ZION, MONDAY, "shared"), PLAN.copy_days) == "months"
    assert folder_for(there, DumpName(GRACE, MONDAY, "other"), PLAN.copy_days) == "months"
    # Where nothing is kept for longer, everything is kept for days.
    assert folder_for({}, DumpName(GRACE, MONDAY, "shared"), {"days": 14}) == "days"


def test_two_nights_that_are_copied_at_once_are_no_two_firsts(backups: Backups) -> None:
    names = [dump(backups, GRACE, MONDAY + timedelta(days=day)) for day in (0, 1)]
    found = copied(backups, MONDAY + timedelta(days=1))
    assert [found[name] for name in names] == ["months", "days"]
    # What was copied is not copied again.
    assert copied(backups, MONDAY + timedelta(days=1)) == {}


def test_with_the_droplets_key_nothing_of_the_copy_can_be_lost(backups: Backups, tmp_path: Path) -> None:
    name = dump(backups, GRACE, MONDAY)
    copied(backups, MONDAY)
    # All that the key may do: every version of everything in the first bucket is deleted, or written anew.
    assert backups.first.erase("") > 0
    assert list(backups.first.versions("")) == []
    dump(backups, GRACE, MONDAY, objects={"dump.age": {"bytes": 1, "sha256": "0" * 64}})
    assert copied(backups, MONDAY) == {}
    found = choose(backups, "grace", None)
    assert found == name
    fetch(backups, found, tmp_path / "grace")
    assert (tmp_path / "grace/dump.age").read_bytes().startswith(GRACE.encode())


@pytest.mark.parametrize(
    ("key", "content", "words"),
    [
        ("dump.age", b"", "dump.age is not what its index says: 0 bytes of "),
        ("dump.age", b"x" * 100, "dump.age is not what its index says: 100 bytes of "),
        ("contents.age", b"CONTENTS", "contents.age is not what its index says: 8 bytes of 8"),
        ("index.json", b"{", "not JSON"),
        ("index.json", b"[]", "not a JSON object"),
        ("index.json", b'{"version": 1}', "the index is not one: KeyError in a member"),
    ],
)
def test_a_damaged_dump_is_not_copied(backups: Backups, key: str, content: bytes, words: str) -> None:
    name, other = dump(backups, GRACE, MONDAY), dump(backups, ZION, MONDAY)
    backups.first.write(f"dumps/{name.folder}/{key}", content)
    said: list[str] = []
    result = copy(backups, MONDAY, said.append)
    assert set(result.failed) == {name}
    assert words in said[0]
    assert said[0].startswith("grace, 2026-11-02 01:00 UTC: ")
    # The others are copied all the same, and of this one nothing counts.
    assert set(result.new) == set(backups.copies()) == {other}
    assert not result.good


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"database": ZION}, f"the index is that of {ZION}, 2026-11-02 01:00:00 UTC, in shared"),
        (
            {"time": "2026-11-01T01:00:00Z"},
            f"the index is that of {GRACE}, 2026-11-01 01:00:00 UTC, in shared",
        ),
        ({"cluster": "other"}, f"the index is that of {GRACE}, 2026-11-02 01:00:00 UTC, in other"),
        ({"objects": {}}, "the index names no object"),
        ({"objects": {"../x": {"bytes": 1, "sha256": "0" * 64}}}, "the index names no object, or no digest"),
    ],
)
def test_an_index_of_something_else_is_refused(backups: Backups, changed: dict[str, Any], words: str) -> None:
    name = dump(backups, GRACE, MONDAY, **changed)
    assert copy(backups, MONDAY, lambda _: None).failed == {name: words}


def test_a_copy_that_was_interrupted_is_made_again(backups: Backups) -> None:
    name = dump(backups, GRACE, MONDAY)
    # Everything but the index, which is last.
    backups.second.write(f"months/{name.folder}/dump.age", b"half")
    assert backups.copies() == {}
    assert copied(backups, MONDAY) == {name: "months"}


def test_nights_that_go_by_without_a_dump_are_an_error_and_a_new_church_is_none(backups: Backups) -> None:
    for database in (GRACE, "control_plane"):
        dump(backups, database, MONDAY)
    result = copy(backups, MONDAY + timedelta(hours=35), lambda _: None)
    assert (result.good, result.never) == (True, [ZION])
    result = copy(backups, MONDAY + timedelta(hours=37), lambda _: None)
    assert (result.good, result.old) == (False, {GRACE: MONDAY, "control_plane": MONDAY})


def test_a_dump_of_a_time(backups: Backups, tmp_path: Path) -> None:
    names = [dump(backups, GRACE, MONDAY + timedelta(days=day)) for day in range(3)]
    copied(backups, MONDAY)
    assert choose(backups, "grace", MONDAY + timedelta(days=1, hours=1)) == names[1]
    with pytest.raises(
        OperationError, match=r"second-\d+ has no dump of grace before that; the oldest is of 2026-11-02"
    ):
        choose(backups, "grace", MONDAY)
    with pytest.raises(OperationError, match=r"second-\d+ has no dump of zion"):
        choose(backups, "zion", None)
    folder = backups.copies()[names[0]]
    backups.second.write(f"{folder}/{names[0].folder}/dump.age", b"x")
    with pytest.raises(OperationError, match=r"dump\.age is not what its index says: it is damaged"):
        fetch(backups, names[0], tmp_path / "x")


def test_a_dump_of_the_generation_that_is_served_and_of_the_one_before_where_it_has_none(
    backups: Backups,
) -> None:
    """After a switch: what was dumped of the other database is the church's too, and is found by its name."""
    later = f"{GRACE}_r2"
    backups = replace(backups, served={"grace": [later, GRACE]})
    days = [MONDAY + timedelta(days=day) for day in range(4)]
    old, left = dump(backups, GRACE, days[0]), dump(backups, GRACE, days[3])
    new = dump(backups, later, days[2], tables=2, rows=5)
    # Each is from before dumps said whether they were served.
    dump(backups, ZION, days[1])
    copied(backups, days[3])
    assert dumps_of(backups, "grace") == [old, new, left]
    assert choose(backups, "grace", None) == new
    assert choose(backups, "grace", days[1]) == old
    assert named(backups, "grace", left.folder) == left
    with pytest.raises(UsageError, match="is not a dump of grace"):
        named(backups, "grace", left.folder.replace(GRACE, ZION))
    assert content_of(backups, later) == (new, DumpContent(tables=2, rows=5, served=None))
    assert content_of(backups, f"{GRACE}_r3") is None


OWN = GRACE.removeprefix("tenant_")
"""What its own cluster is called."""


def moved(backups: Backups) -> Backups:
    """The church is in a cluster of its own, and its copy in the shared one is kept."""
    return replace(backups, clusters={**backups.clusters, OWN: OWN})


def test_a_dump_of_the_cluster_that_serves_the_church_and_not_of_the_copy_that_a_move_has_left(
    backups: Backups,
) -> None:
    hour = timedelta(hours=1)
    said: Callable[[bool], dict[str, Any]] = lambda served: {"served": served, "tables": 2, "rows": 5}  # noqa: E731
    before = dump(backups, GRACE, MONDAY, **said(True))
    # The cluster of its own is made, and empty; in the night after that it has the church, suspended, then served.
    dump(backups, GRACE, MONDAY + hour, elsewhere=OWN, **{**said(False), "tables": 0, "rows": 0})
    suspended = dump(backups, GRACE, MONDAY + timedelta(days=1), **said(False))
    dump(backups, GRACE, MONDAY + timedelta(days=1, hours=1), elsewhere=OWN, **said(False))
    after = dump(backups, GRACE, MONDAY + timedelta(days=2), elsewhere=OWN, **said(True))
    # What was left behind is dumped later in each night, and has nothing of what was written since.
    dump(backups, GRACE, MONDAY + timedelta(days=2, hours=1), **said(False))
    copied(backups, MONDAY + timedelta(days=2, hours=2))
    found = moved(backups)
    assert choose(found, "grace", None) == after
    assert choose(found, "grace", MONDAY + timedelta(days=9)) == after
    assert choose(found, "grace", MONDAY + timedelta(hours=12)) == before
    # While it was suspended nobody wrote: the newest one of the database that was served has all of it.
    assert choose(found, "grace", MONDAY + timedelta(days=1, hours=12)) == suspended


def test_between_a_restore_and_its_switch_today_is_what_was_served(backups: Backups) -> None:
    later = f"{GRACE}_r2"
    backups = replace(backups, served={"grace": [later, GRACE]})
    days = [MONDAY + timedelta(days=day) for day in range(4)]
    today = dump(backups, GRACE, days[1], served=True, tables=2, rows=9)
    filled = dump(backups, later, days[1] + timedelta(hours=9), served=False, tables=2, rows=5)
    copied(backups, days[1])
    assert choose(backups, "grace", days[2]) == today
    # It is served since, and nobody has dumped it again: its newest dump is of how it began.
    assert choose(backups, "grace", None) == filled
    kept = dump(backups, GRACE, days[2], served=False, tables=2, rows=9)
    switched = dump(backups, later, days[2], served=True, tables=2, rows=6)
    copied(backups, days[2])
    assert choose(backups, "grace", days[3]) == choose(backups, "grace", None) == switched
    # A damaged index is in nobody's way: the others say what they can.
    backups.second.write(f"{backups.copies()[switched]}/{switched.folder}/index.json", b"{")
    assert choose(backups, "grace", days[3]) == kept
    assert choose(backups, "grace", None) == switched


def test_a_copy_that_is_dumped_hides_no_night_without_a_dump_of_what_is_served(backups: Backups) -> None:
    dump(backups, GRACE, MONDAY, elsewhere=OWN)
    dump(backups, GRACE, MONDAY + timedelta(days=2))
    result = copy(moved(backups), MONDAY + timedelta(days=2), lambda _: None)
    assert result.old == {GRACE: MONDAY}
