import subprocess
import sys
from pathlib import Path

from ops.summary import describe, main, resource_counts, served_names, tenant_count
from tests.support import ROOT, Stack


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


def test_it_ends_with_what_to_run_next(synthesized: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "ops.summary", str(synthesized)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.splitlines()[-1].startswith("next: bin/cdktf diff staging")


def test_nothing_synthesized_is_said(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 2
