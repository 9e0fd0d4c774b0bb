"""`presence360 sql` and the workflow's step: the same request, by a person's terminal and by GitHub."""

import argparse
import json
import os
import shlex
import signal
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lab import backup_programs
from lab.debian import MissingError
from model.config import config_bucket, status_bucket
from model.secret_values import PRIVATE_HALF
from model.sql_access import RECORDS, REQUESTS, SqlRequest, answer_key, record_key
from ops import sql_access
from ops.ci import open_sql, settings
from ops.command.app import app
from ops.errors import UsageError
from tests.ops.cloud import NAMES, Cloud, Time
from tests.ops.command.conftest import Command

CONFIG, STATUS = config_bucket(NAMES, "app"), status_bucket(NAMES, "app")
RUN = "20261127-031500-4f0c92ab"
KEY = f"age1{'q' * 58}"
PUBLIC_HALF = sql_access.public_half
SEALED = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n"


@pytest.fixture(autouse=True)
def deployed(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "load", lambda _: cloud.environ)
    of = sql_access.Place.of
    monkeypatch.setattr(sql_access.Place, "of", lambda plan, environ: of(plan, environ, cloud.time.clock))
    monkeypatch.setattr(sql_access, "public_half", lambda _: KEY)


def call(command: Command, *arguments: str) -> Any:
    name, *more = arguments
    return CliRunner().invoke(
        app, ["sql", name, "--environments", str(command.files.root), *more], prog_name="presence360"
    )


def say(cloud: Cloud, run_id: str, **members: object) -> None:
    said: dict[str, object] = {
        "version": 1, "id": run_id, "droplet": "staging-app-1", "state": "open", "time": "2026-11-27T03:15:00Z",
    }  # fmt: skip
    cloud.server.spaces.put(STATUS, answer_key(run_id), json.dumps({**said, **members}).encode())


def keep(cloud: Cloud, run_id: str) -> None:
    asked = SqlRequest(
        cluster="shared",
        database="tenant_x",
        recipient=KEY,
        by="ada@laptop",
        reason="why",
        time=datetime(2026, 11, 27, 3, 15, tzinfo=UTC),
        minutes=60,
    )
    cloud.server.spaces.put(CONFIG, record_key(run_id), asked.as_json())


def answer(cloud: Cloud, time: Time, **members: object) -> list[dict[str, Any]]:
    """Let a droplet answer the request that comes; return where that is put."""
    asked: list[dict[str, Any]] = []

    def end() -> None:
        (key,) = (key for key in cloud.server.spaces.keys(CONFIG) if key.startswith(f"{REQUESTS}/"))
        asked.append(json.loads(cloud.server.spaces.content(CONFIG, key) or b""))
        say(cloud, key.removeprefix(f"{REQUESTS}/").removesuffix(".json"), **members)

    time.then = {time.sleeps + 1: end}
    return asked


def requests(cloud: Cloud) -> list[str]:
    return [key for key in cloud.server.spaces.keys(CONFIG) if key.startswith(f"{REQUESTS}/")]


def test_a_church_is_asked_for_with_who_and_why(command: Command, cloud: Cloud, time: Time) -> None:
    asked = answer(cloud, time, until="2026-11-27T04:15:00Z", tables=12, all_rows=True, sealed=SEALED)
    result = call(
        command, "open", "staging", "grace", "--key", "sql.key", "--reason", "ticket 812", "--minutes", "45"
    )
    assert result.exit_code == 0, result.output
    (request,) = asked
    (church,) = (
        one.id
        for file in command.files.load()
        for one in file.tenants
        if (file.file.environment, one.slug) == ("staging", "grace")
    )
    assert {
        name: request[name] for name in ("cluster", "database", "recipient", "reason", "minutes", "closed")
    } == {
        "cluster": "shared",
        "database": f"tenant_{church}",
        "recipient": KEY,
        "reason": "ticket 812",
        "minutes": 45,
        "closed": False,
    }
    assert "@" in request["by"]
    assert f"reads 12 tables and views of tenant_{church} until 04:15 UTC, all rows" in result.stdout
    assert "presence360 sql connect staging 2" in result.stdout
    assert requests(cloud) == []
    (record,) = (key for key in cloud.server.spaces.keys(CONFIG) if key.startswith(f"{RECORDS}/"))
    assert json.loads(cloud.server.spaces.content(CONFIG, record) or b"")["reason"] == "ticket 812"


def test_the_control_plane_is_asked_for_by_its_name(command: Command, cloud: Cloud, time: Time) -> None:
    asked = answer(cloud, time, until="2026-11-27T04:15:00Z", sealed=SEALED)
    result = call(command, "open", "staging", "control_plane", "--key", "sql.key", "--reason", "x")
    assert result.exit_code == 0, result.output
    assert asked[0]["database"] == "control_plane"


def test_what_a_droplet_refuses_is_told(command: Command, cloud: Cloud, time: Time) -> None:
    answer(cloud, time, state="refused", problem="the isolation job has not visited it yet")
    result = call(command, "open", "staging", "grace", "--key", "sql.key", "--reason", "x")
    assert result.exit_code == 1
    assert "staging-app-1 refused: the isolation job has not visited it yet" in result.output
    assert requests(cloud) == []


def test_a_group_that_does_not_answer_is_told_after_ten_minutes(command: Command, cloud: Cloud) -> None:
    result = call(command, "open", "staging", "grace", "--key", "sql.key", "--reason", "x")
    assert result.exit_code == 1
    assert "no droplet of the control group answered within 10 minutes" in result.output
    assert requests(cloud) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("staging", "grace", "--reason", " "), "--reason is one line of 1 to 200 characters"),
        (("staging", "grace", "--reason", "x", "--minutes", "481"), "--minutes is from 1 to 480, not 481"),
        (("staging", "grce", "--reason", "x"), "there is no tenant with the slug 'grce'"),
        (("production", "grce", "--reason", "x"), "there is no tenant with the slug 'grce'"),
        (
            ("production", "grace", "--reason", "it's"),
            "gh workflow run sql.yml -f environment=production -f tenant=grace -f "
            + shlex.quote("reason=it's")
            + f" -f minutes=60 -f recipient={KEY}\n",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_told(
    command: Command, cloud: Cloud, arguments: tuple[str, ...], told: str
) -> None:
    result = call(command, "open", *arguments, "--key", "sql.key")
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert requests(cloud) == []


def test_in_production_the_workflow_alone_asks(
    command: Command,
    cloud: Cloud,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = {
        "ENVIRONMENT": "staging",
        "TENANT": "grace",
        "REASON": "ticket 812",
        "RECIPIENT": KEY,
        "MINUTES": "5",
    }
    for name, text in values.items():
        monkeypatch.setenv(f"SQL_{name}", text)
    monkeypatch.setenv("GITHUB_ACTOR", "ada")
    monkeypatch.setenv("GITHUB_RUN_ID", "77")
    monkeypatch.setattr(open_sql, "ENVIRONMENTS", command.files.root)
    asked = answer(cloud, time, until="2026-11-27T04:15:00Z", sealed=SEALED)
    assert open_sql.open_sql(argparse.Namespace()) == 0
    assert (asked[0]["by"], asked[0]["minutes"]) == ("ada, by GitHub's run 77", 5)
    out = capsys.readouterr()
    assert SEALED.splitlines()[1] not in out.out + out.err
    with pytest.raises(UsageError, match="Read a database"):
        sql_access.check_place("production", {}, "grace", "x", 5, KEY)
    # Another environment's approval is none for this one.
    for approved in ("staging", ""):
        with pytest.raises(UsageError, match="Read a database"):
            environ = {"GITHUB_ACTIONS": "true", sql_access.APPROVED: approved}
            sql_access.check_place("production", environ, "grace", "x", 5, KEY)
    environ = {"GITHUB_ACTIONS": "true", sql_access.APPROVED: "production"}
    sql_access.check_place("production", environ, "grace", "x", 5, KEY)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"SQL_REASON": ""}, "SQL_REASON is not set"),
        ({"SQL_MINUTES": "5m"}, "SQL_MINUTES is not a number of minutes"),
    ],
)
def test_a_workflows_input_that_is_wrong_is_told(changed: dict[str, str], told: str) -> None:
    environ = {f"SQL_{name}": "x" for name in ("ENVIRONMENT", "TENANT", "REASON", "RECIPIENT")} | changed
    with pytest.raises(UsageError) as raised:
        open_sql.inputs(environ)
    assert told in raised.value.problems[0]


def test_a_private_key_given_as_the_recipient_is_not_repeated() -> None:
    key = f"AGE-SECRET-KEY-1{'GFPYYSJZ' * 7}QQ"
    with pytest.raises(UsageError) as raised:
        sql_access.check_call("x", 5, key)
    assert key[:20] not in str(raised.value)
    assert PRIVATE_HALF in str(raised.value)


def test_who_asked_for_what_is_listed(command: Command, cloud: Cloud) -> None:
    assert "nobody asked for one" in call(command, "list", "staging").stdout
    for number in ("1500-4f0c92ab", "1600-4f0c92ac", "1700-4f0c92ad", "1800-4f0c92ae"):
        keep(cloud, f"20261127-03{number}")
    say(cloud, RUN, until="2020-01-01T00:00:00Z", sealed=SEALED)
    say(cloud, "20261127-031600-4f0c92ac", until="2099-01-01T00:00:00Z", sealed=SEALED)
    say(cloud, "20261127-031700-4f0c92ad", state="closed")
    cloud.server.spaces.put(STATUS, answer_key("20261127-031800-4f0c92ae"), b"a droplet may write anything")
    shown_lines = call(command, "list", "staging").stdout.splitlines()
    assert [line.split()[:2] for line in shown_lines] == [
        [RUN, "over"],
        ["20261127-031600-4f0c92ac", "open"],
        ["20261127-031700-4f0c92ad", "closed"],
        ["20261127-031800-4f0c92ae", "not"],
    ]
    assert shown_lines[0].endswith("tenant_x  ada@laptop: why")
    found = json.loads(call(command, "list", "staging", "--json").stdout)
    assert [one["state"] for one in found] == ["over", "open", "closed", "not answered"]
    assert found[0]["role"] == "tenant_x_read_4f0c92ab"


def test_a_login_is_closed_and_only_once(command: Command, cloud: Cloud, time: Time) -> None:
    assert "nothing is known of" in call(command, "close", "staging", RUN).stderr
    assert "is no request's id" in call(command, "close", "staging", "x").stderr
    keep(cloud, RUN)
    # Also after a refusal: what was made may be there all the same.
    say(cloud, RUN, state="refused", problem="a statement failed")
    asked = answer(cloud, time, state="closed")
    result = call(command, "close", "staging", RUN)
    assert result.exit_code == 0, result.output
    assert (asked[0]["closed"], asked[0]["cluster"]) == (True, "shared")
    assert requests(cloud) == []
    # It says it already: nothing is asked for.
    assert call(command, "close", "staging", RUN).exit_code == 0


def test_all_that_is_wrong_is_told_at_once(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where age is not installed; and a file that is missing has other words than one that is no key."""
    monkeypatch.setattr(sql_access, "public_half", PUBLIC_HALF)
    missing, bad = tmp_path / "missing.key", tmp_path / "bad.key"
    bad.write_text("x", encoding="utf-8")
    wrong = ("production", "grce", "--reason", " ", "--minutes", "0")
    result = call(command, "open", *wrong, "--key", str(missing))
    assert result.exit_code == 2, result.output
    for words in (
        f"{missing}: there is no such file. `presence360 sql key {missing}` makes it",
        "--reason is one line", "--minutes is from 1 to 480", "no tenant with the slug 'grce'",
    ):  # fmt: skip
        assert words in result.stderr
    assert "gh workflow run" not in result.stderr
    monkeypatch.setenv("PATH", str(tmp_path))
    result = call(command, "open", *wrong, "--key", str(bad))
    assert result.exit_code == 2, result.output
    assert "age is not installed" in result.stderr
    assert "--reason is one line" in result.stderr
    result = call(command, "connect", "stagin", "x", "--key", str(missing), "--droplet", "192.0.2.1")
    assert result.exit_code == 2, result.output
    for words in (
        "is no request's id", "--key", "age is not installed", "ssh is not installed",
        "there is no environment 'stagin'",
    ):  # fmt: skip
        assert words in result.stderr


@pytest.fixture
def terminal() -> Iterator[None]:
    """SIGINT as on a terminal: what a shell starts in the background ignores it, and so does all that this starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_open_that_is_ended_takes_its_login_back(
    command: Command, cloud: Cloud, time: Time, number: signal.Signals
) -> None:
    """A droplet may have begun: what it made for nobody is closed, and no request stays."""
    asked: list[dict[str, Any]] = []

    def closed() -> None:
        (key,) = requests(cloud)
        asked.append(json.loads(cloud.server.spaces.content(CONFIG, key) or b""))
        say(cloud, key.removeprefix(f"{REQUESTS}/").removesuffix(".json"), state="closed")

    time.then = {time.sleeps + 2: lambda: os.kill(os.getpid(), number), time.sleeps + 4: closed}
    result = call(command, "open", "staging", "grace", "--key", "sql.key", "--reason", "x")
    assert result.exit_code == 130, result.output
    assert [one["closed"] for one in asked] == [True]
    assert "no login is left of it" in result.output
    assert requests(cloud) == []


def test_an_open_that_is_ended_while_no_droplet_answers_leaves_the_request_to_close_it(
    command: Command, cloud: Cloud, time: Time
) -> None:
    time.then = {time.sleeps + 2: lambda: os.kill(os.getpid(), signal.SIGTERM)}
    result = call(command, "open", "staging", "grace", "--key", "sql.key", "--reason", "x")
    assert result.exit_code == 130, result.output
    (key,) = requests(cloud)
    assert json.loads(cloud.server.spaces.content(CONFIG, key) or b"")["closed"] is True
    (one,) = json.loads(call(command, "list", "staging", "--json").stdout)
    run_id = key.removeprefix(f"{REQUESTS}/").removesuffix(".json")
    assert (one["id"], one["state"]) == (run_id, "not answered")


@pytest.fixture
def tools() -> Path:
    try:
        return backup_programs.programs()
    except MissingError as error:
        pytest.skip(str(error))


def test_a_key_is_made_once_for_its_owner_alone(
    tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    file = tmp_path / "sql.key"
    public = sql_access.new_key(file, str(tools / "age-keygen"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sql_access.public_half(file, str(tools / "age-keygen")) == public
    sql_access.check_call("why", 60, public)
    with pytest.raises(UsageError, match="one key is for one look"):
        sql_access.new_key(file, str(tools / "age-keygen"))
    (tmp_path / "none").write_text("x")
    with pytest.raises(UsageError, match="this is no private key of age"):
        sql_access.public_half(tmp_path / "none", str(tools / "age-keygen"))


def test_records_are_forgotten_with_the_answers(command: Command, cloud: Cloud, time: Time) -> None:
    today = cloud.time.clock.time()
    days = [(today - timedelta(days=number)).strftime("%Y%m%d-%H%M%S-4f0c92ab") for number in (4, 2)]
    for run_id in days:
        keep(cloud, run_id)
    answer(cloud, time, until="2099-01-01T00:00:00Z", sealed=SEALED)
    assert call(command, "open", "staging", "grace", "--key", "sql.key", "--reason", "x").exit_code == 0
    left = [key for key in cloud.server.spaces.keys(CONFIG) if key.startswith(f"{RECORDS}/")]
    assert record_key(days[0]) not in left
    assert len(left) == 2
