"""What droplets are told of maintenance and of scheduled jobs, and that neither touches a release."""

import json
from collections.abc import Callable
from typing import Any

from tests.support import Stack

JOBS = """
jobs:
  nightly-report:
    service: worker
    command: [python, -m, reports]
    schedule: "30 3 * * *"
"""


def objects(stack: Stack, key: str) -> dict[str, Any]:
    """By group, what an object of this key says."""
    return {
        body["bucket"].split(".")[1].split("_")[0]: json.loads(body["content"])
        for body in stack.all("spaces_bucket_object").values()
        if body.get("key") == key
    }


def releases(stack: Stack) -> dict[str, Any]:
    """What a release is made of, as far as it is known now."""
    keys = {"compose.yaml", "nginx.conf", "release.json", "settings.env", "programs.json"}
    return {
        f"{body['bucket']} {body['key']}": body["content"]
        for body in stack.all("spaces_bucket_object").values()
        if body.get("key") in keys
    }


def test_maintenance_is_told_to_every_group_and_changes_nothing_else(edited: Callable[..., Stack]) -> None:
    before, after = edited(), edited(("region: fra1\n", "region: fra1\nmaintenance: true\n"))
    nobody: dict[str, Any] = {"environment": False, "tenants": []}
    everybody = {**nobody, "environment": True}
    assert objects(before, "maintenance.json") == {"config-app": nobody, "config-worker": nobody}
    assert objects(after, "maintenance.json") == {"config-app": everybody, "config-worker": everybody}
    # No release: no container starts again, and no turn is waited for.
    assert releases(after) == releases(before)
    assert after.all("droplet") == before.all("droplet")


def test_a_scheduled_job_is_told_to_its_services_group_and_changes_nothing_else(
    edited: Callable[..., Stack],
) -> None:
    before, after = edited(), edited(("dns:\n  apex: true\n", f"dns:\n  apex: true\n{JOBS}"))
    assert objects(before, "jobs.json") == {}
    told = objects(after, "jobs.json")
    assert set(told) == {"config-worker"}
    job = told["config-worker"]["jobs"]["nightly-report"]
    assert (job["service"], job["command"], job["timeout_seconds"]) == (
        "worker",
        ["python", "-m", "reports"],
        1800,
    )
    assert job["schedule"]["hours"] == [3]
    assert releases(after) == releases(before)
