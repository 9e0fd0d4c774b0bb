"""Scheduled jobs: what a file may say, what is wrong with what else, and what each group's droplets are told."""

import pytest

from model.plan import plan_environment
from model.schedule import Schedule, ScheduleError
from model.scheduled_jobs import jobs_json
from tests.model.workspace import STAGING, Workspace

JOB = """jobs:
  nightly-report:
    service: worker
    command: [python, -m, reports, "--since=1 day"]
    schedule: "30 3 * * mon-fri"
    timeout_minutes: 45
"""


def write(workspace: Workspace, text: str = JOB) -> None:
    workspace.write(STAGING, workspace.text(STAGING) + text)


def test_the_group_of_its_service_is_told_and_no_other(staging: Workspace) -> None:
    write(staging)
    (environment,) = staging.load()
    app, worker = plan_environment(environment).groups
    assert app.jobs == ()
    assert jobs_json(worker.jobs) == {
        "jobs": {
            "nightly-report": {
                "service": "worker",
                "command": ["python", "-m", "reports", "--since=1 day"],
                "schedule": {
                    "minutes": (30,),
                    "hours": (3,),
                    "days": None,
                    "months": None,
                    "weekdays": (1, 2, 3, 4, 5),
                },
                "timeout_seconds": 2700,
            }
        }
    }
    assert worker.jobs[0].written == "30 3 * * mon-fri"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("30 3 * *", "these are 4 fields, not five"),
        ("60 3 * * *", "minute: '60' is not allowed, only 0 to 59"),
        ("0 24 * * *", "hour: '24' is not allowed, only 0 to 23"),
        ("0 0 0 * *", "day of the month: '0' is not allowed, only 1 to 31"),
        (
            "0 0 * foo *",
            "month: 'foo' is not allowed, only 1 to 12, or jan, feb, mar, apr, may, jun, jul, aug, sep, oct, nov, dec",
        ),
        (
            "0 0 * * 8",
            "day of the week: '8' is not allowed, only 0 to 7, or sun, mon, tue, wed, thu, fri, sat",
        ),
        ("5-1 * * * *", "minute: '5-1' ends before it begins"),
        ("*/0 * * * *", "minute: '*/0' has no step after /"),
        ("*/x * * * *", "minute: '*/x' has no step after /"),
        ("1/5 * * * *", "minute: '1/5' has a step, and no range for it"),
        (", * * * *", "minute: '' is not allowed, only 0 to 59"),
        ("0 0 1 * mon", "it names days of the month and days of the week: cron would run it on either"),
        ("0 0 30 2 *", "no year has such a date"),
        ("0 0 31 feb,apr *", "no year has such a date"),
    ],
)
def test_a_schedule_that_says_no_time_is_told(written: str, told: str) -> None:
    with pytest.raises(ScheduleError) as raised:
        Schedule.read(written)
    assert str(raised.value) == told


@pytest.mark.parametrize(
    ("written", "weekdays"),
    [("0 0 * * 0", (7,)), ("0 0 * * 7", (7,)), ("0 0 * * SUN,sat", (6, 7)), ("0 0 * * */2", (2, 4, 6, 7))],
)
def test_sunday_is_0_and_7_and_a_name(written: str, weekdays: tuple[int, ...]) -> None:
    assert Schedule.read(written).weekdays == weekdays


@pytest.mark.parametrize(
    ("old", "new", "marker", "told"),
    [
        (
            '"30 3 * * mon-fri"',
            '"30 25 * * *"',
            "schedule:",
            "jobs.nightly-report.schedule: '30 25 * * *': hour: '25' is not allowed, only 0 to 23\n"
            "    Write minute, hour, day of the month, month and day of the week as cron does, in UTC: "
            '"30 3 * * *" is every night at half past three, "0 */2 * * mon-fri" each second hour on weekdays.',
        ),
        (
            "service: worker",
            "service: workers",
            "service: workers",
            "jobs.nightly-report.service: 'workers' is not one of the allowed values",
        ),
        (
            '[python, -m, reports, "--since=1 day"]',
            "[]",
            "command:",
            "jobs.nightly-report.command: this is empty\n    Program and arguments, as a list: [python, -m, reports]. "
            "No shell reads them.",
        ),
        (
            "timeout_minutes: 45",
            "timeout_minutes: 721",
            "timeout_minutes",
            "jobs.nightly-report.timeout_minutes: 721 is out of range\n    Write at most 720.",
        ),
    ],
)
def test_what_cannot_be_run_is_told(staging: Workspace, old: str, new: str, marker: str, told: str) -> None:
    write(staging, JOB.replace(old, new))
    line = next(
        number
        for number, text in enumerate(staging.text(STAGING).splitlines(), start=1)
        if marker in text and number > len(staging.text(STAGING).splitlines()) - len(JOB.splitlines())
    )
    assert f"environments/staging/environment.yaml:{line}: {told}" in staging.error()
