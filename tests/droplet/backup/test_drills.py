"""The newest report of a drill as metrics."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from droplet.backup import drills
from droplet.backup.store import CommandError, Store
from droplet.backup.wanted import Wanted

NOW = 1_800_000_000.0
REPORT = {
    "finished": "2027-01-14T06:00:00Z",
    "passed": True,
    "rto_seconds": 900,
    "rpo_seconds": 7200,
    "known": {"tenant_1": {"at": "2027-01-14T05:00:00Z"}, "tenant_2": {"at": "2027-01-01T05:00:00Z"}},
}


class Bucket:
    """rclone, and what the bucket holds."""

    def __init__(self, objects: Mapping[str, str]) -> None:
        self.objects, self.asked = objects, 0

    def run(self, args: Sequence[str], _env: Mapping[str, str], _timeout: float) -> str:
        self.asked += 1
        if "lsf" in args:
            return "\n".join(key.removeprefix("drills/") for key in self.objects)
        return self.objects[args[-1].partition("/")[2]]


def store(bucket: Bucket, tmp_path: Path) -> Store:
    wanted = Wanted("b", "https://x", "a", "s", (), "01:00", 1, 1, drill=True)
    return Store(wanted, tmp_path, run=bucket.run)


def samples(text: str) -> dict[str, float]:
    pairs = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {name.removeprefix("presence360_drill_"): float(value) for name, value in pairs}


def test_the_newest_report_counts(tmp_path: Path) -> None:
    older = json.dumps({**REPORT, "passed": False})
    bucket = Bucket(
        {"drills/20270101T000000Z.json": older, "drills/20270114T050000Z.json": json.dumps(REPORT)}
    )
    found = samples(drills.metrics(store(bucket, tmp_path), tmp_path, NOW))
    assert found.pop("timestamp_seconds") < NOW
    assert found.pop("oldest_seconds") > 13 * 86_400
    assert found == {"never": 0, "success": 1, "rto_seconds": 900, "rpo_seconds": 7200}


def test_the_bucket_is_asked_each_half_an_hour(tmp_path: Path) -> None:
    bucket = Bucket({})
    known = store(bucket, tmp_path)
    assert samples(drills.metrics(known, tmp_path, NOW)) == {"never": 1}
    drills.metrics(known, tmp_path, NOW + 1700)
    assert bucket.asked == 1
    bucket.objects = {"drills/20270114T050000Z.json": json.dumps(REPORT)}
    assert samples(drills.metrics(known, tmp_path, NOW + 1800))["never"] == 0


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({**REPORT, "finished": "soon"})])
def test_what_is_no_report_is_an_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(CommandError, match="is no report of a drill"):
        drills.metrics(store(Bucket({"drills/20270114T050000Z.json": content}), tmp_path), tmp_path, NOW)
