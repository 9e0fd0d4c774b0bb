"""A plan that makes everything: a first deploy passes, and a lost state is refused, whatever the base is."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.plans.environment import ENVIRONMENTS, GRACE, TENANTS
from lab.plans.planner import Situation
from model.known_environments import ENVIRONMENTS_LOCK
from model.known_tenants import LOCK_FILE, format_lock
from model.loader import environments_lock, load_environments
from ops.guard.finding import Rule
from ops.guard.report import Report, Verdict
from ops.guard.text import to_plain
from tests.ops.guard.cases import unchanged
from tests.ops.guard.guard import judge, write_environments

NAME = "staging"


def empty() -> Situation:
    it = unchanged(ENVIRONMENTS[NAME])
    it.there, it.tenants_there = {}, {}
    return it


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Operators' files beside a lock with churches."""
    folder = write_environments(tmp_path / "environments", NAME, TENANTS)
    loaded = load_environments(folder)
    for one in loaded:
        if one.file.environment == NAME:
            (folder / NAME / LOCK_FILE).write_text(format_lock(one.tenants, NAME))
    (folder / ENVIRONMENTS_LOCK).write_text(environments_lock(folder, loaded, writing={NAME}))
    return folder


def judged(
    tmp_path: Path, files: Path | None, exists: dict[str, Sequence[str]] | None = None, *, first: bool = False
) -> tuple[Report, str]:
    report = judge(
        tmp_path / "plans",
        {NAME: empty()},
        environments=files,
        exists=exists,
        first_deploys=[NAME] if first else [],
    )
    assert report.problems == ()
    found = [one for one in report.findings if one.rule is Rule.EMPTY_STATE]
    return report, "\n".join(to_plain(f"{one.why}. {one.remedy}") for one in found)


def test_a_first_deploy_beside_a_lock_passes_where_digitalocean_has_nothing(
    tmp_path: Path, files: Path
) -> None:
    report, said = judged(tmp_path, files, {NAME: ()})
    assert report.verdict is Verdict.SAFE
    assert "On a stack's first deploy this is normal" in said


def test_what_exists_makes_it_a_lost_state(tmp_path: Path, files: Path) -> None:
    names = [f"bucket {number}" for number in range(7)]
    for given in (files, None):
        report, said = judged(tmp_path, given, {NAME: names})
        assert report.verdict is Verdict.REFUSED
        assert "7 of it exist at DigitalOcean: bucket 0, bucket 1, bucket 2, bucket 3, bucket 4, ..." in said
        assert f"presence360 adopt {NAME}" in said


def test_where_nobody_asked_the_lock_beside_the_files_counts(tmp_path: Path, files: Path) -> None:
    report, said = judged(tmp_path, files)
    assert report.verdict is Verdict.REFUSED
    assert f"lists {len(TENANTS)} of its tenants, and nobody asked DigitalOcean" in said
    assert f"--first-deploy {NAME}" in said
    (finding,) = report.refused
    assert GRACE in finding.tenants
    # Another stack's answer is none of this one's.
    assert judged(tmp_path, files, {"production": ()})[0].verdict is Verdict.REFUSED


def test_a_first_deploy_may_be_said(tmp_path: Path, files: Path) -> None:
    report, said = judged(tmp_path, files, first=True)
    assert (report.verdict, said) == (Verdict.SAFE, "")


def test_without_a_lock_a_first_deploy_is_a_warning(tmp_path: Path, files: Path) -> None:
    for file in files.rglob("*.lock"):
        file.unlink()
    report, said = judged(tmp_path, files)
    assert report.verdict is Verdict.SAFE
    assert said
