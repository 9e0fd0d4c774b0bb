import json
from pathlib import Path

from ops.summary import as_json, describe, read, resource_counts, served_names, tenant_count
from tests.support import Stack


def test_counts_instances_and_not_blocks(staging: Stack) -> None:
    counts = resource_counts(staging.json)
    assert counts["droplet"] == 2
    # control_plane and a database for each of three tenants.
    assert counts["database_db"] == counts["database_user"] == 4


def test_counts_tenants(staging: Stack, bootstrap: Stack) -> None:
    assert tenant_count(staging.json) == 3
    assert tenant_count(bootstrap.json) is None


def test_names_by_load_balancer(production: Stack) -> None:
    assert served_names(production.json) == {
        "production-control": ["admin.presence360.app", "cp.presence360.app"],
        "production-tenant": ["*.presence360.app", "api.presence360.app", "app.presence360.app"],
    }


def test_the_apex_is_the_zone_itself(staging: Stack) -> None:
    assert "staging.presence360.app" in served_names(staging.json)["staging-app"]


def test_a_stack_in_words(bootstrap: Stack) -> None:
    assert list(describe("bootstrap", bootstrap.json)) == [
        "bootstrap: 4 resources",
        "  spaces_bucket 2   spaces_key 2",
    ]


def test_an_output_folder_is_read_stack_by_stack(synthesized: Path) -> None:
    found = read(synthesized)
    assert set(found) == {"bootstrap", "production", "production-restore-drill", "staging"}
    shown = as_json(found["staging"])
    assert (shown["tenants"], shown["resources"]["droplet"]) == (3, 2)
    assert json.loads(json.dumps(shown)) == shown
