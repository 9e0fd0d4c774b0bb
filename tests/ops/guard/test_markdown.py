"""The comment on a pull request: readable at any size, harmless whatever a name holds, and silent about values."""

import re
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.plans.environment import GRACE, STAGING, Environment, Tenant, situation
from lab.plans.resources import SECRET
from ops.guard.markdown import MARKER, render
from ops.guard.text import MOST, quote, to_markdown, to_plain
from tests.ops.guard.cases import unchanged
from tests.ops.guard.guard import judge

GITHUB_LIMIT = 65_536

HOSTILE = (
    "| <b>",
    "`rm -rf`",
    "```",
    "@presence360/ops",
    "[click](https://example.org)",
    "https://example.org",
    "www.example.org",
    "#1 GH-1 a/b#2",
    "<!-- presence360: plan guard -->",
    "</details></summary>",
    "**bold** _it_ ~~s~~ $x$",
    "line\nbreak\r\n## heading",
    "right\u202eleft\u0007",
    "- item",
    "1. item",
    "\ue000x\ue001",
    "deadbeef",
    "",
    " ",
    "&lt;script&gt;",
    "x" * 500,
)


def many(count: int) -> tuple[Tenant, ...]:
    return tuple(
        Tenant(str(uuid.UUID(int=number + 1, version=4)), f"church-{number}", f"Church number {number}")
        for number in range(count)
    )


def shown(tmp_path: Path, before: Environment, after: Environment) -> str:
    return render(judge(tmp_path, {"staging": situation(before, after)}))


def outside_code(markdown: str) -> str:
    """Return what GitHub renders: the text without its code spans."""
    return re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", markdown)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_and_never_rendered(name: str, tmp_path: Path) -> None:
    before = STAGING.tenant(GRACE, name=name)
    markdown = shown(tmp_path, before, before.tenant(GRACE, slug="new-slug"))
    plain = shown(tmp_path, STAGING, STAGING.tenant(GRACE, slug="new-slug"))
    assert markdown.count(MARKER) == outside_code(markdown).count(MARKER) + name.count(MARKER)
    rendered = outside_code(markdown).replace(MARKER, "")
    assert not re.search(r"[<>@|\[\]$~&`]|https?:|www\.|#\d|GH-\d|\bdeadbeef\b", rendered)
    assert len(markdown.splitlines()) == len(plain.splitlines())


@given(st.text(max_size=300))
def test_any_text_stays_on_its_line_and_is_not_rendered(text: str) -> None:
    rendered = outside_code(to_markdown(f"a {quote(text)} b"))
    assert rendered.startswith("a ")
    assert rendered.endswith(" b")
    assert not re.search(r"[<>@|\[\]$~&`*_#\n\r\ue000\ue001]", rendered)
    plain = to_plain(quote(text))
    assert len(plain) <= MOST
    assert plain.isprintable() or not plain.strip()


def test_250_tenants_in_one_change_are_one_line(tmp_path: Path) -> None:
    before = STAGING.but(tenants=many(250))
    after = before.but(tenants=tuple(replace(one, generation=2, keep=(1,)) for one in before.tenants))
    markdown = shown(tmp_path, before, after)
    assert "**250 tenants**: user added; credentials changed" in markdown
    assert "<details><summary>all 250</summary>" in markdown
    assert "Church number 249" in markdown
    assert len(re.sub(r"<details>.*?</details>", "", markdown, flags=re.DOTALL).splitlines()) < 20


def test_250_tenants_that_are_lost_are_all_named_and_said_once(tmp_path: Path) -> None:
    before = STAGING.but(tenants=many(250))
    markdown = shown(tmp_path, before, before.but(tenants=()))
    assert "### Refused: 250" in markdown
    assert markdown.count("its key is no longer in the map") == 1
    assert all(f"Church number {number} " in markdown for number in range(250))
    assert len(markdown) < GITHUB_LIMIT


@pytest.mark.parametrize("count", [250, 1_000])
def test_it_fits_into_a_comment_whatever_happens(count: int, tmp_path: Path) -> None:
    """Each tenant has news of its own, with a name as long as may be shown, and loses its database."""
    long = tuple(replace(one, name=f"{one.name} {'é' * MOST}") for one in many(count))
    before = STAGING.but(tenants=long)
    half = len(long) // 2
    renamed = tuple(replace(one, slug=f"{one.slug}-new", name=f"New {one.name}") for one in long[:half])
    markdown = shown(tmp_path, before, before.but(tenants=renamed, region="ams3"))
    assert len(markdown) < GITHUB_LIMIT
    assert len(markdown.encode()) < 4 * GITHUB_LIMIT
    assert "## Plan guard: refused" in markdown
    assert "more" in markdown
    assert markdown.count("<details>") == markdown.count("</details>")


@pytest.mark.parametrize("most", [24_000, 5_000])
def test_it_fits_into_a_part_of_a_comment(most: int, tmp_path: Path) -> None:
    before = STAGING.but(tenants=many(250))
    report = judge(tmp_path, {"staging": situation(before, before.but(tenants=()))})
    assert len(render(report)) > most
    markdown = render(report, most)
    assert len(markdown) <= most
    assert "## Plan guard: refused" in markdown
    assert markdown.count("<details>") == markdown.count("</details>")


def test_the_same_plans_give_the_same_text(tmp_path: Path) -> None:
    before = STAGING.but(tenants=many(30))
    after = before.but(tenants=(), groups={"app": 4, "worker": 1}, release="2")
    texts = {shown(tmp_path / str(number), before, after) for number in range(3)}
    plan = situation(before, after).plan()
    plan["resource_changes"].reverse()
    texts.add(render(judge(tmp_path / "reversed", {"staging": plan})))
    assert len(texts) == 1


def test_several_stacks_are_told_apart(tmp_path: Path) -> None:
    after = STAGING.tenant(GRACE, status="suspended")
    plans = {
        "staging": situation(STAGING, after),
        "production": unchanged(replace(STAGING, name="production")),
    }
    markdown = render(judge(tmp_path, plans))
    assert "### What changes (production, staging)" in markdown
    assert "- staging: **Grace Chapel (grace)**: user removed" in markdown


def test_a_plan_without_changes_says_so(tmp_path: Path) -> None:
    markdown = shown(tmp_path, STAGING, STAGING)
    assert markdown == f"{MARKER}\n## Plan guard: nothing is lost\n\nNo changes. (staging)\n\n"


def test_names_come_from_the_plan_when_there_are_no_files(tmp_path: Path) -> None:
    it = situation(STAGING, STAGING.without(GRACE))
    assert "Grace Chapel (grace)" in render(judge(tmp_path, {"staging": it}))


def without_entries(plan: dict[str, Any]) -> dict[str, Any]:
    """Empty the objects of the directory, from which a name may come as well."""
    for change in plan["resource_changes"]:
        for attributes in (change["change"]["before"], change["change"]["after"]):
            if attributes and '"slug"' in str(attributes.get("content")):
                attributes["content"] = "{}"
    return plan


def test_names_come_from_the_directory_when_no_output_has_them(tmp_path: Path) -> None:
    it = situation(STAGING, STAGING.without(GRACE))
    it.tenants_there, it.tenants_wanted = {}, {}
    assert "Grace Chapel (grace)" in render(judge(tmp_path, {"staging": it}))


def test_without_any_name_there_is_the_id(tmp_path: Path) -> None:
    it = situation(STAGING, STAGING.without(GRACE))
    it.tenants_there, it.tenants_wanted = {}, {}
    plan = without_entries(it.plan())
    assert f"tenant `{GRACE}`: its database `tenant_{GRACE}`" in render(judge(tmp_path, {"staging": plan}))


def test_a_sensitive_output_names_nobody(tmp_path: Path) -> None:
    it = situation(STAGING, STAGING.without(GRACE))
    plan = without_entries(it.plan())
    for values in (plan["planned_values"], plan["prior_state"]["values"]):
        values["outputs"]["tenants"]["sensitive"] = True
    assert "Grace Chapel" not in render(judge(tmp_path, {"staging": plan}))


def test_no_secret_of_a_state_is_shown(tmp_path: Path) -> None:
    after = STAGING.but(user_data="#cloud-config 2", secret="third", region="ams3").without(GRACE)
    it = situation(STAGING, after)
    assert SECRET in str(it.plan())
    assert SECRET not in render(judge(tmp_path, {"staging": it}))
