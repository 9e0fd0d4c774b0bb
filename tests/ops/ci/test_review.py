"""What the pull request's comment says of paths, parity and cost, and that a finding fails the step."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.loader import load_environments
from model.plan import EnvironmentPlan, plan_environment
from ops.ci import review
from ops.edits import by_name
from ops.parity.compare import Difference, Parity
from ops.reach.check import Verdict
from ops.synthesized import of_no_environment
from tests.support import ENVIRONMENTS, ROOT, Stack

PROVED = Verdict("staging", (), (), (), 24)


@pytest.fixture(scope="module")
def before() -> dict[str, EnvironmentPlan]:
    return {one.file.environment: plan_environment(one) for one in load_environments(ENVIRONMENTS)}


@pytest.fixture(scope="module")
def after() -> dict[str, EnvironmentPlan]:
    """Staging with two workers, and an administrator more."""
    staging = by_name(load_environments(ENVIRONMENTS))["staging"]
    worker = staging.file.groups["worker"].model_copy(update={"replicas": 2})
    cidrs = (
        *staging.file.network.admin_cidrs,
        by_name(load_environments(ENVIRONMENTS))["production"].file.network.admin_cidrs[0],
    )
    file = staging.file.model_copy(
        update={
            "groups": {**staging.file.groups, "worker": worker},
            "network": staging.file.network.model_copy(update={"admin_cidrs": cidrs}),
        }
    )
    return {"staging": plan_environment(replace(staging, file=file))}


def page(*arguments: Any) -> list[str]:
    return list(review._page(*arguments))


def test_it_says_which_paths_are_new_and_what_the_change_costs(
    before: dict[str, EnvironmentPlan], after: dict[str, EnvironmentPlan]
) -> None:
    said = page([PROVED], None, before, after)
    assert "- `staging: 24 paths, and no other`" in said
    assert "- `staging: new: 203.0.113.7/32 can reach droplets of worker on 22/tcp`" in said
    assert sum("new:" in line for line in said) == 2
    assert "| staging | $42.00 + unknown | $60.00 + unknown | +$18.00 |" in said
    assert "- `staging: droplet s-2vcpu-2gb of worker: 1 before, 2 after`" in said
    # An environment that the branch removes.
    assert "| production | $306.00 + unknown | not there | -$306.00 + unknown |" in said


def test_a_stack_of_no_environment_is_named(before: dict[str, EnvironmentPlan], staging: Stack) -> None:
    stacks = {"bootstrap": {"resource": {}}, "staging": staging.json, "staging-drill": staging.json}
    apart = of_no_environment(stacks, ["staging"])
    assert apart == ["staging-drill"]
    assert any(
        line.startswith("- staging-drill: its paths are not") for line in page([], None, None, before, apart)
    )


def test_without_a_base_it_says_so(before: dict[str, EnvironmentPlan]) -> None:
    said = page([PROVED], None, None, before)
    assert any(line.startswith("There is nothing to compare with") for line in said)
    assert "| production | $306.00 + unknown |" in said


def test_a_finding_is_written_out(before: dict[str, EnvironmentPlan]) -> None:
    opened = Verdict("staging", ("cloud firewall x allows 1/tcp from anywhere\n    Remove it.",), (), (), 24)
    found = Difference(("", "resource", "digitalocean_tag", "x", "name"), "a", "b")
    parity = Parity("staging", "production", (), {"staging": (), "production": (found,)})
    said = page([opened], parity, None, before)
    at = said.index("- `staging: cloud firewall x allows 1/tcp from anywhere`")
    assert said[at + 1] == "  Remove it."
    assert "  `digitalocean_tag.x.name: b, not a`" in said


def test_a_name_from_a_branch_s_files_is_shown_and_never_rendered(before: dict[str, EnvironmentPlan]) -> None:
    """Anybody may open a pull request: its files name firewalls and tags."""
    wild = "[Sign in](https://evil.example) @org/team"
    opened = Verdict("staging", (f"cloud firewall {wild} allows\n    1/tcp",), (), (), 24)
    found = Difference(("", "resource", "digitalocean_tag", "x", "name"), wild, wild)
    parity = Parity("staging", "production", (), {"staging": (), "production": (found,)})
    said = [line for line in page([opened], parity, None, before) if "evil" in line]
    assert len(said) == 2
    assert all(re.fullmatch(r"(- |  )`[^`]+`", line) for line in said)


def test_the_files_of_a_revision_are_decided_by_this_checkout() -> None:
    found = review._at("HEAD", ROOT / "tests/environments")
    assert found is not None
    assert found.keys() == {"staging", "production"}


@pytest.mark.live
@pytest.mark.slow
def test_the_live_environments_pass(tmp_path: Path) -> None:
    """As on a pull request: every path is decided on, and files explain how staging and production differ."""
    into = tmp_path / "review.md"
    ended = subprocess.run(
        [sys.executable, "-m", "ops.ci", "review", "--base", "HEAD", "--into", str(into)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr + ended.stdout
    text = into.read_text(encoding="utf-8")
    assert text.count("paths, and no other") == len(load_environments_live())
    assert "## Cost a month, at list prices" in text


def load_environments_live() -> list[str]:
    return sorted(path.name for path in (ROOT / "environments").glob("*/"))
