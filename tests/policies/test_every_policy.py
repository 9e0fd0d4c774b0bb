"""Every policy passes where all is right, and catches an edit that breaks it: in small stacks and in ours."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from policies.judge import broken, judge
from policies.pack import PACK
from policies.policy import Finding
from policies.stack import Stack, make_stack
from tests.policies import good
from tests.policies.broken import BROKEN, Broken

Json = dict[str, Any]
ACROSS = [policy for policy in PACK.values() if policy.topic == "across" or policy.number in (48, 88)]
ALONE = [policy for policy in PACK.values() if policy not in ACROSS]


def read(stacks: dict[str, Json]) -> list[Stack]:
    return [make_stack(content, f"{name}/cdk.tf.json", group="account") for name, content in stacks.items()]


def failures(findings: list[Finding]) -> dict[str, str]:
    """What is wrong, by policy."""
    found: dict[str, str] = {}
    for finding in broken(findings):
        text = f"{finding.stack.file} {finding.address}: {'; '.join(finding.problems)}"
        found[finding.policy.id] = f"{found.get(finding.policy.id, '')}\n{text}"
    return found


def judged_again(before: dict[str, Json], after: dict[str, Json]) -> list[Finding]:
    """What the policies say of stacks, of which only some have changed."""
    changed = {name: after[name] for name in after if after[name] != before.get(name)}
    return [*judge(read(changed), ALONE), *judge(read(after), ACROSS)]


@cache
def good_text() -> str:
    return json.dumps(good.stacks())


def test_the_good_stacks_keep_every_policy_and_each_judges_something() -> None:
    findings = judge(read(good.stacks()))
    assert failures(findings) == {}
    assert {finding.policy.id for finding in findings} == set(PACK)


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_an_edit_of_the_good_stacks_is_caught(case: Broken) -> None:
    before, after = json.loads(good_text()), json.loads(good_text())
    case.edit(after)
    found = failures(judged_again(before, after))
    assert case.reason in found.get(f"CKV_P360_{case.number}", "")


def test_there_is_an_edit_for_every_policy() -> None:
    assert [case.number for case in BROKEN] == sorted(policy.number for policy in PACK.values())


@pytest.fixture(scope="module")
def ours(synthesized: Path, lives: Path) -> dict[str, Json]:
    """The synthesized stacks of one account: production, and staging with a tenant in every state and a cell."""
    files = {
        "bootstrap": synthesized, "production": synthesized, "staging": lives, "staging-cell-2": lives,
    }  # fmt: skip
    return {
        name: json.loads((folder / "stacks" / name / "cdk.tf.json").read_text("utf-8"))
        for name, folder in files.items()
    }


def test_our_stacks_keep_every_policy_and_each_judges_something(ours: dict[str, Json]) -> None:
    findings = judge(read(ours))
    assert failures(findings) == {}
    assert {finding.policy.id for finding in findings} == set(PACK)


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_an_edit_of_our_stacks_is_caught_by_its_policy(case: Broken, ours: dict[str, Json]) -> None:
    after = {
        name: copy.deepcopy(stack) if name.startswith("staging") else stack for name, stack in ours.items()
    }
    case.edit(after)
    found = failures(judged_again(ours, after))
    assert case.reason in found.get(f"CKV_P360_{case.number}", ""), found
    assert {int(one.rpartition("_")[2]) for one in found} - {case.number} == case.also, found
