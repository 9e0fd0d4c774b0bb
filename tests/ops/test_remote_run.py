"""A command on a droplet, from an operator's terminal: what is asked for, what is passed on, and how it ends."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from model.config import config_bucket
from model.loader import load_environments
from model.plan import EnvironmentPlan, plan_environment
from model.runs import FRESH_SECONDS, run_key
from ops.digitalocean import Spaces
from ops.errors import OperationError, UsageError
from ops.remote_run import Remote, check_place, run, who
from tests.ops.cloud import APP, NAMES, Cloud, Time
from tests.support import ENVIRONMENTS

CONFIG = config_bucket(NAMES, "app")


@dataclass
class Operator:
    """An operator's terminal, and the droplet that answers."""

    cloud: Cloud
    time: Time
    remote: Remote
    out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self, *command: str, minutes: int = 10) -> int:
        return run(
            self.remote, command, by="ada@laptop", minutes=minutes, out=self.out.append, say=self.notes.append
        )

    @property
    def asked(self) -> dict[str, Any]:
        """The one request in the bucket."""
        (key,) = self.keys
        content = self.cloud.server.spaces.content(CONFIG, key)
        assert content
        return {"id": key.split("/")[1].removesuffix(".json"), **json.loads(content)}

    @property
    def keys(self) -> list[str]:
        return [key for key in self.cloud.server.spaces.keys(CONFIG) if key.startswith("requests/")]

    def says(self, state: str, output: str = "", **members: object) -> Callable[[], None]:
        """Let the droplet say how the run is."""

        def say() -> None:
            said = {
                "name": "staging-app-1-3fa9c2",
                "state": state,
                "result": None,
                "exit_status": None,
                "reason": "",
                "output": output,
                "cut": False,
                "time": "2026-11-26T09:00:00Z",
            }
            content = json.dumps({**said, **members}).encode()
            self.cloud.server.spaces.put(APP, run_key(self.asked["id"]), content)

        return say

    def then(self, *what: Callable[[], object]) -> None:
        """Let these happen while the operator's machine waits, one after the other."""
        self.time.then = {self.time.sleeps + number: one for number, one in enumerate(what, start=1)}


@pytest.fixture(scope="module")
def plan() -> EnvironmentPlan:
    loaded = load_environments(ENVIRONMENTS)
    return next(plan_environment(one) for one in loaded if one.file.environment == "staging")


@pytest.fixture
def operator(cloud: Cloud, time: Time, plan: EnvironmentPlan) -> Operator:
    return Operator(cloud, time, Remote.of(plan, "tenant-api", cloud.environ, time.clock))


def test_output_comes_as_it_is_printed_and_the_exit_status_at_the_end(operator: Operator) -> None:
    asked: list[dict[str, Any]] = []
    operator.then(
        lambda: asked.append(operator.asked),
        operator.says("starting"),
        operator.says("running"),
        operator.says("running", "one\n"),
        operator.says("running", "one\ntwo\n"),
        operator.says("ended", "one\ntwo\nthree\n", result="failed", exit_status=3, reason="three"),
    )
    assert operator.run("python", "-m", "reports", "$HOME") == 3
    assert operator.out == ["one\n", "two\n", "three\n"]
    (request,) = asked
    assert {key: request[key] for key in ("service", "command", "by", "timeout_seconds", "cancelled")} == {
        "service": "tenant-api",
        "command": ["python", "-m", "reports", "$HOME"],
        "by": "ada@laptop",
        "timeout_seconds": 600,
        "cancelled": False,
    }
    assert operator.notes == [
        f"{request['id']}: asked for; a droplet of app begins it within half a minute",
        f"{request['id']}: runs on staging-app-1-3fa9c2",
        f"{request['id']}: exit status 3: three",
    ]
    # What is over is not asked for any more.
    assert operator.keys == []


def test_a_command_that_ends_well(operator: Operator) -> None:
    operator.then(operator.says("ended", "done\n", result="ok", exit_status=0))
    assert operator.run("true") == 0
    assert operator.out == ["done\n"]


def test_of_long_output_what_is_new_is_passed_on_and_a_gap_is_told(operator: Operator) -> None:
    long = "".join(f"line {number}\n" for number in range(2000))
    operator.then(
        operator.says("running", long),
        operator.says("running", long[5000:] + "more\n", cut=True),
        operator.says("ended", "quite another\n", cut=True, result="ok", exit_status=0),
    )
    operator.run("x")
    assert operator.out == [long, "more\n", "\n[something was cut here]\nquite another\n"]


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"result": "timeout", "reason": "ended after 10 minutes"}, "timeout: ended after 10 minutes"),
        ({"result": "lost", "reason": "the droplet was interrupted"}, "lost: the droplet was interrupted"),
        ({"result": "failed", "reason": "it did not start: x"}, "failed: it did not start: x"),
    ],
)
def test_what_did_not_run_to_its_end_is_told(operator: Operator, members: dict[str, Any], told: str) -> None:
    operator.then(operator.says("ended", **members))
    with pytest.raises(OperationError, match=told):
        operator.run("x")
    assert operator.keys == []


def test_without_a_droplet_that_begins_it_the_wait_ends_when_none_would(
    operator: Operator, time: Time
) -> None:
    begin = time.seconds
    with pytest.raises(OperationError, match="no droplet of app began it within 10 minutes, and none will"):
        operator.run("x")
    assert FRESH_SECONDS <= time.seconds - begin < FRESH_SECONDS + 10
    assert operator.keys == []


def test_a_droplet_that_falls_silent_is_not_waited_for_for_ever(operator: Operator, time: Time) -> None:
    operator.then(operator.says("running"))
    begin = time.seconds
    with pytest.raises(OperationError, match="has said nothing since its time limit"):
        operator.run("x", minutes=1)
    assert time.seconds - begin < FRESH_SECONDS + 60 + 310


def test_ctrl_c_cancels(operator: Operator) -> None:
    def press() -> None:
        raise KeyboardInterrupt

    cancelled: list[object] = []
    operator.then(
        operator.says("running", "one\n"),
        press,
        lambda: cancelled.append(operator.asked["cancelled"]),
        operator.says("ended", "one\n", result="cancelled", reason="cancelled by ada@laptop"),
    )
    assert operator.run("sleep", "1000") == 130
    assert cancelled == [True]
    assert operator.notes[-1].endswith(": cancelled: cancelled by ada@laptop")
    assert operator.keys == []


def test_spaces_that_stumble_are_asked_again(operator: Operator) -> None:
    operator.then(
        operator.says("running", "one\n"),
        lambda: operator.cloud.fail("GET /.*runs/.* 503 1 1"),
        operator.cloud.fail,
        operator.says("ended", "one\n", result="ok", exit_status=0),
    )
    assert operator.run("x") == 0


def test_a_service_that_does_not_run_is_told(cloud: Cloud, plan: EnvironmentPlan) -> None:
    with pytest.raises(UsageError) as raised:
        Remote.of(plan, "tenant-ap", cloud.environ)
    assert raised.value.problems == [
        "staging runs no service 'tenant-ap'. Did you mean 'tenant-api'? It runs: control-plane-api, tenant-api, "
        "web-control-plane, web-tenant, worker"
    ]


@pytest.mark.parametrize(("minutes", "command"), [(0, ["x"]), (721, ["x"]), (10, [])])
def test_what_cannot_be_asked_for_is_refused(operator: Operator, minutes: int, command: list[str]) -> None:
    with pytest.raises(UsageError):
        operator.run(*command, minutes=minutes)
    assert operator.keys == []


@pytest.mark.parametrize(
    ("environment", "environ", "allowed"),
    [
        ("staging", {}, True),
        ("production", {}, False),
        ("production", {"GITHUB_ACTIONS": "true"}, False),
        ("production", {"RUN_APPROVED_ENVIRONMENT": "production"}, False),
        ("production", {"GITHUB_ACTIONS": "true", "RUN_APPROVED_ENVIRONMENT": "staging"}, False),
        ("production", {"GITHUB_ACTIONS": "true", "RUN_APPROVED_ENVIRONMENT": "production"}, True),
        ("production-eu", {}, False),
        ("productions", {}, True),
    ],
)
def test_in_production_only_the_workflow_runs_commands(
    environment: str, environ: dict[str, str], allowed: bool
) -> None:
    if allowed:
        check_place(environment, environ)
    else:
        with pytest.raises(UsageError) as raised:
            check_place(environment, environ)
        assert f"gh workflow run run.yml -f environment={environment}" in raised.value.problems[0]


@pytest.mark.parametrize(
    ("fault", "told", "tried"),
    [
        ("503", "the request was not written: Spaces answered 503", False),
        ("403", "the request was not written: Spaces answered 403: the key", False),
        ("500", "nobody knows whether the request was written: Spaces answered 500", True),
        ("drop", "nobody knows whether the request was written: Spaces did not answer", True),
        ("drop-answer", "nobody knows whether the request was written: Spaces did not answer", True),
    ],
)
def test_only_a_request_that_may_be_there_is_removed(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, fault: str, told: str, tried: bool
) -> None:
    removed: list[str] = []
    delete = operator.remote.spaces.delete

    def recorded(bucket: str, key: str) -> None:
        removed.append(key)
        delete(bucket, key)

    monkeypatch.setattr(operator.remote.spaces, "delete", recorded)
    operator.cloud.fail(f"PUT .*/requests/.* {fault}")
    with pytest.raises(OperationError, match=told):
        operator.run("x")
    assert bool(removed) is tried
    assert operator.keys == []
    assert operator.notes == []


def test_spaces_that_are_not_there_are_told_once(operator: Operator) -> None:
    nowhere = {**operator.cloud.environ, "SPACES_ENDPOINT_URL": "http://localhost:1"}
    operator.remote = replace(operator.remote, spaces=Spaces.of(nowhere, "fra1"))
    with pytest.raises(OperationError, match="the request was not written: Spaces was not reached"):
        operator.run("x")
    assert operator.notes == []


def test_who_asks_is_named() -> None:
    assert "@" in who({})
    assert who({"GITHUB_ACTOR": "ada", "GITHUB_RUN_ID": "7"}) == "ada, by GitHub's run 7"


def test_ctrl_c_twice_leaves_the_cancellation_for_the_droplet_to_read(operator: Operator) -> None:
    def press() -> None:
        raise KeyboardInterrupt

    operator.then(operator.says("running", "one\n"), press, press)
    with pytest.raises(KeyboardInterrupt):
        operator.run("sleep", "1000")
    assert operator.asked["cancelled"] is True
    assert len(operator.keys) == 1
