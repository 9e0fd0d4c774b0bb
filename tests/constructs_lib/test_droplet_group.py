import re
from collections.abc import Callable
from typing import Any

import pytest

from model import addresses
from tests.support import OBSERVED_BY_WORKER, Resource, Stack

WAIT = ["python3", "-m", "ops.wait_until_serving"]
EVERYWHERE = ["0.0.0.0/0", "::/0"]


def inbound(stack: Stack, group: str) -> list[Resource]:
    rules: list[Resource] = stack.named("firewall", group)["inbound_rule"]
    return rules


def test_droplets_are_the_groups_replicas(staging: Stack, production: Stack) -> None:
    def names(stack: Stack) -> list[str]:
        return sorted(droplet["name"].rpartition("-")[0] for droplet in stack.all("droplet").values())

    assert names(staging) == ["staging-app-1", "staging-worker-1"]
    assert names(production) == [
        "production-control-1", "production-control-2", "production-observability-1",
        "production-tenant-1", "production-tenant-2", "production-tenant-3",
        "production-worker-1", "production-worker-2",
    ]  # fmt: skip


def test_a_new_droplet_is_there_before_the_old_one_goes(production: Stack) -> None:
    for droplet in production.all("droplet").values():
        assert droplet["lifecycle"] == {"create_before_destroy": True}


def test_droplets_are_monitored_reversible_and_never_without_their_firewall(production: Stack) -> None:
    for droplet in production.all("droplet").values():
        assert (droplet["monitoring"], droplet["droplet_agent"]) == (True, False)
        assert (droplet["resize_disk"], droplet["graceful_shutdown"]) == (False, True)
        assert droplet["image"] == "debian-13-x64"
        group = droplet["name"].rsplit("-", 2)[0]
        waits_for = [production.follow(f"${{{dependency}.id}}") for dependency in droplet["depends_on"]]
        assert production.named("firewall", group) in waits_for


def test_another_size_is_another_user_data_and_another_name(
    edited: Callable[..., Stack], staging: Stack
) -> None:
    """In place, DigitalOcean switches a droplet off to change its size, and Terraform all of a group at once."""
    larger = edited(("    size: s-2vcpu-4gb\n", "    size: s-4vcpu-8gb\n"))

    def born_with(stack: Stack, group: str) -> tuple[str, str]:
        (droplet,) = [one for one in stack.all("droplet").values() if f"-{group}-" in one["name"]]
        return droplet["name"], stack.local(droplet["user_data"])

    before, after = born_with(staging, "app"), born_with(larger, "app")
    assert before[0] != after[0]
    assert (
        after[1]
        == before[1].replace("# Droplets of s-2vcpu-4gb.\n", "# Droplets of s-4vcpu-8gb.\n")
        != before[1]
    )
    assert born_with(staging, "worker") == born_with(larger, "worker")


def test_user_data_is_cloud_config_for_the_group(staging: Stack) -> None:
    assert staging.local(staging.droplet("staging-worker-1")["user_data"]).startswith("#cloud-config\n")


def test_only_admins_reach_ssh_and_only_the_groups_load_balancer_reaches_https(production: Stack) -> None:
    ssh = {"protocol": "tcp", "port_range": "22", "source_addresses": ["203.0.113.7/32"]}
    for group in ("tenant", "control"):
        rules = {rule["port_range"]: rule for rule in inbound(production, f"production-{group}")}
        assert sorted(rules) == ["22", "443", "9360"]
        assert rules["22"] == ssh
        (balancer,) = rules["443"]["source_load_balancer_uids"]
        assert production.follow(balancer)["name"] == f"production-{group}"
        assert rules["443"].keys() == {"protocol", "port_range", "source_load_balancer_uids"}
    worker = {rule["port_range"]: rule for rule in inbound(production, "production-worker")}
    assert sorted(worker) == ["22", "9360"]
    assert worker["22"] == ssh


def test_only_the_environments_own_droplets_reach_metrics(staging: Stack, production: Stack) -> None:
    for stack in (staging, production):
        for firewall in stack.all("firewall").values():
            (metrics,) = (rule for rule in firewall["inbound_rule"] if rule["port_range"] == "9360")
            assert metrics.keys() == {"protocol", "port_range", "source_tags"}
            assert stack.names(metrics["source_tags"]) == [stack.name]


def test_a_firewall_holds_its_own_groups_droplets_by_tag(production: Stack) -> None:
    for group in ("tenant", "control", "worker"):
        firewall = production.named("firewall", f"production-{group}")
        assert production.names(firewall["tags"]) == [f"production-group-{group}"]
        assert "droplet_ids" not in firewall


def test_outbound_is_an_allow_list_that_lets_the_platform_work(staging: Stack) -> None:
    rules = staging.named("firewall", "staging-app")["outbound_rule"]
    assert [(rule["protocol"], rule["port_range"], rule["destination_addresses"]) for rule in rules[:5]] == [
        ("udp", "53", EVERYWHERE),
        ("tcp", "53", EVERYWHERE),
        ("tcp", "80", EVERYWHERE),
        ("udp", "123", EVERYWHERE),
        ("tcp", "443", EVERYWHERE),
    ]
    to_stores = [
        (staging.follow(rule["port_range"])["engine"], rule["destination_addresses"]) for rule in rules[5:7]
    ]
    assert to_stores == [("pg", ["10.60.0.0/20"]), ("valkey", ["10.60.0.0/20"])]
    assert all(rule["port_range"].endswith(".port}") for rule in rules[5:7])
    # It keeps the metrics: it asks droplets for theirs, and hands messages to the mail relay.
    assert [(rule["port_range"], rule["destination_addresses"]) for rule in rules[7:]] == [
        ("9364", ["10.60.0.0/20"]),
        ("9360", ["10.60.0.0/20"]),
        ("2525", EVERYWHERE),
    ]
    assert all(rule["protocol"] == "tcp" for rule in rules[5:])


def test_a_group_of_web_front_ends_reaches_no_database(edited: Callable[..., Stack]) -> None:
    stack = edited(
        (
            "    services: [tenant-api, web-tenant, control-plane-api, web-control-plane]\n",
            "    services: [tenant-api, control-plane-api]\n",
        ),
        (
            "  worker:\n",
            "  web: {services: [web-tenant, web-control-plane], size: s-1vcpu-2gb, replicas: 2}\n  worker:\n",
        ),
    )
    ports = [rule["port_range"] for rule in stack.named("firewall", "staging-web")["outbound_rule"]]
    assert ports == ["53", "53", "80", "123", "443", "9364"]
    for firewall in stack.all("database_firewall").values():
        assert stack.names([rule["value"] for rule in firewall["rule"]]) == [
            "staging-group-app",
            "staging-group-worker",
        ]


@pytest.fixture
def pool(edited: Callable[..., Stack]) -> Stack:
    return edited(
        *OBSERVED_BY_WORKER,
        (
            "    size: s-2vcpu-4gb\n    replicas: 1",
            "    size: s-2vcpu-4gb\n    autoscale: {min: 2, max: 6, cpu: 0.6}",
        ),
    )


def test_autoscale_makes_a_pool_instead_of_droplets(pool: Stack) -> None:
    assert [droplet["name"].rpartition("-")[0] for droplet in pool.all("droplet").values()] == [
        "staging-worker-1"
    ]
    assert str(addresses.pool("app")) in pool.addresses
    resource = pool.only("droplet_autoscale")
    assert resource["name"] == "staging-app"
    assert resource["config"] == {
        "min_instances": 2, "max_instances": 6, "target_cpu_utilization": 0.6, "cooldown_minutes": 10,
    }  # fmt: skip


def test_a_pools_droplets_are_like_any_other(pool: Stack) -> None:
    template: dict[str, Any] = pool.only("droplet_autoscale")["droplet_template"]
    assert template["with_droplet_agent"] is True
    assert pool.follow(template["vpc_uuid"]) == pool.only("vpc")
    assert pool.follow(template["project_id"]) == pool.only("project")
    assert "staging-group-app" in pool.names(template["tags"])
    assert pool.local(template["user_data"]).startswith("#cloud-config\n")
    assert pool.only("loadbalancer")["droplet_tag"] == next(
        rule for rule in pool.named("firewall", "staging-app")["tags"]
    )


def waits(stack: Stack, group: str) -> dict[str, Resource]:
    """The resources that wait for a group's droplets, by construct id."""
    found = stack.json["resource"]["terraform_data"]
    prefix = f"group-{group}_"
    return {name.removeprefix(prefix)[:-9]: one for name, one in found.items() if name.startswith(prefix)}


def options(wait: Resource) -> dict[str, str]:
    (provisioner,) = (one["local-exec"] for one in wait["provisioner"])
    assert provisioner["working_dir"] == "../../.."
    assert provisioner["interpreter"][:3] == WAIT
    words = [*provisioner["interpreter"][3:], provisioner["command"]]
    return dict(zip(words[::2], words[1::2], strict=True))


def test_every_new_droplet_is_asked_for_its_status(production: Stack) -> None:
    wait = waits(production, "tenant")["serving-3"]
    asked = options(wait)
    assert asked["--status"] == "presence360-production-status-tenant"
    assert asked["--region"] == production.only("vpc")["region"]
    assert production.follow(asked["--load-balancer"])["name"] == "production-tenant"
    assert production.follow(asked["--droplet"])["name"].startswith("production-tenant-3-")
    assert wait["triggers_replace"] == {"droplet": asked["--droplet"]}
    assert wait["lifecycle"] == {"create_before_destroy": True}
    assert "--load-balancer" not in options(waits(production, "worker")["serving-1"])


def test_a_pool_is_asked_as_well(pool: Stack) -> None:
    wait = waits(pool, "app")["serving-pool"]
    asked = options(wait)
    assert pool.follow(asked["--pool"])["name"] == "staging-app"
    assert (asked["--least"], asked["--status"]) == ("2", "presence360-staging-status-app")
    assert pool.follow(asked["--load-balancer"])["name"] == "staging-app"
    assert wait["triggers_replace"] == {"pool": asked["--pool"]}
    assert pool.only("droplet_autoscale")["lifecycle"] == {"create_before_destroy": True}


def test_what_holds_back_the_change_from_replicas_to_a_pool_is_the_same_resource(
    staging: Stack, pool: Stack
) -> None:
    replicas, pooled = waits(staging, "app"), waits(pool, "app")
    assert replicas.keys() == {"serving-1", "serving"}
    assert pooled.keys() == {"serving-pool", "serving"}
    for found in (replicas, pooled):
        (held,) = found["serving"]["input"]
        assert re.fullmatch(r"\$\{terraform_data\.group-app_serving-(1|pool)_[0-9A-F]{8}\.id\}", held)
        assert found["serving"]["lifecycle"] == {"create_before_destroy": True}
