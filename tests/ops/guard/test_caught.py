"""The corpus of plans that lose something: all are refused, and what is said names the tenant and the data."""

from pathlib import Path

import pytest

from lab.plans.environment import Tenant
from ops.guard.report import Verdict
from ops.guard.text import to_plain
from tests.ops.guard import lost_resources, lost_tenants, opened
from tests.ops.guard.cases import Make, write_lock
from tests.ops.guard.guard import judge, write_environments

CASES: dict[str, Make] = {**lost_resources.CORPUS.cases, **lost_tenants.CORPUS.cases, **opened.CORPUS.cases}


def test_there_are_as_many_as_promised() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_and_says_what_is_at_stake(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    environment = next(iter(case.plans)).partition("-cell")[0]
    report = judge(
        tmp_path / "plans",
        case.plans,
        locks=write_lock(tmp_path / "base", environment, case.lock),
        environments=_listed(tmp_path / "environments", environment, case.listed),
    )
    assert report.verdict is Verdict.REFUSED, report.problems
    caught = [one for one in report.refused if one.rule is case.rule]
    assert caught, [one.rule for one in report.refused]
    said = "\n".join(f"{to_plain(one.what)}: {to_plain(one.why)} {to_plain(one.remedy)}" for one in caught)
    for part in case.said:
        assert part in said
    assert {tenant for one in caught for tenant in one.tenants} == case.tenants
    assert all(one.remedy for one in caught)


def _listed(folder: Path, environment: str, tenants: tuple[Tenant, ...] | None) -> Path | None:
    return None if tenants is None else write_environments(folder, environment, tenants)
