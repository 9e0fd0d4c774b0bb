"""What people and bots meet in the repository agrees with the program: form, hooks, Renovate, links, citations."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from model.environment import TenantLimits
from model.tenants import Tenant
from tests.support import ROOT

FORM = ROOT / ".github" / "ISSUE_TEMPLATE" / "add-a-church.yml"
# What an operator decides later, or the program makes: not asked of the one who wants a church.
NOT_ASKED = {
    "maintenance",
    "id",
    "status",
    "shared_copy",
    "credentials",
    "database",
    "queue_prefix",
    "limits",
}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def tracked(*patterns: str) -> list[str]:
    """Name the tracked files that match, without the operators' own, whose words are theirs."""
    listed = subprocess.run(
        ["git", "ls-files", *patterns, ":!environments"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def fields() -> dict[str, Any]:
    return {part["id"]: part for part in read(FORM)["body"] if part["type"] != "markdown"}


def test_the_form_asks_for_every_field_of_a_tenant(fields: dict[str, Any]) -> None:
    asked = set(Tenant.model_fields) - NOT_ASKED | set(TenantLimits.model_fields)
    assert set(fields) - {"environment", "by"} == asked


def test_the_form_insists_on_what_the_file_insists_on(fields: dict[str, Any]) -> None:
    required = {name for name, part in fields.items() if part.get("validations", {}).get("required")}
    assert required == {"environment", "name", "slug", "tier"}
    needed = {name for name, field in Tenant.model_fields.items() if field.is_required()}
    assert needed - NOT_ASKED <= required


def test_a_hook_is_a_make_target() -> None:
    targets = re.findall(r"^\.PHONY: ([a-z-]+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for repository in read(ROOT / ".pre-commit-config.yaml")["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["language"] == "system"
            assert hook["entry"].removeprefix("make --no-print-directory ") in targets


def test_renovate_finds_what_it_is_to_update() -> None:
    renovate = json.loads((ROOT / "renovate.json").read_text("utf-8"))
    names = tracked()

    def matched(patterns: list[str]) -> set[str]:
        return {name for name in names for pattern in patterns if re.search(pattern.strip("/"), name)}

    assert matched(renovate["pip_requirements"]["managerFilePatterns"]) == {
        "requirements.lock",
        "requirements-checkov.lock",
        "lab/clients/requirements.lock",
        "lab/services/backend/requirements.lock",
    }
    for manager in renovate["customManagers"]:
        (pattern,) = manager["matchStrings"]
        versions = {
            version
            for name in matched(manager["managerFilePatterns"])
            for version in re.findall(pattern.replace("?<", "?P<"), (ROOT / name).read_text("utf-8"))
        }
        assert len(versions) == 1, f"{manager['depNameTemplate']} is pinned to {sorted(versions)}"


def anchors(markdown: str) -> set[str]:
    """The headings of a page as GitHub links to them."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", tracked("*.md"))
def test_every_link_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text("utf-8"))):
            broken.append(target)
    assert broken == []


def test_every_heading_that_a_comment_cites_exists() -> None:
    page = (ROOT / "docs" / "digitalocean.md").read_text("utf-8")
    headings = set(re.findall(r"^#+ (.+)$", page, re.MULTILINE))
    cited = set()
    for name in tracked("*.py", "*.md", "*.sql", "*.j2", "*.yaml"):
        text = re.sub(r"\n[ \t]*#?[ \t]*", " ", (ROOT / name).read_text("utf-8"))
        cited |= set(re.findall(r'docs/digitalocean\.md, "([^"]+)"', text))
    assert cited
    assert cited - headings == set()


def test_the_readme_names_each_page_once() -> None:
    layout = next(
        line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `docs/` |")
    )
    pages = re.findall(r"\(docs/[^)]+\)", layout)
    assert sorted(pages) == sorted(set(pages))


def test_locks_name_the_command_that_writes_them() -> None:
    locks = [*(ROOT / "environments").rglob("*.lock"), *(ROOT / "tests/environments").rglob("*.lock")]
    assert len(locks) > 2
    assert {lock.read_text().partition(":")[0] for lock in locks} == {
        "# Written by `presence360 tenant lock`"
    }
