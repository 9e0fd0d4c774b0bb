"""`presence360 check`: what it prints, how it ends, and what it says without keys, answers or time."""

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.checked.breaks import BREAKS, broken
from lab.checked.estate import Estate
from ops.check import look as looks
from ops.check.checks import CHECKS, Check
from ops.check.finding import Colour, Finding, NotSeenError, bad, good, not_seen, soon
from ops.check.look import Look
from ops.check.report import markdown, text
from ops.check.run import Line, run
from ops.ci import settings
from ops.command import check as command_module
from tests.ops.command.conftest import Command, command

__all__ = ["command"]


def a_check(name: str, finds: Callable[[Look], Iterator[Finding]]) -> Check:
    return Check(name, f"{name} is right", finds)


@pytest.fixture
def line(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The command, over the estate's network."""
    monkeypatch.setattr(settings, "load", lambda _: estate.environ)
    monkeypatch.setattr(
        command_module, "World", lambda seen_as: dataclasses.replace(estate._world(), seen_as=seen_as)
    )

    def only(*checks: Check) -> None:
        monkeypatch.setattr(command_module, "CHECKS", checks)

    return only


def test_colours_decide_how_it_ends(command: Command, line: Callable[..., None]) -> None:
    def yellow(_: Look) -> Iterator[Finding]:
        yield good("one is there")
        yield soon("one ends soon", "Renew it")

    def green(_: Look) -> Iterator[Finding]:
        yield good("all are there")

    line(a_check("first", green), a_check("second", yellow))
    assert command("check", "staging").out.splitlines() == [
        "green   first   all are there",
        "yellow  second  one ends soon. Renew it",
        "staging: 1 green, 1 yellow, 0 red",
    ]
    command("check", "staging", "--strict", code=1)
    line(a_check("first", lambda _: iter([bad("it is gone", "Make it")])), a_check("second", green))
    assert command("check", "staging", code=1).out.splitlines()[:2] == [
        "red     first   it is gone. Make it",
        "green   second  all are there",
    ]
    said = json.loads(command("check", "staging", "--json", "--only", "first", code=1).out)
    assert (said["environment"], said["colour"]) == ("staging", "red")
    assert said["lines"] == [
        {"name": "first", "title": "first is right", "colour": "red",
         "findings": [{"colour": "red", "text": "it is gone", "todo": "Make it"}]}
    ]  # fmt: skip


def test_an_environment_without_credentials_is_not_checked_by_ci(
    command: Command, line: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    line(a_check("first", lambda _: iter([bad("it is gone", "Make it")])))
    command("check", "staging", "--only-if-set-up", code=1)
    monkeypatch.setattr(settings, "load", lambda _: {})
    assert "staging is not checked" in command("check", "staging", "--only-if-set-up").err
    command("check", "staging", code=1)


@pytest.mark.usefixtures("line")
def test_a_wrong_call_is_refused_with_all_that_is_wrong(command: Command) -> None:
    said = command.refused(
        "check", "staging", "--only", "tsl", "--only", "nams", "--only", "zzz", "--seen-as", "::1"
    )
    assert "--only 'tsl': there is no such line. Did you mean 'tls'?\n" in said
    assert "--only 'nams': there is no such line. Did you mean 'names'?\n" in said
    assert "--only 'zzz': there is no such line. Write one of: delegation, names, " in said
    assert "--seen-as '::1' is no IPv4 address" in said


def test_one_that_fails_hides_no_other(estate: Estate) -> None:
    def fails(_: Look) -> Iterator[Finding]:
        yield good("before that, one is there")
        raise KeyError("ip")

    def lacks(_: Look) -> Iterator[Finding]:
        raise NotSeenError("a key is missing", "Set it")

    hangs = threading.Event()

    def waits(_: Look) -> Iterator[Finding]:
        hangs.wait(60)
        yield good("too late")

    look = Look(estate.environment, estate.environ, estate._world())
    checks = (a_check("a", fails), a_check("b", lacks), a_check("c", waits), a_check("d", lambda _: iter(())))
    lines = run(look, checks, limit=0.5)
    hangs.set()
    assert [one.colour for one in lines] == [Colour.RED, Colour.YELLOW, Colour.YELLOW, Colour.YELLOW]
    assert [one.told[0].text for one in lines] == [
        "the check itself failed: KeyError: 'ip'",
        "not seen: a key is missing",
        "not seen: no answer within 0 s",
        "not seen: nothing was found to look at",
    ]


def test_without_keys_nothing_is_green_that_needs_them(estate: Estate) -> None:
    """Not even what the keys were missing for at half the way."""
    environ = {
        name: value for name, value in estate.environ.items() if "TOKEN" not in name and "KEY" not in name
    }
    lines = run(Look(estate.environment, environ, estate._world(), root=estate.root, outdir=estate.outdir))
    green = {one.check.name for one in lines if one.colour is Colour.GREEN}
    assert green == {"delegation", "repository", "capacity", "checkout"}
    assert not [one.check.name for one in lines if one.colour is Colour.RED]
    assert all(found.todo for one in lines for found in one.told if found.colour)


@pytest.mark.parametrize(
    ("status", "todo"), [(401, "does not know this token"), (403, "read-only token"), (500, "Try again")]
)
def test_a_token_that_does_not_suffice_is_yellow_and_says_what_to_do(
    estate: Estate, status: int, todo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "API_TRIES", 1)
    estate.ask("PUT", "/_local/faults", {"faults": [f"GET /v2/.* {status} 1 1000"]})
    try:
        lines = estate.check("load-balancers", "clusters", "account", "firewalls", "alerts", "health")
    finally:
        estate.ask("PUT", "/_local/faults", {"faults": []})
    assert {one.colour for one in lines.values()} == {Colour.YELLOW}
    assert all(todo in one.told[0].todo for one in lines.values())


def test_only_requests_that_read_are_made(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    original = estate.environ["DIGITALOCEAN_API_URL"]
    import urllib.request  # noqa: PLC0415

    opened = urllib.request.OpenerDirector.open

    def record(self: Any, asked: Any, *rest: Any, **named: Any) -> Any:
        if isinstance(asked, urllib.request.Request):
            made.append(asked.get_method())
        return opened(self, asked, *rest, **named)

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", record)
    estate.check()
    assert made
    assert set(made) == {"GET"}
    assert original == estate.environ["DIGITALOCEAN_API_URL"]


@pytest.mark.parametrize(
    ("seen_as", "port", "colour", "said"),
    [
        ("8.8.4.4", None, Colour.GREEN, "from 8.8.4.4: "),
        ("", None, Colour.GREEN, "from 10.1.2.3 (its public address is not known): "),
        ("8.8.4.4", 22, Colour.RED, "port 22, from 8.8.4.4"),
        ("", 22, Colour.YELLOW, "that may be an administrator's"),
        ("", 9360, Colour.RED, "port 9360, from 10.1.2.3"),
        ("198.51.100.7", 9360, Colour.YELLOW, "that is an administrator's address"),
        ("10.60.0.9", 9360, Colour.YELLOW, "in the private network"),
    ],
)
def test_the_vantage_is_named_and_an_administrators_claims_nothing(
    estate: Estate, seen_as: str, port: int | None, colour: Colour, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estate, "seen_as", seen_as)
    (droplet, *_) = estate.all("/v2/droplets", "droplets")
    address = next(one["ip_address"] for one in droplet["networks"]["v4"] if one["type"] == "public")
    monkeypatch.setattr(estate, "open", {(address, port)} if port else set())
    found = estate.check("outside")["outside"]
    assert found.colour is colour, found.told
    assert said in found.told[0].text


def test_a_runner_of_githubs_is_no_administrators(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the workflow claims what a laptop behind a NAT cannot."""
    monkeypatch.setattr(estate, "seen_as", "")
    (droplet, *_) = estate.all("/v2/droplets", "droplets")
    address = next(one["ip_address"] for one in droplet["networks"]["v4"] if one["type"] == "public")
    monkeypatch.setattr(estate, "open", {(address, 22)})
    for runner, colour in {"github-hosted": Colour.RED, "self-hosted": Colour.YELLOW}.items():
        monkeypatch.setitem(estate.environ, "RUNNER_ENVIRONMENT", runner)
        assert estate.colour("outside") is colour


def test_what_others_wrote_is_one_line_without_commands() -> None:
    wild = bad("it says ##[error] \x1b[31m\n::warning::no | `x`", "Look")
    (found,) = text([Line(CHECKS[0], (wild,))])
    assert "##[" not in found[1]
    assert "\x1b" not in found[1]
    assert "\n" not in found[1]
    row = markdown("staging", [Line(CHECKS[0], (wild, not_seen("y", "z")))]).splitlines()[4]
    assert row.count("|") - row.count("\\|") == 5
    assert "| `` it says ## [error]" in row


def test_a_line_names_all_that_is_wrong(estate: Estate) -> None:
    expired = next(one for one in BREAKS if one.title == "the certificate ends in 3 days")
    with broken(estate, expired):
        line = estate.check("certificates")["certificates"]
    names = {found.text.partition(":")[0] for found in line.told}
    assert {"api.staging.presence360.app", "staging.presence360.app", "cp.staging.presence360.app"} <= names
    assert all("the certificate ends on" in found.text for found in line.told)
