"""A further cell: what it makes, what it finds, and what it leaves alone."""

import json
import re

from tests.support import Stack

FAR = "30000000-0000-4000-8000-000000000001"
SUSPENDED = "30000000-0000-4000-8000-000000000002"


def test_it_has_a_state_of_its_own_in_the_environments_bucket(staging_cell_2: Stack) -> None:
    backend = staging_cell_2.json["terraform"]["backend"]["s3"]
    assert (backend["bucket"], backend["key"]) == ("presence360-staging-state", "staging-cell-2.tfstate")
    assert backend["use_lockfile"] is True


def test_it_makes_a_cluster_and_its_tenants_and_nothing_else(staging_cell_2: Stack) -> None:
    assert set(staging_cell_2.json["resource"]) == {
        "digitalocean_database_cluster",
        "digitalocean_database_db",
        "digitalocean_database_firewall",
        "digitalocean_database_logsink_rsyslog",
        "digitalocean_database_postgresql_config",
        "digitalocean_database_user",
        "digitalocean_monitor_alert",
        "digitalocean_spaces_bucket_object",
    }
    cluster = staging_cell_2.at("postgres/cluster")
    assert (cluster["name"], cluster["size"], cluster["node_count"]) == (
        "staging-pg-cell-2",
        "db-s-2vcpu-4gb",
        2,
    )
    assert cluster["lifecycle"] == {"prevent_destroy": True, "ignore_changes": ["project_id"]}
    assert "variable" not in staging_cell_2.json, "a cell needs none of the operators' secrets"


def test_what_it_shares_is_found_by_name(staging_cell_2: Stack, staging_lives: Stack) -> None:
    found = {
        (kind.removeprefix("digitalocean_"), body["name"])
        for kind, blocks in staging_cell_2.json["data"].items()
        for body in blocks.values()
        if "name" in body
    }
    assert found == {
        ("vpc", "staging-vpc"),
        ("project", "staging-presence360"),
        ("tag", "staging"),
        ("tag", "staging-group-app"),
        ("tag", "staging-group-worker"),
        ("spaces_bucket", "presence360-staging-tenant-registry"),
        ("spaces_bucket", "presence360-staging-tenant-credentials"),
        ("spaces_bucket", "presence360-staging-config-app"),
    }
    # Each of them is something that the environment's own stack makes, under that very name.
    made = {
        (kind.removeprefix("digitalocean_"), body["name"])
        for kind, blocks in staging_lives.json["resource"].items()
        for body in blocks.values()
        if "name" in body
    }
    assert found <= made


def test_its_database_firewall_admits_the_environments_droplets(
    staging_cell_2: Stack, staging_lives: Stack
) -> None:
    rules = staging_cell_2.at("postgres/firewall")["rule"]
    tags = [
        staging_cell_2.json["data"]["digitalocean_tag"][re.split(r"\.", rule["value"])[2]]["name"]
        for rule in rules
    ]
    own = staging_lives.at("data/postgres-shared/firewall")["rule"]
    assert tags == staging_lives.names([rule["value"] for rule in own])


def test_its_tenants_are_not_the_environments(staging_cell_2: Stack, staging_lives: Stack) -> None:
    assert set(staging_cell_2.tenants) == {FAR, SUSPENDED}
    assert not set(staging_cell_2.tenants) & set(staging_lives.tenants)
    # But for the host that is closed, the environment's stack does not know of them.
    text = json.dumps(staging_lives.json)
    # Counted, because pytest would compare a megabyte with an id for half an hour.
    assert (text.count(FAR), text.count(SUSPENDED)) == (0, 0)


def test_a_suspended_tenant_has_its_database_and_its_directory_entry_alone(staging_cell_2: Stack) -> None:
    assert staging_cell_2.keys("tenant-plane/databases/database") == {FAR, SUSPENDED}
    assert staging_cell_2.keys("control-plane/registry/tenant") == {FAR, SUSPENDED}
    assert staging_cell_2.keys("tenant-plane/databases/user") == {f"{FAR}_g1"}
    assert staging_cell_2.keys("tenant-plane/credentials/tenant") == {FAR}


def test_the_isolation_job_learns_of_the_cells_cluster_and_limits(staging_cell_2: Stack) -> None:
    job = staging_cell_2.at("config/isolation")
    assert job["key"] == "isolation/cell-2.json"
    content = staging_cell_2.json["locals"][job["content"].removeprefix("${local.").removesuffix("}")]
    assert '{ name = "cell-2", host = digitalocean_database_cluster.postgres_cluster' in content
    assert f'overrides = {{"tenant_{FAR}": 8}}' in content
    assert "ca = data.digitalocean_database_ca.postgres_ca" in content


def test_the_cells_manifest_lists_its_object_and_comes_after_it(staging_cell_2: Stack) -> None:
    job, manifest = staging_cell_2.at("config/isolation"), staging_cell_2.at("config/manifest")
    assert (manifest["key"], manifest["bucket"]) == ("manifests/cell-2.json", job["bucket"])
    (after,) = manifest["depends_on"]
    assert after.startswith("digitalocean_spaces_bucket_object.config_isolation_")
    content = staging_cell_2.json["locals"][manifest["content"].removeprefix("${local.").removesuffix("}")]
    listed = job["content"].removeprefix("${").removesuffix("}")
    assert content == f'${{jsonencode({{ objects = {{ "isolation/cell-2.json" = sha256({listed}) }} }})}}'


def test_the_directory_says_which_cell(staging_cell_2: Stack, staging_lives: Stack) -> None:
    assert 'cell = "cell-2"' in staging_cell_2.at("control-plane/registry/tenant")["content"]
    assert 'cell = "staging"' in staging_lives.at("control-plane/registry/tenant")["content"]


def test_it_shows_no_secret(staging_cell_2: Stack) -> None:
    assert set(staging_cell_2.outputs) == {"postgres_host", "tenants"}
    for output in staging_cell_2.outputs.values():
        assert not re.search(r"password|secret|uri|token", json.dumps(output["value"]))
