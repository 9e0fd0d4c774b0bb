"""The record of a scheduled job is a neighbour's word, and the neighbour may be compromised."""

import json

import pytest

from droplet.backup.history import History as Dumps
from droplet.converge.peers import write_time
from droplet.jobs.contract import read_jobs, read_record, read_request
from droplet.migrate import obstacles
from droplet.migrate.history import History
from model.contract import ContractError
from model.migration_status import parse_details, parse_summary
from model.runs import parse_record, parse_run
from tests.droplet.jobs.site import EVERY_MINUTE, NOW, Machine

HOUR = 3600
PAST = write_time(NOW - 60)
RECORD = {
    "version": 1,
    "job": "report",
    "service": "worker",
    "state": "ok",
    "due": PAST,
    "run": "report-1",
    "droplet": "101",
    "name": "staging-worker-1",
    "started": PAST,
    "ended": PAST,
    "deadline": write_time(NOW + HOUR),
    "exit_status": 0,
    "reason": "",
    "last_success": PAST,
    "time": PAST,
}
ENDLESS = "1e999"
DEEP = "[" * 100_000


def changed(key: str, text: str, of: object = RECORD) -> bytes:
    """Write an object with one member in another form, which JSON itself may not have."""
    assert isinstance(of, dict)
    return json.dumps({**of, key: "HERE"}).replace('"HERE"', text).encode()


def test_a_record_is_read() -> None:
    found = read_record("report", json.dumps(RECORD).encode(), NOW)
    assert found
    assert json.loads(found.as_json()) == RECORD


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("exit_status", ENDLESS),
        ("exit_status", "1.5"),
        ("exit_status", "true"),
        ("reason", DEEP),
        ("due", "null"),
        ("time", "null"),
        ("due", '"9999-01-01T00:00:00Z"'),
        ("deadline", '"9999-01-01T00:00:00Z"'),
        ("last_success", '"9999-01-01T00:00:00Z"'),
        ("started", ENDLESS),
        ("job", '"other"'),
        ("job", json.dumps('zz"} 1\npresence360_migrations_success{x="y')),
    ],
)
def test_a_record_that_says_what_cannot_be_is_none(key: str, text: str) -> None:
    assert read_record("report", changed(key, text), NOW) is None


def test_its_name_is_that_of_a_job() -> None:
    name = 'zz"} 1\nup{x="y'
    assert read_record(name, json.dumps({**RECORD, "job": name}).encode(), NOW) is None


@pytest.mark.parametrize(
    ("key", "text"), [("due", '"9999-01-01T00:00:00Z"'), ("due", "null"), ("exit_status", ENDLESS)]
)
def test_a_neighbour_keeps_no_job_from_running(
    first: Machine, capsys: pytest.CaptureFixture[str], key: str, text: str
) -> None:
    first.schedule(report={"schedule": {**EVERY_MINUTE, "minutes": [0]}})
    first.once()
    first.buckets.objects["status:jobs/report.json"] = changed(key, text)
    forged = 'zz"} 1\npresence360_migrations_success{x="y'
    first.buckets.objects["status:jobs/evil.json"] = changed("job", json.dumps(forged))
    assert first.once(HOUR) == 0
    assert "jobs/report.json is no record of that job, and is ignored" in capsys.readouterr().out
    assert not any("migrations" in name for name in first.metrics)
    first.once(HOUR)
    assert first.started == [f"report-{int(NOW + 2 * HOUR) // HOUR * HOUR}"]


def test_a_number_without_end_is_no_integer_anywhere() -> None:
    request = {"service": "worker", "command": ["x"], "by": "me", "time": PAST, "timeout_seconds": 60}
    assert read_request("a", json.dumps(request).encode())
    assert read_request("a", changed("timeout_seconds", ENDLESS, request)) is None
    with pytest.raises(ValueError, match="integer"):
        read_jobs(
            f'{{"jobs": {{"a": {{"service": "b", "command": ["c"], "schedule": {json.dumps(EVERY_MINUTE)}, '
            f'"timeout_seconds": {ENDLESS}}}}}}}'.encode()
        )
    history = {"images": ["a"], "revision": None, "since": 1, "failed": "b", "at": 2, "tries": 3}
    assert History.of(history).tries == 3
    for key in ("since", "at", "tries"):
        assert History.of(json.loads(changed(key, ENDLESS, history))) == History()
    dumps = {"at": 1, "key": "k", "bytes": 2, "changes": 3, "failed": 4, "tries": 5, "reason": "r"}
    assert Dumps.of(dumps).as_json() == dumps
    for key in ("at", "bytes", "changes", "failed", "tries"):
        assert Dumps.of(json.loads(changed(key, ENDLESS, dumps))) == Dumps()
    one = {"reason": "r", "since": PAST, "tries": 1}
    assert obstacles.read({"x": one})
    assert obstacles.read({"x": json.loads(changed("tries", ENDLESS, one))}) == {}
    run = {**RECORD, "result": "ok", "output": "", "cut": False}
    assert (
        parse_run(json.dumps(run).encode()).exit_status == parse_record(json.dumps(run).encode()).exit_status
    )
    failed = {"database": "d", "reason": "r", "tries": 1}
    summary = {"state": "failed", "reason": "r", "images": {}, "time": PAST, "failed": [failed]}
    detail = {**failed, "cluster": "c", "result": "failed", "image": None, "revision": None, "since": None}
    assert parse_summary(json.dumps(summary)).failed[0].tries == 1
    assert parse_details(json.dumps({"databases": [detail]}))[0].tries == 1
    bad_summary = json.dumps(summary).replace('"tries": 1', f'"tries": {ENDLESS}')
    bad_details = json.dumps({"databases": [detail]}).replace('"tries": 1', f'"tries": {ENDLESS}')
    for read, content in [
        (parse_summary, bad_summary.encode()),
        (parse_details, bad_details.encode()),
        (parse_run, changed("exit_status", ENDLESS, run)),
        (parse_record, changed("exit_status", ENDLESS, run)),
    ]:
        with pytest.raises(ContractError):
            read(content)


def test_an_obstacle_that_a_clock_ahead_met_counts_from_now() -> None:
    before = {"x": obstacles.Obstacle("r", NOW + 86_400, 1)}
    known = obstacles.Obstacles(lambda: NOW, before).get("x")
    assert known
    assert known.lasts(NOW + obstacles.PATIENCE_SECONDS)
