"""`presence360 migrations`, over what a control group of the local DigitalOcean says."""

import json

import pytest

from model.config import config_bucket
from model.migration_status import DETAILS_KEY, SUMMARY_KEY
from ops.ci import settings
from ops.command import migrations as shown
from tests.model.workspace import STAGING
from tests.ops.cloud import APP, NAMES, Cloud
from tests.ops.command.conftest import Command

GRACE = "tenant_3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"
IMAGE = "registry.digitalocean.com/presence360/tenant-api:1.4.2"
SUMMARY = {
    "version": 1,
    "time": "2023-11-14T22:13:00Z",
    "images": {"tenant-api": IMAGE},
    "state": "failed",
    "reason": f"1 of 2 databases are migrated; failed: {GRACE}: UniqueViolation",
    "failed": [{"database": GRACE, "reason": "UniqueViolation", "tries": 2}],
}


def row(database: str, result: str, **changed: object) -> dict[str, object]:
    return {
        "cluster": "shared", "database": database, "result": result, "image": f"sha256:{'ab' * 32}",
        "revision": "0002", "since": "2023-11-14T20:00:00Z", "reason": "", "tries": 0, **changed,
    }  # fmt: skip


@pytest.fixture(autouse=True)
def asked(command: Command, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "load", lambda _: cloud.environ)
    monkeypatch.setattr(shown, "SYSTEM_CLOCK", cloud.time.clock)
    command.files.replace(STAGING, "\nvalkey:\n", "\nmigrations: {canaries: [grace]}\n\nvalkey:\n")


def say(cloud: Cloud, *rows: dict[str, object], **changed: object) -> None:
    cloud.server.spaces.put(APP, SUMMARY_KEY, json.dumps({**SUMMARY, **changed}).encode())
    cloud.server.spaces.put(APP, DETAILS_KEY, json.dumps({"databases": rows}).encode())


def test_a_table_of_every_church_and_those_that_failed_first(command: Command, cloud: Cloud) -> None:
    say(cloud, row("control_plane", "done"), row(GRACE, "failed", reason="UniqueViolation", tries=2))
    lines = [" ".join(line.split()) for line in command("migrations", "staging").out.splitlines()]
    assert lines[0].startswith("staging: failed, 20 s ago: 1 of 2 databases are migrated; failed: ")
    assert lines[1] == f"tenant-api: {IMAGE}"
    assert lines[-3:] == [
        "church revision image since result reason",
        "grace 0002 abababababab 2023-11-14 20:00 UTC failed UniqueViolation",
        "control_plane 0002 abababababab 2023-11-14 20:00 UTC done -",
    ]


def test_programs_get_everything(command: Command, cloud: Cloud) -> None:
    say(cloud, row(GRACE, "due", image=None, revision=None, since=None))
    found = json.loads(command("migrations", "staging", "--json").out)
    assert found["state"] == "failed"
    assert found["databases"] == [
        {
            "name": "grace", "database": GRACE, "cluster": "shared", "result": "due", "revision": None, "image": None,
            "since": None, "reason": "", "tries": 0,
        }
    ]  # fmt: skip


def test_before_the_control_group_has_said_anything(command: Command) -> None:
    assert "has not said anything of migrations yet" in command("migrations", "staging").out
    found = json.loads(command("migrations", "staging", "--json").out)
    assert (found["state"], found["databases"]) == (None, [])


def test_another_try_is_asked_for_in_the_control_groups_bucket(command: Command, cloud: Cloud) -> None:
    said = command("migrations", "staging", "--retry", "grace", "--retry", "control_plane").out
    assert "The control group tries again within a minute and a half." in said
    # Another operator asks as well: neither takes the other's place.
    command("migrations", "staging", "--retry", "grace")
    spaces, bucket = cloud.server.spaces, config_bucket(NAMES, "app")
    written = [
        json.loads(spaces.content(bucket, key) or b"")
        for key in spaces.keys(bucket)
        if key.startswith("requests/migrations-")
    ]
    written.sort(key=lambda one: len(one["databases"]))
    at = "2023-11-14T22:13:20Z"
    assert written == [
        {"time": at, "databases": [GRACE]},
        {"time": at, "databases": ["control_plane", GRACE]},
    ]


def test_what_cannot_be_asked_for(command: Command) -> None:
    said = command("migrations", "staging", "--retry", "graze", code=2).err
    assert "there is no church 'graze' in staging" in said
    command.files.replace(STAGING, "\nmigrations: {canaries: [grace]}\n", "")
    assert "environment.yaml asks for no migrations" in command("migrations", "staging", code=2).err


@pytest.mark.parametrize("content", [b"", b"[]", b'{"state": "done"}'])
def test_what_is_no_report_is_an_error_in_words(command: Command, cloud: Cloud, content: bytes) -> None:
    cloud.server.spaces.put(APP, SUMMARY_KEY, content)
    said = command("migrations", "staging", code=1).err
    assert "the migrations cannot be read: presence360-staging-status-app: migrations: " in said


def test_what_a_church_could_have_written_does_not_reach_the_terminal(command: Command, cloud: Cloud) -> None:
    say(cloud, row(GRACE, "failed", reason="\x1b[2Jgone", tries=1), reason="\x1b[2J")
    assert "\x1b[2J" not in command("migrations", "staging").out


def test_another_try_is_json_for_programs(command: Command) -> None:
    said = json.loads(command("migrations", "staging", "--retry", "grace", "--json").out)
    assert said == {
        "environment": "staging",
        "time": "2023-11-14T22:13:20Z",
        "asked": [{"name": "grace", "database": GRACE}],
    }


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("503", "the request was not written: Spaces answered 503"),
        ("drop-answer", "nobody knows whether the request was written: Spaces did not answer"),
    ],
)
def test_a_request_that_was_not_answered_is_told_as_it_is(
    command: Command, cloud: Cloud, fault: str, told: str
) -> None:
    cloud.fail(f"PUT .* {fault}")
    answer = command("migrations", "staging", "--retry", "grace", code=1)
    assert told in " ".join((answer.out + answer.err).split())


def test_a_canary_that_is_not_there_is_warned_of(command: Command) -> None:
    command.files.replace(STAGING, "{canaries: [grace]}", "{canaries: [graze]}")
    answer = command("migrations", "staging", "--json")
    assert "there is no church 'graze' in tenants.yaml, so nothing is tried out" in answer.err
    json.loads(answer.out)


def test_only_what_it_reads_with_is_asked_for(command: Command, cloud: Cloud) -> None:
    """It asks Spaces, and never the API."""
    secret = cloud.environ["SPACES_SECRET_ACCESS_KEY"]
    say(cloud, row(GRACE, "done"), state="done")
    for name in ("DIGITALOCEAN_TOKEN", "SPACES_SECRET_ACCESS_KEY"):
        cloud.environ[name] = ""
    (said,) = command("migrations", "staging", code=2).err.splitlines()
    assert said.startswith("presence360: SPACES_SECRET_ACCESS_KEY is not set")
    cloud.environ["SPACES_SECRET_ACCESS_KEY"] = secret
    assert "done" in command("migrations", "staging").out
