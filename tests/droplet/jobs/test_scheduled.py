"""Scheduled jobs: when they are due, on one droplet of the group, and never two at once."""

import calendar
import json
import time

import pytest

from droplet.converge.peers import read_time
from droplet.jobs.schedule import Schedule
from droplet.jobs.scheduled import CATCH_UP_SECONDS, GRACE_SECONDS, REWRITE_SECONDS
from model.schedule import Schedule as Written
from tests.droplet.jobs.site import EVERY_MINUTE, NOW, SECRET, Machine

HOURLY = {"schedule": {**EVERY_MINUTE, "minutes": [0]}}
"""Due at 11:00, seven minutes before `NOW`."""
HOUR = 3600


def seconds(text: str) -> float:
    return float(calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M")))


@pytest.mark.parametrize(
    ("written", "now", "due"),
    [
        ("* * * * *", "2026-11-18 11:07", "2026-11-18 11:07"),
        ("30 3 * * *", "2026-11-18 11:07", "2026-11-18 03:30"),
        ("30 3 * * *", "2026-11-18 03:29", "2026-11-17 03:30"),
        ("*/15 9-17 * * mon-fri", "2026-11-18 20:00", "2026-11-18 17:45"),
        ("0 0 * * sun", "2026-11-22 05:00", "2026-11-22 00:00"),
        ("0 0 * * 7", "2026-11-23 05:00", None),
        ("0 0 1 jan *", "2026-01-01 00:00", "2026-01-01 00:00"),
        ("0 0 29 2 *", "2028-02-29 12:00", "2028-02-29 00:00"),
        ("0 0 29 2 *", "2026-03-01 00:00", None),
    ],
)
def test_a_job_is_due_when_cron_would_run_it(written: str, now: str, due: str | None) -> None:
    """Written by an operator, worked out by the model, and read by a droplet."""
    schedule = Schedule.read(json.loads(json.dumps(Written.read(written).as_json())))
    found = schedule.last_due(seconds(now) + 42)
    assert found == (None if due is None else seconds(due))


def test_a_new_job_runs_when_it_is_due_next(first: Machine) -> None:
    first.schedule(report=HOURLY)
    first.once()
    assert first.started == []
    assert first.buckets.record("report")["state"] == "waiting"
    assert 'presence360_scheduled_job_success{name="report"}' not in first.metrics
    first.once(HOUR)
    due = int(NOW + HOUR) // HOUR * HOUR
    assert first.started == [f"report-{due}"]
    assert first.metrics['presence360_scheduled_job_running{name="report"}'] == 1
    first.container(f"report-{due}").ended(0, "done\n")
    first.once(15)
    record = first.buckets.record("report")
    assert (record["state"], record["run"], record["exit_status"]) == ("ok", f"report-{due}", 0)
    assert read_time(record["due"]) == due
    assert record["last_success"] == record["ended"]
    assert first.metrics['presence360_scheduled_job_success{name="report"}'] == 1
    assert first.metrics['presence360_scheduled_job_running{name="report"}'] == 0
    assert first.buckets.said(f"report-{due}")["output"] == "done\n"
    first.once(15)
    assert len(first.started) == 1


def test_a_failure_is_remembered_and_the_last_success_stays(first: Machine) -> None:
    first.schedule(report=HOURLY)
    first.once()
    first.once(HOUR)
    first.container(first.started[0]).ended()
    first.once(15)
    good = first.buckets.record("report")["last_success"]
    first.once(HOUR)
    first.container(first.started[1]).ended(1, f"no {SECRET}\n")
    first.once(15)
    record = first.buckets.record("report")
    assert (record["state"], record["reason"], record["last_success"]) == ("failed", "no ***", good)
    assert first.metrics['presence360_scheduled_job_success{name="report"}'] == 0


def test_it_runs_on_one_droplet(first: Machine, second: Machine) -> None:
    for one in (first, second):
        one.schedule(report=HOURLY)
        one.once()
    for one in (first, second):
        one.now += HOUR
        one.speak()
    for one in (second, first, second, first):
        one.once()
    assert second.started == []
    assert len(first.started) == 1
    # One series for each job: that of the droplet that ran it.
    assert 'presence360_scheduled_job_running{name="report"}' not in second.metrics


def test_another_droplet_takes_over_from_one_that_is_silent(first: Machine, second: Machine) -> None:
    for one in (first, second):
        one.schedule(report=HOURLY)
        one.once()
    second.once(HOUR)
    assert len(second.started) == 1


def test_it_never_runs_beside_its_own_run_before(first: Machine, second: Machine) -> None:
    first.schedule(report={"schedule": EVERY_MINUTE})
    second.schedule(report={"schedule": EVERY_MINUTE})
    first.once()
    first.once(60)
    (run,) = first.started
    first.once(60)
    assert len(first.started) == 1
    # Its droplet is destroyed: nobody knows whether the run goes on, until its time limit is over.
    second.now = first.now + 310
    second.once()
    assert second.started == []
    second.now = first.now + 600 + GRACE_SECONDS
    second.once()
    assert len(second.started) == 1
    assert second.started[0] != run


def test_a_run_that_could_not_begin_is_made_up_for_within_an_hour(first: Machine) -> None:
    first.schedule(report=HOURLY)
    first.once()
    first.buckets.silent = True
    first.now += HOUR
    first.look().once()
    first.buckets.silent = False
    first.once(CATCH_UP_SECONDS / 2)
    assert len(first.started) == 1


def test_an_older_one_is_missed_and_told(first: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    nightly = {"schedule": {**EVERY_MINUTE, "minutes": [30], "hours": [3]}}
    first.schedule(report=nightly)
    first.once()
    first.once(20 * HOUR)
    assert first.started == []
    record = first.buckets.record("report")
    assert (record["state"], record["reason"]) == ("missed", "it could not begin within 60 minutes")
    assert first.metrics['presence360_scheduled_job_success{name="report"}'] == 0
    assert "report: missed" in capsys.readouterr().out
    first.once(20.5 * HOUR)
    assert len(first.started) == 1


def test_no_scheduled_job_begins_in_maintenance(first: Machine) -> None:
    first.schedule(report=HOURLY)
    first.once()
    first.paths.shared.mkdir(parents=True)
    told = first.paths.shared / "maintenance.json"
    told.write_text('{"environment": true, "tenants": []}')
    first.once(HOUR)
    assert first.started == []
    # What an operator asks for does.
    first.ask("run-1")
    first.once(15)
    first.container("run-1").ended()
    told.write_text('{"environment": false, "tenants": []}')
    first.once(600)
    assert len(first.started) == 2


def test_one_at_a_time_and_an_operators_beside_it(first: Machine) -> None:
    first.schedule(one=HOURLY, two=HOURLY)
    first.once()
    first.once(HOUR)
    assert len(first.started) == 1
    first.ask("run-1")
    first.once(15)
    assert first.started[1:] == ["run-1"]
    first.container(first.started[0]).ended()
    first.once(15)
    assert [name.rpartition("-")[0] for name in first.started] == ["one", "run", "two"]


def test_while_an_apply_is_under_way_or_the_object_is_broken_nothing_is_due(
    first: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    first.schedule(report={"schedule": {"minutes": [0]}})
    first.once()
    assert "jobs.json does not have the form that Terraform writes" in capsys.readouterr().out
    first.schedule(report=HOURLY)
    (first.paths.incoming / "jobs.json").write_text("{}")
    first.once(HOUR)
    assert first.started == []


def test_a_record_is_written_again_before_the_bucket_forgets_it(first: Machine) -> None:
    yearly = {"schedule": {**EVERY_MINUTE, "minutes": [0], "hours": [0], "days": [1], "months": [1]}}
    first.schedule(report=yearly)
    first.once()
    before = first.buckets.record("report")
    first.once(REWRITE_SECONDS + 60)
    after = first.buckets.record("report")
    assert after["time"] != before["time"]
    assert after == {**before, "time": after["time"]}


def test_spaces_are_asked_for_records_when_something_is_due_and_not_otherwise(first: Machine) -> None:
    first.schedule(report=HOURLY)
    first.once()
    first.failing = "sync --checksum --max-depth 2 --filter + /jobs/*.json"
    looking = first.look()
    first.now += 60
    looking.once()
    assert looking.scheduled.records["report"].state == "waiting"
