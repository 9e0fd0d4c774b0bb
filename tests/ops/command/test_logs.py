"""`presence360 logs`: a service that was misspelled, a token that is missing, and nothing found."""

from collections.abc import Callable
from typing import Any

import pytest

from ops import logs
from ops.ci import settings
from ops.logs import Query
from tests.ops.command.conftest import Command


@pytest.mark.parametrize(
    ("what", "meant"),
    [
        ("tenant-apy", "tenant-api"),
        ("tenantapi", "tenant-api"),
        ("wroker", "worker"),
        ("workers", "worker"),
        ("ngnix", "nginx"),
        ("control-plane", "web-control-plane"),
        ("tenant-api", ""),
        ("nginx", ""),
        ("worker.service", ""),
        ("worker@1", ""),
        ("presence360-converge", ""),
        ("docker", ""),
        ("ssh", ""),
        ("cron", ""),
    ],
)
def test_a_misspelled_service_is_not_taken_for_a_unit(what: str, meant: str) -> None:
    said = list(logs._problems(Query(what=what), ()))
    wanted = [f"there is no service '{what}'. Did you mean '{meant}'? "] if meant else []
    assert [one.partition("A unit")[0] for one in said] == wanted


def test_without_a_token_the_variables_are_named(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "load", lambda _: {})
    said = command.refused("logs", "staging", "worker")
    assert (
        "DIGITALOCEAN_TOKEN is not set, and neither is DIGITALOCEAN_ACCESS_TOKEN: the API token, from the "
        in said
    )
    assert "see .env.example" in said


@pytest.mark.parametrize("lines", [[], ["a line\n"]])
def test_where_no_line_is_found_stderr_says_so(
    command: Command, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_: object, *, out: Callable[[str], None], **__: Any) -> None:
        for line in lines:
            out(line)

    monkeypatch.setattr(settings, "load", lambda _: {"DIGITALOCEAN_TOKEN": "x"})
    monkeypatch.setattr(logs, "keeper", lambda *_: "203.0.113.7")
    monkeypatch.setattr(logs, "read", read)
    said = command("logs", "staging", "worker")
    assert said.out == "".join(lines)
    assert ("no line found" in said.err) is not bool(lines)
