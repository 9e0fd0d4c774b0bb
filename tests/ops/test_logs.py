"""`presence360 logs`: what is asked of the droplet that keeps the lines, and what is wrong with a call."""

import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from model.loader import load_environments
from model.plan import plan_environment
from ops import logs
from ops.api_client import Client
from ops.command.app import app
from ops.digitalocean import Api, Droplet
from ops.errors import OperationError, UsageError
from ops.logs import Query, keeper, readable, remote_command
from tests.support import ENVIRONMENTS

LOADED = {one.file.environment: one for one in load_environments(ENVIRONMENTS)}
PLANS = {name: plan_environment(one) for name, one in LOADED.items()}
GRACE = next(tenant for tenant in LOADED["production"].tenants if tenant.slug == "grace")


def asked(environment: str = "production", **query: Any) -> list[str]:
    return remote_command(Query(**query), PLANS[environment], LOADED[environment].tenants)


BEGIN = ["journalctl", "--quiet", "--utc", "--output=json"]


def test_a_services_lines_are_looked_for_in_its_groups_folder() -> None:
    assert asked(what="worker") == [
        *BEGIN, "--file=/srv/metrics/logs/worker/*.journal", "--since=-1h", "--lines=10000", "CONTAINER_TAG=worker",
    ]  # fmt: skip


def test_nginx_units_and_droplets() -> None:
    everywhere = "--file=/srv/metrics/logs/*/*.journal"
    assert asked(what="nginx", since="2026-11-27 03:00", follow=True) == [
        *BEGIN, everywhere, "--since=2026-11-27 03:00", "--follow", "--no-tail", "SYSLOG_IDENTIFIER=nginx",
    ]  # fmt: skip
    found = asked(what="presence360-converge", droplet="production-tenant-1-3fa9c2")
    assert found[-2:] == ["--unit=presence360-converge", "_HOSTNAME=production-tenant-1-3fa9c2"]


def test_a_message_has_to_match_all_that_is_asked() -> None:
    found = asked(church="grace", request=32 * "a", grep="timed? out")
    (pattern,) = (word for word in found if word.startswith("--grep="))
    identity = str(GRACE.id).replace("-", r"\-")
    assert pattern == (
        f'--grep=(?s)^(?=.*"tenant": ?"(grace|{identity})")(?=.*"request_id": ?"{32 * "a"}")(?=.*(timed? out))'
    )
    assert asked(church=str(GRACE.id))[-1] == asked(church="grace")[-1]


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError) as wrong:
        asked(what="; rm", since="yesterday", church="grase", request="$(x)", droplet="a b")
    assert list(wrong.value.problems) == [
        "there is no service and no unit '; rm'. Services: tenant-api, worker, web-tenant, control-plane-api, "
        "web-control-plane; and nginx",
        "--since 'yesterday' is no time: write how long ago, such as 30m, 2h or 3d, or a time in UTC, such as "
        '"2026-11-27 03:00"',
        "--church 'grase': there is no such church. Did you mean 'grace'? Write a slug or an id of tenants.yaml",
        "--request '$(x)' is no request's id: it has 32 hexadecimal digits, as in X-Request-ID",
        "--droplet 'a b' is no droplet's name: `presence360 status` lists them",
    ]


class Found(Api):
    """DigitalOcean's API, with some droplets."""

    def __init__(self, *droplets: Droplet) -> None:
        super().__init__(Client.of({"DIGITALOCEAN_TOKEN": "x"}, seconds=1, tries=1))
        self.droplets = droplets
        self.tag = ""

    def tagged(self, tag: str) -> list[Droplet]:
        """Return them."""
        self.tag = tag
        return list(self.droplets)


def droplet(number: int, status: str = "active") -> Droplet:
    return Droplet(
        str(number), f"observability-{number}", status, (f"10.70.0.{number}", f"203.0.113.{number}")
    )


def test_the_newest_droplet_that_runs_is_asked_at_its_public_address() -> None:
    api = Found(droplet(9), droplet(10), droplet(11, "new"))
    assert keeper(PLANS["production"], api) == "203.0.113.10"
    assert api.tag == "production-group-observability"


def test_without_a_droplet_or_a_group_the_message_says_so() -> None:
    with pytest.raises(
        OperationError, match=r"no droplet of the group observability of production is running"
    ):
        keeper(PLANS["production"], Found())
    without = replace(
        PLANS["production"],
        groups=tuple(replace(group, observability=None) for group in PLANS["production"].groups),
    )
    with pytest.raises(UsageError, match="has no observability group"):
        keeper(without, Found())


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"MESSAGE": "hello"}, "2023-11-14 22:13:20 app-1 tenant-api: hello"),
        ({"MESSAGE": [104, 105, 255]}, "2023-11-14 22:13:20 app-1 tenant-api: hi\N{REPLACEMENT CHARACTER}"),
        ({"MESSAGE": None}, "2023-11-14 22:13:20 app-1 tenant-api: "),
        ({"SYSLOG_IDENTIFIER": None, "_COMM": "sh", "MESSAGE": "x"}, "2023-11-14 22:13:20 app-1 sh: x"),
        (
            {"MESSAGE": "ok\n2023-11-14 22:13:20 db-1 sshd: in\r\n\x85\u2028root"},
            "2023-11-14 22:13:20 app-1 tenant-api: ok\n    2023-11-14 22:13:20 db-1 sshd: in\n    \n    \n    root",
        ),
        (
            {"_HOSTNAME": "app-1\ndb-1", "SYSLOG_IDENTIFIER": "a\rb", "MESSAGE": "x"},
            r"2023-11-14 22:13:20 app-1\ndb-1 a\rb: x",
        ),
        ({"__REALTIME_TIMESTAMP": None}, None),
        ({"__REALTIME_TIMESTAMP": "9" * 30}, None),
    ],
)
def test_a_line_for_people(fields: dict[str, Any], text: str | None) -> None:
    known = {
        "__REALTIME_TIMESTAMP": "1700000000000000",
        "_HOSTNAME": "app-1",
        "SYSLOG_IDENTIFIER": "tenant-api",
    }
    line = json.dumps({**known, **fields})
    assert readable(f"{line}\n") == (line if text is None else text)


def test_what_the_droplet_says_is_passed_on_and_its_refusal_too() -> None:
    said: list[str] = []
    line = json.dumps({"__REALTIME_TIMESTAMP": "1700000000000000", "MESSAGE": "it's"})
    logs.read(["printf", "%s", line], ssh=["sh", "-c"], out=said.append)
    assert said == ["2023-11-14 22:13:20 ? ?: it's\n"]
    said.clear()
    logs.read(["printf", "%s", line], ssh=["sh", "-c"], out=said.append, as_json=True)
    assert said == [line]
    # journalctl ends with 1 where nothing matches.
    logs.read(["false"], ssh=["sh", "-c"], out=said.append)
    with pytest.raises(OperationError, match="the droplet did not find lines: no such thing"):
        logs.read(["sh", "-c", "echo no such thing >&2; exit 1"], ssh=["sh", "-c"], out=said.append)
    with pytest.raises(OperationError, match=r"was not reached: Permission denied.*network\.ssh_keys"):
        logs.read(["sh", "-c", "echo Permission denied >&2; exit 255"], ssh=["sh", "-c"], out=said.append)


def test_what_ssh_says_of_errors_blocks_nothing_and_one_line_of_it_is_shown() -> None:
    """More than a pipe takes, before the first line."""
    said: list[str] = []
    script = "head -c 300000 /dev/zero | tr '\\0' e >&2; echo '[1]'; printf '\n::add-mask::x\033[2J\n \n' >&2; exit 255"
    with pytest.raises(OperationError) as refused:
        logs.read(["x"], ssh=["timeout", "20", "sh", "-c", script], out=said.append)
    assert said == ["[1]\n"]
    assert str(refused.value).startswith(
        r"the droplet was not reached: ::add-mask::x\x1b[2J. Is your address"
    )


def test_a_wrong_call_ends_with_2_before_anything_is_asked() -> None:
    call = ["logs", "--environments", str(ENVIRONMENTS), "staging", "worker", "--since", "soon"]
    result = CliRunner().invoke(app, call, prog_name="presence360")
    assert result.exit_code == 2
    assert result.stderr.count("--since 'soon' is no time") == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--since", "2099-01-01"), "--since '2099-01-01' is in the future: it is 20"),
        (("--since", "2026-02-30"), "--since '2026-02-30' is no time: write how long ago"),
        (("--droplet", "nosuch"), "--droplet 'nosuch': no droplet of staging has or had this name"),
        (
            ("--grep", "("),
            "--grep '(' is no regular expression: missing ), unterminated subpattern at position 0",
        ),
        (("--grep", "[a"), "--grep '[a' is no regular expression: unterminated character set"),
    ],
)
def test_what_can_find_nothing_is_told_before_anything_is_asked(options: tuple[str, str], told: str) -> None:
    call = ["logs", "--environments", str(ENVIRONMENTS), "staging", *options]
    result = CliRunner().invoke(app, call, prog_name="presence360")
    assert result.exit_code == 2, result.output
    assert told in result.stderr


@pytest.mark.parametrize("grep", [r"\bx\h+", "[[:alpha:]]+", r"\p{L}", "a++", "(x|y)"])
def test_a_pattern_that_only_journalctl_reads_is_passed_on(grep: str) -> None:
    assert remote_command(Query(grep=grep), PLANS["staging"], LOADED["staging"].tenants)
