"""What holds for plans of any shape: nothing hides a loss, and no value comes out that may not."""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.plans.environment import GRACE, STAGING, situation
from lab.plans.resources import PROVIDER
from ops.guard.formats import as_json
from ops.guard.kinds import DATA, REBUILT
from ops.guard.markdown import render
from ops.guard.report import Report, Verdict
from ops.guard.shown import SHOWN
from tests.ops.guard import lost_resources, lost_tenants, opened
from tests.ops.guard.guard import judge
from tests.ops.guard.safe_edits import CASES as SAFE

LOST = {**lost_resources.CORPUS.cases, **lost_tenants.CORPUS.cases, **opened.CORPUS.cases}
# Cases that need a lock or files beside their plans are judged by their own test.
ALONE = sorted(name for name, make in LOST.items() if not (make().lock or make().listed))
LEAK = "leaked-value"

UNRELATED = st.builds(
    lambda kind, name, actions, key: {
        "address": f"{kind}.unrelated_{name}" + (f'["{key}"]' if key else ""),
        "mode": "managed",
        "type": kind,
        "name": f"unrelated_{name}",
        **({"index": key} if key else {}),
        "provider_name": PROVIDER,
        "change": {
            "actions": actions,
            "before": None if actions == ["create"] else {"id": name},
            "after": None if actions == ["delete"] else {"id": name},
            "after_unknown": {},
            "before_sensitive": False,
            "after_sensitive": False,
        },
    },
    st.sampled_from(sorted(REBUILT)),
    st.text("abcdefgh", min_size=1, max_size=8),
    st.sampled_from(
        [["create"], ["delete"], ["update"], ["no-op"], ["create", "delete"], ["delete", "create"]]
    ),
    st.sampled_from(["", "", GRACE, "grace", "x"]),
)


def judged(plans: dict[str, Any]) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        return judge(Path(folder), plans)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(ALONE),
    st.lists(UNRELATED, max_size=12, unique_by=lambda one: one["address"]),
    st.randoms(use_true_random=False),
)
def test_no_arrangement_of_other_changes_hides_a_loss(
    name: str, others: list[dict[str, Any]], random: Any
) -> None:
    case = LOST[name]()
    plans = {stack: it.plan() for stack, it in case.plans.items()}
    for plan in plans.values():
        plan["resource_changes"] += copy.deepcopy(others)
        random.shuffle(plan["resource_changes"])
    report = judged(plans)
    assert report.verdict is Verdict.REFUSED
    assert case.rule in {one.rule for one in report.refused}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(sorted(SAFE)), min_size=1, max_size=3), st.sampled_from(ALONE))
def test_no_safe_plan_of_another_environment_hides_a_loss(names: list[str], lost: str) -> None:
    case = LOST[lost]()
    taken = {stack.partition("-")[0] for stack in case.plans}
    plans: dict[str, Any] = dict(case.plans)
    for name in names:
        plans |= {
            stack: it for stack, it in SAFE[name]().plans.items() if stack.partition("-")[0] not in taken
        }
    report = judged(plans)
    assert report.verdict is Verdict.REFUSED
    assert case.rule in {one.rule for one in report.refused}


def _planted(value: Any, path: str) -> Any:
    if isinstance(value, dict):
        return {key: _planted(child, f"{path}.{key}") for key, child in value.items()}
    if isinstance(value, list):
        return [_planted(child, path) for child in value]
    return LEAK if isinstance(value, str) else value


def plant(plan: dict[str, Any], marks: Any) -> dict[str, Any]:
    """Put a leak in the place of every text that may not be shown: not allowed, or marked as sensitive."""
    plan = copy.deepcopy(plan)
    for entry in (*plan["resource_changes"], *plan["resource_drift"]):
        change = entry["change"]
        allowed = SHOWN.get(entry["type"], frozenset())
        hidden = {name for name in sorted(allowed) if marks.random() < 0.5}
        for side in ("before", "after"):
            if change[side] is None:
                continue
            for name, value in change[side].items():
                # What the guard compares has to stay as it is, to reach every rule.
                if name in hidden:
                    change[side][name] = (
                        f"{value} {LEAK}" if isinstance(value, str) else _planted(value, name)
                    )
                elif name not in allowed and name not in {
                    "id",
                    "cluster_id",
                    "tags",
                    "type",
                    "engine",
                    "content",
                }:
                    change[side][name] = _planted(value, name)
                elif name == "content":
                    change[side][name] = json.dumps({"status": LEAK, "tier": LEAK, "password": LEAK})
            change[f"{side}_sensitive"] = {name: {"nested": [True]} for name in hidden} or False
    return plan


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted({*LOST, *SAFE})), st.randoms(use_true_random=False))
def test_no_value_is_shown_that_may_not(name: str, random: Any) -> None:
    plans = (LOST[name]() if name in LOST else SAFE[name]()).plans
    report = judged({stack: plant(it.plan(), random) for stack, it in plans.items()})
    assert LEAK not in render(report)
    assert LEAK not in json.dumps(as_json(report))


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(DATA)),
    st.sampled_from([["delete"], ["delete", "create"], ["create", "delete"], ["forget"]]),
)
def test_every_kind_that_holds_data_is_guarded(kind: str, actions: list[str]) -> None:
    plan = situation(STAGING, STAGING).plan()
    gone = {
        "address": f"{kind}.it",
        "mode": "managed",
        "type": kind,
        "name": "it",
        "change": {
            "actions": actions,
            "before": {"id": "x", "name": "it"},
            "after": {"name": "it"} if "create" in actions else None,
        },
        "action_reason": "delete_because_no_resource_config",
    }
    plan["resource_changes"].append(gone)
    report = judged({"staging": plan})
    assert report.verdict is Verdict.REFUSED
    assert f"{kind}.it" in {one.address for one in report.refused}
