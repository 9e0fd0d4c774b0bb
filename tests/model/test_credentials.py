"""Generations of credentials, queue prefixes and limits: what operators may write, and what follows from it."""

import shutil
from pathlib import Path

import pytest

from model.errors import InvalidInputError
from model.loader import load_environments
from model.plan import EnvironmentPlan, plan_environment
from model.tenant_plane import TenantPlan
from tests.support import ENVIRONMENTS

GRACE = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"
HOPE = "7d1c2b9a-5b1f-4e0c-8a6d-2c9be0f1a002"


def planned(
    tmp_path: Path, entry: str, other: str = "", environment: tuple[str, str] = ("", "")
) -> EnvironmentPlan:
    """Plan staging with two tenants, to whose entries more is added."""
    folder = tmp_path / "environments/staging"
    shutil.copytree(ENVIRONMENTS / "staging", folder, ignore=shutil.ignore_patterns("*.lock"))
    text = (folder / "environment.yaml").read_text(encoding="utf-8").replace(*environment)
    (folder / "environment.yaml").write_text(text, encoding="utf-8")
    lines = [
        "tenants:",
        f"  - id: {GRACE}",
        "    slug: grace",
        "    name: Grace Chapel",
        *(f"    {line}" for line in entry.splitlines()),
        f"  - id: {HOPE}",
        "    slug: hope",
        "    name: Hope Assembly",
        *(f"    {line}" for line in other.splitlines()),
    ]
    (folder / "tenants.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (loaded,) = load_environments(folder.parent)
    return plan_environment(loaded)


def grace(plan: EnvironmentPlan) -> TenantPlan:
    return next(tenant for tenant in plan.tenant_plane.tenants if tenant.id == GRACE)


def test_left_out_it_is_the_first_generation_alone_and_the_environments_limits(tmp_path: Path) -> None:
    tenant = grace(planned(tmp_path, ""))
    assert (tenant.generation, tenant.keep) == (1, ())
    assert (tenant.requests_per_second, tenant.connections) == (20, 5)
    assert tenant.queue_prefix == f"tenant-{GRACE}:"


def test_kept_generations_come_newest_first(tmp_path: Path) -> None:
    tenant = grace(planned(tmp_path, "credentials: {generation: 4, keep: [1, 3]}"))
    assert (tenant.generation, tenant.keep) == (4, (3, 1))


def test_limits_and_prefix_of_one_tenant_differ_alone(tmp_path: Path) -> None:
    plan = planned(
        tmp_path, "limits: {connections: 20}\nqueue_prefix: grace", "limits: {requests_per_second: 50}"
    )
    one, other = plan.tenant_plane.tenants
    assert (one.connections, one.requests_per_second, one.queue_prefix) == (20, 20, "grace:")
    assert (other.connections, other.requests_per_second, other.queue_prefix) == (5, 50, f"tenant-{HOPE}:")
    (isolation,) = [group.isolation for group in plan.groups if group.isolation]
    assert (isolation.connections, dict(isolation.overrides)) == (5, {f"tenant_{GRACE}": 20})
    assert isolation.clusters == ("shared",)


def test_a_tenant_with_the_usual_limits_changes_nothing_that_droplets_are_told(tmp_path: Path) -> None:
    """Adding a church must change objects of its own only: every group's plan is what it was."""
    one = planned(tmp_path / "one", "")
    more = planned(
        tmp_path / "more", "limits: {connections: 5, requests_per_second: 20}\nqueue_prefix: grace"
    )
    assert one.groups == more.groups


def test_the_environments_own_limit_is_for_all(tmp_path: Path) -> None:
    plan = planned(tmp_path, "", environment=("connections: 5", "connections: 7"))
    assert {tenant.connections for tenant in plan.tenant_plane.tenants} == {7}


def test_the_job_runs_where_the_control_planes_api_does_and_nowhere_else() -> None:
    found = {
        environment.file.environment: [
            group.group for group in plan_environment(environment).groups if group.isolation
        ]
        for environment in load_environments(ENVIRONMENTS)
    }
    assert found == {"production": ["control"], "staging": ["app"]}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (
            "credentials: {generation: 0}",
            "tenants[0].credentials.generation: 0 is out of range\n    Write at least 1. The number of the user",
        ),
        (
            "credentials: {generation: 2, keep: [2]}",
            "tenants[0].credentials.keep[0]: 2 is not an earlier generation than 2\n    Keep numbers from 1 to 1 only.",
        ),
        (
            "credentials: {generation: 3, keep: [0]}",
            "tenants[0].credentials.keep[0]: 0 is not an earlier generation than 3\n    Keep numbers from 1 to 2 only.",
        ),
        (
            "credentials: {keep: [1]}",
            "tenants[0].credentials.keep[0]: 1 is not an earlier generation than 1\n"
            "    Remove it: no generation is earlier than the first. To rotate, raise `generation`.",
        ),
        (
            "credentials: {generation: 3, keep: [1, 1]}",
            "tenants[0].credentials.keep[1]: 1 is listed twice\n    Remove one of the two.",
        ),
        (
            "credentials: {generation: 4, keep: [1, 2, 3]}",
            "tenants[0].credentials.keep: 3 generations are kept; at most 2 are allowed\n    Remove those "
            "that no service",
        ),
        (
            "credentials: {generations: 2}",
            "tenants[0].credentials.generations: the key 'generations' is unknown\n    Did you mean 'generation'?",
        ),
        (
            "credentials: 2",
            "tenants[0].credentials: 2 is not a mapping\n    Write `key: value` lines. Its keys: generation, keep.",
        ),
        (
            "credential: {generation: 2}",
            "tenants[0].credential: the key 'credential' is unknown\n    Did you mean 'credentials'?",
        ),
        (
            "limits: {connections: 0}",
            "tenants[0].limits.connections: 0 is out of range\n    Write at least 1.",
        ),
        ("limits: {connection: 5}", "the key 'connection' is unknown\n    Did you mean 'connections'?"),
        (
            "queue_prefix: Grace",
            "tenants[0].queue_prefix: 'Grace' is not allowed\n    What its queues' and caches' names begin with",
        ),
        ("queue_prefix: 'a:b'", "tenants[0].queue_prefix: 'a:b' is not allowed"),
    ],
)
def test_what_may_not_be_written(tmp_path: Path, entry: str, told: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        planned(tmp_path, entry)
    assert told in str(error.value)
    assert len(error.value.problems) == 1


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        ("queue_prefix: church", "queue_prefix: church", "tenants[1].queue_prefix"),
        # An override that is what another's prefix is made into, in either order.
        (f"queue_prefix: tenant-{HOPE}", "", "tenants[1]"),
        ("", f"queue_prefix: tenant-{GRACE}", "tenants[1].queue_prefix"),
    ],
)
def test_two_tenants_never_share_their_queues(tmp_path: Path, one: str, other: str, path: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        planned(tmp_path, one, other)
    (problem,) = error.value.problems
    assert problem.path == path
    assert "grace already uses the queue prefix" in problem.message
