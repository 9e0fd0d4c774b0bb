"""Maintenance on a droplet: files that nginx looks for, the object that services read, and what the droplet says."""

import json

import pytest

from droplet.converge.maintenance import KEY, maintenance
from tests.droplet.machine import Host

RELOAD = "reload-or-restart nginx"


def tell(host: Host, *slugs: str, environment: bool = False) -> None:
    """Let the bucket say who is in maintenance, and fetch it."""
    tenants = [{"id": f"id-of-{slug}", "slug": slug, "queue_prefix": f"of-{slug}"} for slug in slugs]
    host.bucket[KEY] = json.dumps({"environment": environment, "tenants": tenants})
    assert host.once() == 0


def marked(host: Host) -> set[str]:
    """What nginx would find."""
    folder = host.paths.maintenance
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_nginx_finds_a_file_for_whom_is_closed_and_services_see_the_object(healthy: Host) -> None:
    tell(healthy)
    assert marked(healthy) == set()
    tell(healthy, "grace")
    assert marked(healthy) == {"tenants/grace"}
    assert (healthy.paths.shared / KEY).read_text() == healthy.bucket[KEY]
    # nginx's workers and the containers' user are not root.
    assert (healthy.paths.maintenance / "tenants").stat().st_mode & 0o755 == 0o755
    assert (healthy.paths.shared / KEY).stat().st_mode & 0o777 == 0o644
    tell(healthy, "hope", environment=True)
    assert marked(healthy) == {"environment", "tenants/hope"}
    tell(healthy)
    assert marked(healthy) == set()


def test_it_touches_no_container_and_no_release(healthy: Host) -> None:
    before = healthy.current
    tell(healthy, environment=True)
    assert healthy.current == before
    assert not healthy.did("compose up")
    assert healthy.status.phase == "serving"
    assert healthy.success


def test_nginx_is_reloaded_where_somebody_more_is_closed_and_not_for_the_others(healthy: Host) -> None:
    """A reload ends open WebSockets of everybody: it is for those that were closed."""
    tell(healthy)
    assert not healthy.did(RELOAD)
    tell(healthy, "grace")
    assert healthy.did(RELOAD)
    assert healthy.once() == 0
    assert not healthy.did(RELOAD)
    tell(healthy)
    assert not healthy.did(RELOAD)
    tell(healthy, environment=True)
    assert healthy.did(RELOAD)


def test_a_reload_that_failed_is_made_up_for(healthy: Host) -> None:
    healthy.failing = RELOAD
    healthy.bucket[KEY] = json.dumps({"environment": True, "tenants": []})
    assert healthy.once() == 1
    # What is closed is closed all the same.
    assert marked(healthy) == {"environment"}
    healthy.failing = None
    assert healthy.once() == 0
    assert healthy.did(RELOAD)


def test_it_waits_for_no_release_that_fails(healthy: Host) -> None:
    healthy.release("2")
    healthy.ill = True
    assert healthy.once() == 1
    healthy.ill = False
    healthy.bucket[KEY] = json.dumps({"environment": True, "tenants": []})
    assert healthy.once() == 0
    assert healthy.status.phase == "failed"
    assert (marked(healthy), healthy.status.closed) == ({"environment"}, "environment")


def test_a_droplet_says_who_is_closed(healthy: Host) -> None:
    assert (healthy.status.maintenance, healthy.status.closed) == (None, "")
    tell(healthy, "hope", "grace")
    assert healthy.status.closed == "grace, hope"
    assert healthy.status.maintenance == maintenance(healthy.paths).digest
    metrics = healthy.paths.metrics.read_text().splitlines()
    assert {"presence360_maintenance 0", "presence360_maintenance_tenants 2"} <= set(metrics)
    tell(healthy, environment=True)
    assert healthy.status.closed == "environment"
    assert "presence360_maintenance 1" in healthy.paths.metrics.read_text().splitlines()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"tenants": [7], "environment": true}'])
def test_an_object_that_is_broken_changes_nothing(
    healthy: Host, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(healthy, "grace")
    healthy.bucket[KEY] = text
    healthy.once()
    assert marked(healthy) == {"tenants/grace"}
    assert "maintenance.json does not say who is in maintenance" in capsys.readouterr().out


def test_an_object_that_is_not_the_manifests_changes_nothing(healthy: Host) -> None:
    tell(healthy, "grace")
    healthy.halfway = True
    healthy.bucket[KEY] = json.dumps({"environment": True, "tenants": []})
    healthy.once()
    assert marked(healthy) == {"tenants/grace"}


def test_nothing_leaves_the_folder(healthy: Host) -> None:
    tell(healthy, "../../../etc/x", "a/b", "", "environment")
    assert marked(healthy) == {"tenants/environment"}
