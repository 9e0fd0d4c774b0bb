"""What is gone at DigitalOcean: refused, until its loss is accepted by name, for a time, in a commit."""

from datetime import date
from pathlib import Path

import pytest

from lab.plans import stack
from lab.plans.environment import ENVIRONMENTS, GRACE
from lab.plans.planner import Situation
from lab.plans.tenants import ACTIVE_DATABASE
from model import addresses
from model.accepted_losses import AcceptedLoss
from ops.guard.accepted import Losses, committed, of_text
from ops.guard.finding import Finding, Rule
from ops.guard.report import Report, Verdict
from ops.guard.text import to_plain
from tests.ops.command.conftest import commit
from tests.ops.guard.cases import unchanged
from tests.ops.guard.guard import judge
from tests.support import ENVIRONMENTS as FILES

NAME = "staging"
TODAY = date(2026, 11, 27)
SHARED, CONTROL_PLANE = str(stack.SHARED_CLUSTER), str(addresses.CONTROL_PLANE_DATABASE)
CLUSTER = f"{NAME}-pg-shared"


def lost_cluster(name: str = NAME, cluster: str = SHARED) -> Situation:
    """A cluster that is gone takes what is in it along, as a refresh finds it."""
    it = unchanged(ENVIRONMENTS[name])
    identifier = it.there[cluster].attributes["id"]
    inside = [one.address for one in it.there.values() if one.attributes.get("cluster_id") == identifier]
    it.drifted = dict.fromkeys([cluster, *inside], "delete")
    return it


def lost(*gone: str) -> Situation:
    it = unchanged(ENVIRONMENTS[NAME])
    it.drifted = dict.fromkeys(gone, "delete")
    return it


def accepting(resource: str, until: str = "2026-12-04", environment: str = NAME) -> Losses:
    return {environment: (AcceptedLoss(resource=resource, until=until, reason="From the dumps."),)}


def judged(folder: Path, it: Situation, accepted: Losses | None = None) -> Report:
    return judge(folder, {NAME: it}, accepted=accepted, today=TODAY)


def of_rule(findings: tuple[Finding, ...]) -> list[str]:
    return [
        to_plain(f"{one.what}: {one.why}. {one.remedy}") for one in findings if one.rule is Rule.LOST_OUTSIDE
    ]


def test_a_lost_cluster_is_one_refusal_with_everybody_in_it_and_the_way_on(tmp_path: Path) -> None:
    report = judged(tmp_path, lost_cluster())
    assert report.verdict is Verdict.REFUSED
    (said,) = of_rule(report.refused)
    assert said.startswith(f"cluster {CLUSTER} with ")
    assert "Grace Chapel (grace)" in said
    assert f'{{resource: {CLUSTER}, until: "2026-12-04", reason: ...}}' in said
    assert f"environments/{NAME}/environment.yaml" in said
    (finding,) = report.refused
    assert GRACE in finding.tenants


def test_what_is_accepted_is_told_and_let_through(tmp_path: Path) -> None:
    report = judged(tmp_path, lost_cluster(), accepting(CLUSTER))
    assert report.verdict is Verdict.SAFE, of_rule(report.refused)
    (said,) = of_rule(report.warnings)
    assert "accepted until 2026-12-04: From the dumps." in said


@pytest.mark.parametrize(
    ("accepted", "why"),
    [
        (accepting(f"{NAME}-pg-other"), "the plan makes an empty one. Restore it first"),
        (accepting(CLUSTER, environment="production"), "the plan makes an empty one. Restore it first"),
        # Only a part of it.
        (accepting(f"{CLUSTER}/control_plane"), "the plan makes an empty one. Restore it first"),
        (accepting(CLUSTER, "2026-11-26"), "until 2026-11-26, which is over"),
        (accepting(CLUSTER, "2026-12-12"), "until 2026-12-12, which is more than 14 days ahead"),
        (accepting(CLUSTER, "2026-11-31"), "until 2026-11-31, which is no day"),
    ],
)
def test_another_loss_and_another_time_are_not_accepted(tmp_path: Path, accepted: Losses, why: str) -> None:
    report = judged(tmp_path, lost_cluster(), accepted)
    assert report.verdict is Verdict.REFUSED
    assert why in "\n".join(of_rule(report.refused))


@pytest.mark.parametrize("until", ["2026-11-27", "2026-12-11"])
def test_the_first_and_the_last_day_count(tmp_path: Path, until: str) -> None:
    assert judged(tmp_path, lost_cluster(), accepting(CLUSTER, until)).verdict is Verdict.SAFE


def test_an_acceptance_that_stays_is_refused(tmp_path: Path) -> None:
    report = judged(tmp_path, unchanged(ENVIRONMENTS[NAME]), accepting(CLUSTER))
    assert report.verdict is Verdict.REFUSED
    (said,) = of_rule(report.refused)
    assert said.startswith(f"the accepted loss of {CLUSTER}: is of something that exists")


def test_an_acceptance_beside_another_loss_is_refused_for_both(tmp_path: Path) -> None:
    it = lost(str(addresses.EXPORTS_BUCKET))
    said = of_rule(judged(tmp_path, it, accepting(CLUSTER)).refused)
    assert [one.partition(":")[0] for one in sorted(said)] == [
        f"bucket presence360-{NAME}-exports",
        f"the accepted loss of {CLUSTER}",
    ]


def test_an_acceptance_of_what_no_plan_has_is_a_warning(tmp_path: Path) -> None:
    report = judged(tmp_path, unchanged(ENVIRONMENTS[NAME]), accepting(f"{NAME}-pg-othr"))
    assert report.verdict is Verdict.SAFE
    assert "nothing that these plans have lost or have" in of_rule(report.warnings)[0]


def test_one_database_is_accepted_with_its_clusters_name(tmp_path: Path) -> None:
    for address, name in (
        (CONTROL_PLANE, "control_plane"),
        (ACTIVE_DATABASE.instance(GRACE), f"tenant_{GRACE}"),
    ):
        report = judged(tmp_path, lost(address))
        assert f"resource: {CLUSTER}/{name}," in of_rule(report.refused)[0]
        assert judged(tmp_path, lost(address), accepting(f"{CLUSTER}/{name}")).verdict is Verdict.SAFE
        # A cluster that is still there is not lost.
        assert judged(tmp_path, lost(address), accepting(CLUSTER)).verdict is Verdict.REFUSED


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_valkey_is_made_anew_with_a_warning(name: str, tmp_path: Path) -> None:
    report = judge(tmp_path, {name: lost_cluster(name, str(addresses.VALKEY))})
    assert report.verdict is Verdict.SAFE, of_rule(report.refused)
    (said,) = of_rule(report.warnings)
    assert said.startswith(f"cluster {name}-valkey with its queues and caches: ")
    assert "docs/runbooks/lost.md, under Valkey" in said


ENTRY = f'\naccepted_losses:\n  - {{resource: {CLUSTER}, until: "2026-12-04", reason: From the dumps.}}\n'


def test_only_what_is_committed_is_accepted(tmp_path: Path) -> None:
    folder = tmp_path / "environments" / NAME
    folder.mkdir(parents=True)
    file, text = folder / "environment.yaml", (FILES / NAME / "environment.yaml").read_text()
    file.write_text(text + ENTRY)
    assert committed(folder.parent) == {}
    file.write_text(text)
    commit(tmp_path)
    file.write_text(text + ENTRY)
    assert committed(folder.parent) == {NAME: ()}
    commit(tmp_path)
    file.write_text(text)
    assert committed(folder.parent) == accepting(CLUSTER)


@pytest.mark.parametrize(
    "text",
    [
        "accepted_losses: all\n",
        "accepted_losses: [{resource: x}]\n",
        "accepted_losses: [{resource: '*', until: '2026-12-04', reason: x}]\n",
        "accepted_losses: [{resource: x, until: soon, reason: x}]\n",
        "accepted_losses: {\n",
        "",
    ],
)
def test_what_is_not_valid_accepts_nothing(text: str) -> None:
    assert of_text(text) == ()
