from collections.abc import Callable

from lab.local_digitalocean.tls import Authority
from tests.support import ROOT, Resource, Stack


def clusters(stack: Stack) -> dict[str, Resource]:
    """By name; the block for tenants' own clusters is apart (test_dedicated_clusters.py)."""
    return {
        cluster["name"]: cluster
        for cluster in stack.all("database_cluster").values()
        if "for_each" not in cluster
    }


def test_clusters_are_the_operators(staging: Stack, production: Stack) -> None:
    def shape(stack: Stack) -> dict[str, tuple[str, str, str, int]]:
        return {
            name: (cluster["engine"], cluster["version"], cluster["size"], cluster["node_count"])
            for name, cluster in clusters(stack).items()
        }

    assert shape(staging) == {
        "staging-pg-shared": ("pg", "17", "db-s-1vcpu-2gb", 1),
        "staging-valkey": ("valkey", "8", "db-s-1vcpu-1gb", 1),
    }
    assert shape(production) == {
        "production-pg-shared": ("pg", "17", "db-s-4vcpu-8gb", 2),
        "production-valkey": ("valkey", "8", "db-s-2vcpu-4gb", 2),
    }


def test_a_cluster_is_private_kept_and_maintained_at_a_known_hour(production: Stack) -> None:
    for cluster in clusters(production).values():
        assert production.follow(cluster["private_network_uuid"]) == production.only("vpc")
        assert cluster["lifecycle"] == {"prevent_destroy": True, "ignore_changes": ["project_id"]}
        ((window),) = cluster["maintenance_window"]
        assert window["day"] == "sunday"


def test_each_cluster_has_exactly_one_firewall_of_tags(staging: Stack, production: Stack) -> None:
    for stack in (staging, production):
        guarded = [
            stack.follow(firewall["cluster_id"])["name"]
            for firewall in stack.all("database_firewall").values()
        ]
        assert sorted(guarded) == sorted(clusters(stack))
        for firewall in stack.all("database_firewall").values():
            assert {rule["type"] for rule in firewall["rule"]} == {"tag"}
    tags = [rule["value"] for rule in next(iter(production.all("database_firewall").values()))["rule"]]
    assert production.names(tags) == [
        f"production-group-{group}" for group in ("control", "tenant", "worker")
    ]


def test_each_cluster_sends_its_logs_where_the_file_says(edited: Callable[..., Stack]) -> None:
    certificate = Authority({}).certificate.strip()
    authority = certificate.replace("\n", "\n    ")
    stack = edited(
        (
            "  server: logs.presence360.example",
            f"  server: logs.example.org\n  port: 601\n  authority: |\n    {authority}",
        )
    )
    sinks = stack.all("database_logsink_rsyslog").values()
    assert sorted(stack.follow(sink["cluster_id"])["name"] for sink in sinks) == sorted(clusters(stack))
    for sink in sinks:
        assert {name: value for name, value in sink.items() if name != "cluster_id"} == {
            "name": "staging-logs",
            "server": "logs.example.org",
            "port": 601,
            "format": "rfc5424",
            "tls": True,
            # Without the line's end, which the provider does not keep: every plan would show it.
            "ca_cert": certificate,
        }


def test_without_it_logs_stay_with_digitalocean(edited: Callable[..., Stack]) -> None:
    stack = edited(("database_logs:\n  server: logs.presence360.example\n", ""))
    assert stack.all("database_logsink_rsyslog") == {}


def test_valkey_refuses_rather_than_forgets(staging: Stack) -> None:
    assert clusters(staging)["staging-valkey"]["eviction_policy"] == "noeviction"
    config = staging.only("database_valkey_config")
    assert (config["ssl"], config["persistence"]) == (True, "rdb")
    # The provider never sends these two, so that every plan would show them.
    assert not {"frequent_snapshots", "valkey_active_expire_effort"} & config.keys()


def test_postgres_settings_keep_clear_of_the_providers_traps(staging: Stack) -> None:
    config = staging.only("database_postgresql_config")
    assert "pgbouncer" not in config
    assert all(value not in {0, ""} for value in config.values())
    assert config["idle_in_transaction_session_timeout"] == 60_000
    assert config["log_error_verbosity"] == "TERSE"


def test_each_tenant_has_a_database_and_a_user_from_maps(staging: Stack) -> None:
    assert {entry["slug"] for entry in staging.tenants.values()} == {"grace", "hope", "river"}
    database = staging.at("tenant-plane/databases/database")
    user = staging.at("tenant-plane/databases/user")
    assert staging.keys("tenant-plane/databases/database") == set(staging.tenants)
    assert database["name"] == "tenant_${each.key}"
    # A user for each generation of credentials, so that a rotation touches no other address.
    assert set(staging.local(user["for_each"])) == {f"{id_}_g1" for id_ in staging.tenants}
    assert user["name"] == "tenant_${each.key}"
    assert database["lifecycle"] == {"prevent_destroy": True}
    assert staging.follow(database["cluster_id"])["name"] == "staging-pg-shared"


def entries(tenants: dict[str, dict[str, str]]) -> list[str]:
    return [
        f"  - {{id: {id_}, slug: {entry['slug']}, name: {entry['name']}}}\n" for id_, entry in tenants.items()
    ]


def test_the_order_of_the_list_means_nothing(edited: Callable[..., Stack], staging: Stack) -> None:
    lines = entries(staging.tenants)
    forwards = edited(tenants="tenants:\n" + "".join(lines))
    assert edited(tenants="tenants:\n" + "".join(reversed(lines))) == forwards


def test_a_new_tenant_changes_one_entry_of_one_map_and_the_list_of_names(
    edited: Callable[..., Stack], staging: Stack
) -> None:
    lines = entries(staging.tenants)
    before = edited(tenants="tenants:\n" + "".join(lines))
    new = "00000000-0000-4000-8000-000000000001"
    after = edited(tenants="tenants:\n" + "".join(lines) + f"  - {{id: {new}, slug: new, name: New Life}}\n")
    entry = after.tenants.pop(new)
    assert (entry["slug"], entry["name"]) == ("new", "New Life")
    (user,) = (block for block in after.all("database_user").values() if "for_each" in block)
    del after.local(user["for_each"])[f"{new}_g1"]
    # What would bring it back, if it were retired once.
    (back,) = [move for move in after.json["moved"] if new in move["to"]]
    after.json["moved"].remove(back)
    assert after.take_slugs() - before.take_slugs() == {"new"}
    assert after == before


def test_an_environment_may_have_no_tenant_yet(edited: Callable[..., Stack]) -> None:
    assert edited(tenants="tenants: []\n").tenants == {}


def test_the_control_plane_has_its_database_and_user(staging: Stack) -> None:
    database = staging.named("database_db", "control_plane")
    assert database["lifecycle"] == {"prevent_destroy": True}
    assert staging.named("database_user", "control_plane")["cluster_id"] == database["cluster_id"]


def test_planes_may_live_in_clusters_of_their_own(edited: Callable[..., Stack]) -> None:
    stack = edited(
        ("  control_plane: shared\n", "  control_plane: control\n"),
        (
            "    shared:\n",
            '    control: {size: db-s-1vcpu-1gb, nodes: 1, version: "17", '
            'maintenance: {day: monday, hour: "04:00"}}\n    shared:\n',
        ),
    )
    database = stack.named("database_db", "control_plane")
    assert stack.follow(database["cluster_id"])["name"] == "staging-pg-control"
    assert len(stack.all("database_firewall")) == 3


def test_the_bucket_keeps_consented_things_for_their_time_and_has_no_place_for_video(staging: Stack) -> None:
    bucket = staging.named("spaces_bucket", "presence360-staging-exports")
    assert bucket["region"] == "fra1"
    assert (bucket["acl"], bucket["force_destroy"]) == ("private", False)
    assert bucket["versioning"] == {"enabled": True}
    assert bucket["lifecycle"] == {"prevent_destroy": True}
    kept = {
        rule["prefix"]: rule["expiration"]["days"] for rule in bucket["lifecycle_rule"] if rule["enabled"]
    }
    assert kept == {"snapshots/": 30, "exports/": 7}
    for rule in bucket["lifecycle_rule"]:
        # Without this a deleted object stays as an old version for ever.
        assert rule["noncurrent_version_expiration"]["days"] <= 7
        assert rule["abort_incomplete_multipart_upload_days"] == 1


def test_pages_of_the_environments_own_names_reach_the_bucket_and_no_others(
    staging: Stack, edited: Callable[..., Stack]
) -> None:
    below = [f"https://{name}.staging.presence360.app" for name in ("*", "admin", "app")]
    for stack, origins in (
        (staging, [*below, "https://staging.presence360.app"]),
        (edited(("  apex: true", "  apex: false")), below),
    ):
        cors = stack.only("spaces_bucket_cors_configuration")
        assert stack.follow(cors["bucket"])["name"] == "presence360-staging-exports"
        (rule,) = cors["cors_rule"]
        assert rule["allowed_origins"] == origins
        assert rule["allowed_methods"] == ["GET", "HEAD", "POST", "PUT"]
        assert rule["allowed_headers"] == ["Content-Disposition", "Content-Type"]


def test_one_key_writes_the_bucket_for_exports_and_opens_nothing_else(staging: Stack) -> None:
    key = staging.named("spaces_key", "presence360-staging-exports")
    (grant,) = key["grant"]
    assert grant["permission"] == "readwrite"
    assert staging.follow(grant["bucket"])["name"] == "presence360-staging-exports"
    # The runbook names its address.
    (address,) = {name for name, body in staging.all("spaces_key").items() if body is key}
    runbook = (ROOT / "docs/runbooks/rotate-secrets.md").read_text(encoding="utf-8")
    assert f"digitalocean_spaces_key.{address}\n" in runbook


def test_the_project_holds_what_cannot_name_it_and_never_a_database(production: Stack) -> None:
    assigned = production.only("project_resources")["resources"]
    kinds = [expression.removeprefix("${").split(".")[0] for expression in assigned]
    assert kinds.count("digitalocean_droplet") == 8
    assert set(kinds) == {
        "digitalocean_domain", "digitalocean_spaces_bucket", "digitalocean_droplet", "digitalocean_volume",
    }  # fmt: skip
    assert production.only("project")["environment"] == "Production"
