"""Tenants' own clusters, and who is where in the middle of a move: tests/lives/tenants.yaml."""

import json

from tests.support import Stack

PREPARING, MOVED, SETTLED, LEFT, STAYS = (
    f"20000000-0000-4000-8000-00000000000{number}" for number in range(1, 6)
)
RETIRED = "10000000-0000-4000-8000-000000000003"
RESTORING, SWITCHED, FINISHED, RESTORED, GAVE_UP, LEFT_RESTORING = (
    f"40000000-0000-4000-8000-00000000000{number}" for number in range(1, 7)
)


def test_who_has_a_cluster_of_its_own(staging_lives: Stack) -> None:
    kept, given_up = {PREPARING, MOVED, SETTLED}, {LEFT, STAYS, LEFT_RESTORING}
    for what in ("cluster", "config", "firewall", "database"):
        restored = set() if what == "database" else {RESTORED}
        assert staging_lives.keys(f"tenant-plane/dedicated/{what}") == kept | restored
        assert staging_lives.keys(f"tenant-plane/retired-dedicated/{what}") == given_up
    # Before its move, a tenant's user is where it is served from.
    assert staging_lives.keys("tenant-plane/dedicated/user") == {
        f"{MOVED}_g1",
        f"{SETTLED}_g1",
        f"{RESTORED}_r2_g1",
    }
    assert f"{PREPARING}_g1" in staging_lives.keys("tenant-plane/databases/user")
    assert f"{MOVED}_g1" not in staging_lives.keys("tenant-plane/databases/user")


def test_who_has_a_database_in_the_cells_cluster(staging_lives: Stack) -> None:
    kept = staging_lives.keys("tenant-plane/databases/database")
    assert {PREPARING, MOVED, STAYS} <= kept
    assert not {SETTLED, LEFT, RETIRED} & kept
    left_behind = {f"{tenant}_r2" for tenant in (FINISHED, GAVE_UP)}
    assert staging_lives.keys("tenant-plane/databases/retired") == {SETTLED, RETIRED} | left_behind


def test_a_cluster_is_the_entrys_and_protected_while_it_is_kept(staging_lives: Stack) -> None:
    cluster = staging_lives.at("tenant-plane/dedicated/cluster")
    assert cluster["name"] == "staging-pg-${each.key}"
    assert (cluster["size"], cluster["node_count"]) == ("${each.value.size}", "${each.value.nodes}")
    assert cluster["lifecycle"] == {"prevent_destroy": True, "ignore_changes": ["project_id"]}
    assert staging_lives.local(cluster["for_each"])[MOVED] == {
        "size": "db-s-2vcpu-4gb",
        "nodes": 2,
        "version": "16",
        "day": "friday",
        "hour": "03:00",
    }
    assert staging_lives.at("tenant-plane/dedicated/database")["lifecycle"] == {"prevent_destroy": True}
    retired = staging_lives.at("tenant-plane/retired-dedicated/cluster")
    assert retired["lifecycle"] == {"ignore_changes": ["project_id"]}


def test_it_is_made_like_the_shared_one(staging_lives: Stack) -> None:
    own, shared = (
        staging_lives.at(path) for path in ("tenant-plane/dedicated/cluster", "data/postgres-shared/cluster")
    )
    for argument in ("engine", "region", "private_network_uuid", "project_id", "tags"):
        assert own[argument] == shared[argument]
    for what in ("config", "firewall"):
        ours, theirs = (
            dict(staging_lives.at(f"{path}/{what}"))
            for path in ("tenant-plane/dedicated", "data/postgres-shared")
        )
        assert ours.pop("cluster_id").endswith("[each.key].id}")
        ours.pop("for_each")
        theirs.pop("cluster_id")
        assert ours == theirs


def test_a_block_that_protects_is_there_before_there_is_a_cluster(staging: Stack) -> None:
    """If it came and went with its entries, the last one would take its protection along."""
    cluster = staging.at("tenant-plane/dedicated/cluster")
    assert cluster["lifecycle"]["prevent_destroy"] is True
    assert staging.keys("tenant-plane/dedicated/cluster") == set()
    assert not any("retired-dedicated" in address for address in staging.addresses)


def test_everything_of_a_cluster_moves_with_it(staging_lives: Stack) -> None:
    def moved(tenant_id: str) -> set[tuple[str, str]]:
        return {
            (source.split(".")[1].rpartition("_")[0], target.split(".")[1].rpartition("_")[0])
            for source, target in staging_lives.moved.items()
            if tenant_id in source
        }

    parts = ("cluster", "config", "firewall", "database")
    assert moved(LEFT) == {
        (f"tenant-plane_dedicated_{part}", f"tenant-plane_retired-dedicated_{part}") for part in parts
    }
    assert moved(SETTLED) == {
        ("tenant-plane_databases_database", "tenant-plane_databases_retired"),
        *((f"tenant-plane_retired-dedicated_{part}", f"tenant-plane_dedicated_{part}") for part in parts),
    }


def test_the_credentials_name_the_cluster_that_serves(staging_lives: Stack) -> None:
    content = staging_lives.at("tenant-plane/credentials/tenant")["content"]
    assert '(lookup(each.value, "tier", "shared") == "dedicated" ? local.' in content
    assert staging_lives.tenants[MOVED]["tier"] == "dedicated"
    assert "tier" not in staging_lives.tenants[PREPARING]


def test_the_isolation_job_knows_every_cluster(staging_lives: Stack) -> None:
    (job,) = (
        value for name, value in staging_lives.json["locals"].items() if "isolation-environment-json" in name
    )
    assert job.count("for id, cluster in digitalocean_database_cluster.tenant-plane_") == 2
    assert f'"tenant_{SETTLED}": 20' in job


def test_no_output_shows_a_password(staging_lives: Stack) -> None:
    assert "password" not in json.dumps(staging_lives.outputs)
