"""Maintenance: who is closed for a while, as every group's droplets are told."""

from model.plan import plan_environment
from tests.model.workspace import STAGING, STAGING_TENANTS, Workspace


def told(workspace: Workspace) -> list[dict[str, object]]:
    """What each group's bucket says."""
    (environment,) = workspace.load()
    return [group.maintenance.as_json() for group in plan_environment(environment).groups]


def test_nobody_is_closed_unless_the_files_say_so(staging: Workspace) -> None:
    assert told(staging) == [{"environment": False, "tenants": []}] * 2


def test_an_environment_is_closed(staging: Workspace) -> None:
    staging.replace(STAGING, "region: fra1\n", "region: fra1\nmaintenance: true\n")
    assert told(staging) == [{"environment": True, "tenants": []}] * 2


def test_churches_are_closed_with_what_their_tasks_are_found_by(staging: Workspace) -> None:
    staging.replace(
        STAGING_TENANTS, "slug: river", "slug: river\n    maintenance: true\n    queue_prefix: of-river"
    )
    staging.replace(STAGING_TENANTS, "slug: grace", "slug: grace\n    maintenance: true")
    closed = [
        {
            "id": "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001",
            "slug": "grace",
            "queue_prefix": "tenant-3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001:",
        },
        {"id": "b1e6f7d2-2c3d-4b5a-9e8f-7a6c5d4e3003", "slug": "river", "queue_prefix": "of-river:"},
    ]
    assert told(staging) == [{"environment": False, "tenants": closed}] * 2


def test_a_church_that_is_closed_anyway_needs_no_maintenance(staging: Workspace) -> None:
    staging.replace(
        STAGING_TENANTS, "slug: river", "slug: river\n    status: suspended\n    maintenance: true"
    )
    assert staging.error().startswith(
        f"environments/staging/tenants.yaml:{staging.line(STAGING_TENANTS, 'maintenance: true')}: "
        "tenants[2].maintenance: river is suspended, so it is not served anyway\n"
        "    Remove `maintenance`: it is for a church that is active."
    )
