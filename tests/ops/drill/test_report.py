"""A drill's report as an issue: what is measured, and nothing that a church or a droplet could have GitHub render."""

import json

import pytest
from markdown_it import MarkdownIt

from droplet.drill.checks import Tried
from droplet.drill.report import Report
from droplet.drill.request import Request
from model.drill_status import parse_report
from model.plan import EnvironmentPlan
from model.restore_drill import RestoreDrillPlan
from ops.drill.report import markdown
from tests.ops.drill.conftest import CHURCH, reported

HOSTILE = [
    r"\[Sign in\](https://evil.example)", "[Sign in](https://evil.example)", "@org/team", "https://evil.example/a",
    "www.evil.example", "<img src=//evil.example>", "`` `x` [a](https://evil.example)", "a|b | [c](https://evil.example)",
    "![i](https://evil.example/i.png)", "\\", "# a", "closes #1",
]  # fmt: skip


@pytest.fixture(scope="module")
def plan(production_plan: EnvironmentPlan) -> RestoreDrillPlan:
    assert production_plan.drill
    return production_plan.drill


def words(text: str) -> tuple[list[str], set[str]]:
    """Return what is read as text and not as code, and the kinds of what is rendered."""
    tokens = [
        one
        for top in MarkdownIt("commonmark").enable("table").parse(text)
        for one in (top, *(top.children or ()))
    ]
    return [one.content for one in tokens if one.type == "text"], {one.type for one in tokens}


def test_a_report_says_what_was_measured(plan: RestoreDrillPlan) -> None:
    text = markdown(parse_report(reported()), plan)
    for line in (
        "# Restore drill of production, 2026-11-27 01:00 UTC: passed",
        f"| RTO: until a church is served from a new database | 11.0 min | {plan.rto_minutes} min |",
        f"| RPO by our dumps | 1.0 h | {plan.rpo_hours} h |",
        f"| `{CHURCH}` | passed | `dump` | 3 | 12 | 1.5 |",
    ):
        assert line in text.splitlines()
    assert "What is wrong" not in text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_of_a_church_s_is_shown_and_never_rendered(plan: RestoreDrillPlan, name: str) -> None:
    problem = f"{CHURCH}: whole: the foreign key {name} of t: rows that are not there"
    database = json.loads(reported())["databases"][0]
    content = reported(
        passed=False,
        problems=[problem],
        notes=[name],
        source=name,
        databases=[{**database, "database": name, "way": name}],
    )
    text = markdown(parse_report(content), plan)
    read, kinds = words(text)
    assert not {kind for kind in kinds if kind.startswith(("link", "image", "html"))}
    assert not [one for one in read if "evil" in one or "@" in one or "closes" in one]
    # Each of its six columns is there, whatever is in them.
    row = text.splitlines()[-1].replace("\\|", "")
    assert row.count("|") == 7
    assert problem in text


def test_what_a_droplet_writes_is_what_is_read(plan: RestoreDrillPlan) -> None:
    report = Report(
        Request("run-12345678", "staging", "shared", 4e6, 2e6, 3e6, 1e6, [], 30, 240, 30, 1, []),
        "control-1",
        5e6,
    )
    tried = Tried(CHURCH, "fork", 5e6, restore_seconds=2.25, tables=2, rows=7, dump_age=3600)
    tried.add("readable", "damaged pages (data_corrupted)")
    report.tried.append(tried)
    report.finished = 5e6
    text = markdown(parse_report(report.as_json()), plan)
    assert f"- `{CHURCH}: readable: damaged pages (data_corrupted)`" in text
    assert f"| `{CHURCH}` | **failed** | `fork` | 2 | 7 | 2.2 |" in text
