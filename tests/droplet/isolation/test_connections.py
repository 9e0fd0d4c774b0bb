"""Connections are counted apart from isolation: what psql says becomes metrics, and what it does not say is missing."""

from pathlib import Path

import pytest

from droplet import postgres
from droplet.configuration import Cluster
from droplet.isolation import connections

CLUSTER = Cluster("shared", "pg.example.org", 25060, "doadmin", "secret", "defaultdb", "verify-full", "PEM")
TENANT = "tenant_0b5c0000-0000-4000-8000-000000000001"


def counted(tmp_path: Path, script: str) -> connections.Connections | None:
    program = tmp_path / "psql"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return connections.count(
        postgres.Client.prepare(CLUSTER, tmp_path / "private", tmp_path, application="test")
    )


def test_they_become_metrics_by_cluster_role_and_state(tmp_path: Path) -> None:
    found = counted(
        tmp_path,
        f"echo 'connections|{TENANT}|active|3'; echo 'connections|{TENANT}|idle in transaction (aborted)|1'\n"
        "echo 'connections|other|hidden|2'; echo 'limit|197'",
    )
    assert found
    assert found.used == {
        (TENANT, "active"): 3,
        (TENANT, "idle in transaction (aborted)"): 1,
        ("other", "hidden"): 2,
    }
    lines = connections.metrics({"shared": found}).splitlines()
    assert f'presence360_postgres_connections{{cluster="shared",role="{TENANT}",state="active"}} 3' in lines
    assert 'presence360_postgres_connections_limit{cluster="shared"} 197' in lines


@pytest.mark.parametrize(
    "script",
    [
        "echo 'psql: error: connection refused' >&2; exit 2",
        "echo 'connections|other|idle|2'",
        "echo 'limit|22'; echo 'something else'",
        "true",
    ],
)
def test_what_cannot_be_counted_is_no_number(tmp_path: Path, script: str) -> None:
    assert counted(tmp_path, script) is None
    assert "presence360_postgres_connections{" not in connections.metrics({})
