"""That no other path exists: the synthesized stacks allow what the model decides, and every other path is named."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from model.loader import Environment, load_environments
from ops.edits import by_name
from ops.reach.check import Verdict, check
from ops.reach.read import NO_PATH, READ
from tests.support import ENVIRONMENTS, Stack

Json = dict[str, Any]
Mutation = Callable[[Json], None]


@pytest.fixture(scope="module")
def environments() -> dict[str, Environment]:
    return by_name(load_environments(ENVIRONMENTS))


def body(stack: Json, kind: str, name: str) -> Json:
    """The one resource of a kind whose address or name contains this."""
    found = [
        one
        for address, one in stack["resource"][f"digitalocean_{kind}"].items()
        if name in address or name in str(one.get("name"))
    ]
    assert len(found) == 1, (kind, name, len(found))
    only: Json = found[0]
    return only


def tag(stack: Json, name: str) -> str:
    tags = stack["resource"]["digitalocean_tag"]
    (address,) = (address for address, one in tags.items() if one["name"] == name)
    return f"${{digitalocean_tag.{address}.name}}"


def judged(environment: Environment, stack: Stack, mutate: Mutation | None = None) -> Verdict:
    changed = copy.deepcopy(stack.json)
    if mutate:
        mutate(changed)
    return check(environment, [changed])


def test_the_stacks_allow_what_the_model_decides_and_nothing_else(
    environments: dict[str, Environment], staging: Stack, production: Stack
) -> None:
    for stack, count in ((staging, 24), (production, 46)):
        verdict = judged(environments[stack.name], stack)
        assert verdict.lines() == [f"{stack.name}: {count} paths, and no other"]
        assert verdict.proved


def test_cells_and_clusters_of_churches_are_among_them(
    lives: Path, staging_lives: Stack, staging_cell_2: Stack
) -> None:
    (environment,) = load_environments(lives.parent / "environments")
    assert check(environment, [staging_lives.json, staging_cell_2.json]).proved
    alone = check(environment, [staging_lives.json])
    assert not alone.proved
    assert any("staging-pg-cell-2" in text for text in alone.missing)


def opens_a_port(stack: Json) -> None:
    rule = {"protocol": "tcp", "port_range": "5432", "source_addresses": ["0.0.0.0/0"]}
    body(stack, "firewall", "staging-worker")["inbound_rule"].append(rule)


def widens_a_source(stack: Json) -> None:
    rules = body(stack, "firewall", "staging-app")["inbound_rule"]
    (ssh,) = (rule for rule in rules if rule["port_range"] == "22")
    ssh["source_addresses"] = ["198.51.100.0/24"]


def widens_a_port(stack: Json) -> None:
    rules = body(stack, "firewall", "staging-app")["inbound_rule"]
    (ssh,) = (rule for rule in rules if rule["port_range"] == "22")
    ssh["port_range"] = "22-2222"


def lets_everything_out(stack: Json) -> None:
    rule = {"protocol": "udp", "port_range": "1-65535", "destination_addresses": ["0.0.0.0/0"]}
    body(stack, "firewall", "staging-worker")["outbound_rule"].append(rule)


def opens_a_cluster_to_an_address(stack: Json) -> None:
    body(stack, "database_firewall", "postgres-shared")["rule"].append(
        {"type": "ip_addr", "value": "192.0.2.1"}
    )


def opens_a_cluster_to_every_droplet(stack: Json) -> None:
    rules = body(stack, "database_firewall", "valkey")["rule"]
    rules.append({"type": "tag", "value": tag(stack, "staging")})


def empties_a_database_firewall(stack: Json) -> None:
    body(stack, "database_firewall", "valkey")["rule"] = []


def gives_a_droplet_another_groups_tag(stack: Json) -> None:
    body(stack, "droplet", "staging-worker")["tags"].append(tag(stack, "staging-group-app"))


def takes_a_droplets_group_away(stack: Json) -> None:
    droplet = body(stack, "droplet", "staging-worker")
    droplet["tags"] = [tag(stack, "staging")]


def puts_a_second_firewall_around(stack: Json) -> None:
    stack["resource"]["digitalocean_firewall"]["second"] = {
        "name": "second",
        "tags": [tag(stack, "staging")],
        "inbound_rule": [{"protocol": "tcp", "port_range": "all", "source_tags": [tag(stack, "staging")]}],
    }


def adds_an_entry_to_a_load_balancer(stack: Json) -> None:
    rules = body(stack, "loadbalancer", "staging-app")["forwarding_rule"]
    rules.append({**rules[0], "entry_port": 8443, "target_port": 22})


def moves_a_cluster_out_of_the_network(stack: Json) -> None:
    del body(stack, "database_cluster", "staging-valkey")["private_network_uuid"]


def adds_a_kind_that_nobody_knows(stack: Json) -> None:
    stack["resource"]["digitalocean_vpc_peering"] = {"other": {"name": "other"}}


def hides_rules_in_an_expression(stack: Json) -> None:
    body(stack, "firewall", "staging-app")["inbound_rule"] = "${local.rules}"


def hides_rules_in_a_dynamic_block(stack: Json) -> None:
    body(stack, "firewall", "staging-app")["dynamic"] = {"inbound_rule": {"for_each": "${local.rules}"}}


def counts_a_firewall(stack: Json) -> None:
    body(stack, "firewall", "staging-app")["count"] = 0


def ignores_changes(stack: Json) -> None:
    body(stack, "firewall", "staging-app")["lifecycle"] = {"ignore_changes": ["inbound_rule"]}


def adds_a_private_network(stack: Json) -> None:
    stack["resource"]["digitalocean_vpc"]["other"] = {"name": "other", "ip_range": "10.99.0.0/20"}


def writes_no_address(stack: Json) -> None:
    body(stack, "firewall", "staging-app")["inbound_rule"][0]["source_addresses"] = ["10.0.0.1/99"]


def names_droplets_by_id(stack: Json) -> None:
    body(stack, "loadbalancer", "staging-app")["droplet_ids"] = [1]


def removes_a_rule(stack: Json) -> None:
    rules = body(stack, "firewall", "staging-app")["inbound_rule"]
    rules[:] = [rule for rule in rules if rule["port_range"] != "443"]


def set_on(kind: str, name: str, **arguments: Any) -> Mutation:
    return lambda stack: body(stack, kind, name).update(arguments)


def set_at_the_top(**sections: Any) -> Mutation:
    return lambda stack: stack.update(sections)


def empties_the_map_of_a_firewall(stack: Json) -> None:
    stack["locals"]["none"] = {}
    body(stack, "firewall", "staging-app")["for_each"] = "${local.none}"


def answers_on_udp(stack: Json) -> None:
    rules = body(stack, "loadbalancer", "staging-app")["forwarding_rule"]
    rules.append({**rules[0], "entry_protocol": "udp"})


def names_no_source(stack: Json) -> None:
    rule = {"protocol": "tcp", "port_range": "443"}
    body(stack, "firewall", "staging-app")["inbound_rule"].append(rule)


def ignores_changes_of_tags(stack: Json) -> None:
    for one in stack["resource"]["digitalocean_tag"].values():
        one["lifecycle"] = [{"ignore_changes": "all"}]


def writes_resources_as_a_list(stack: Json) -> None:
    stack["resource"] = [stack["resource"], {"digitalocean_firewall": {"second": {"name": "second"}}}]


def writes_a_firewall_as_a_list(stack: Json) -> None:
    firewalls = stack["resource"]["digitalocean_firewall"]
    firewalls["second"] = [{"name": "second"}]


def runs_a_program(stack: Json) -> None:
    run = {"local-exec": {"command": "doctl compute firewall add-rules"}}
    stack["resource"]["terraform_data"]["x"] = {"provisioner": run}


def runs_more_than_the_wait(stack: Json) -> None:
    wait = next(one for one in stack["resource"]["terraform_data"].values() if "provisioner" in one)
    wait["provisioner"][0]["local-exec"]["environment"] = {"PYTHONPATH": "elsewhere"}


def looks_up_with_a_program(stack: Json) -> None:
    stack["data"]["external"] = {"x": {"program": ["doctl"]}}


def configures_a_second_provider(stack: Json) -> None:
    stack["provider"]["digitalocean"].append({"alias": "other"})


NOTHING: tuple[object, ...] = ({}, "${toset([])}", "${var.nothing}")


def takes_another_provider(stack: Json) -> None:
    stack["terraform"]["required_providers"]["digitalocean"]["source"] = "somebody/digitalocean"


MAY_BE_EMPTY = "it may be empty, and then nothing is there"
UNSEEN: list[tuple[Mutation, tuple[str, ...]]] = [
    *(
        (set_on(kind, name, for_each=over), (f"digitalocean_{kind}.", MAY_BE_EMPTY))
        for kind, name in (
            ("firewall", "staging-app"),
            ("database_firewall", "valkey"),
            ("droplet", "staging-worker"),
            ("loadbalancer", "staging-app"),
        )
        for over in NOTHING
    ),
    (empties_the_map_of_a_firewall, ("cloud firewall staging-app", "decided on, and not there")),
    (set_on("droplet", "staging-worker", count=0), ("a count: it may be 0",)),
    (set_on("firewall", "staging-app", lifecycle=[{"ignore_changes": ["name"]}]), ("of name are ignored",)),
    (ignores_changes_of_tags, ("changes of all are ignored",)),
    (set_on("firewall", "staging-app", provider="digitalocean.other"), ("provider digitalocean.other",)),
    (set_on("firewall", "staging-app", provisioner=[{"local-exec": {}}]), ("a provisioner runs a program",)),
    (runs_a_program, ("terraform_data.x: a provisioner runs a program",)),
    (runs_more_than_the_wait, ("a provisioner runs a program",)),
    (looks_up_with_a_program, ("data.external: not known whether it only looks something up",)),
    (set_on("loadbalancer", "staging-app", type="GLOBAL"), ("its type is GLOBAL",)),
    (set_on("loadbalancer", "staging-app", type="REGIONAL_NETWORK"), ("its type is REGIONAL_NETWORK",)),
    *(
        (set_on("loadbalancer", "staging-app", **{name: given}), (f"{name} is not read",))
        for name, given in (
            ("target_load_balancer_ids", ["x"]),
            ("glb_settings", {"target_port": 80}),
            ("firewall", [{"deny": ["ip:198.51.100.7"]}]),
        )
    ),
    (answers_on_udp, ("entry_protocol udp",)),
    (names_no_source, ("a rule for tcp names nobody",)),
    (configures_a_second_provider, ("provider.digitalocean: 2 configurations, with alias",)),
    (takes_another_provider, ("somebody/digitalocean is another provider",)),
    (set_at_the_top(module={"x": {"source": "./open"}}), ("module: what is in it is not read",)),
    (set_at_the_top(removed=[{"from": "digitalocean_firewall.old"}]), ("removed: what is in it",)),
    (set_at_the_top(ephemeral={}), ("ephemeral: what is in it is not read",)),
    (writes_resources_as_a_list, ("resource: list in place of an object",)),
    (writes_a_firewall_as_a_list, ("resource.digitalocean_firewall.second: list in place of an object",)),
]
"""What stands beside the rules, and what leaves open whether they are there."""


@pytest.mark.parametrize(
    ("mutate", "said"),
    [
        *UNSEEN,
        (
            opens_a_port,
            (
                "cloud firewall staging-worker allows 5432/tcp from anywhere",
                "so the internet can reach droplets of worker on 5432/tcp (cloud firewall staging-worker, inbound)",
            ),
        ),
        (
            widens_a_source,
            (
                "cloud firewall staging-app allows 22/tcp from 198.51.100.0/24",
                "so 198.51.100.0/24 can reach droplets of app on 22/tcp",
                "cloud firewall staging-app allows 22/tcp from 198.51.100.7/32: decided on, and not there",
            ),
        ),
        (widens_a_port, ("so 198.51.100.7/32 can reach droplets of app on 22-2222/tcp",)),
        (lets_everything_out, ("so droplets of worker can reach the internet on every port/udp",)),
        (
            opens_a_cluster_to_an_address,
            (
                "cluster staging-pg-shared admits 192.0.2.1",
                "so 192.0.2.1 can reach cluster staging-pg-shared on the port of Postgres/tcp",
            ),
        ),
        (opens_a_cluster_to_every_droplet, ("cluster staging-valkey admits the tag staging",)),
        (
            empties_a_database_firewall,
            (
                "cluster staging-valkey has no firewall",
                "so the internet can reach cluster staging-valkey on the port of Valkey/tcp",
            ),
        ),
        (
            gives_a_droplet_another_groups_tag,
            ("droplets of app carry the tag staging-group-worker",),
        ),
        (
            takes_a_droplets_group_away,
            ("so the internet can reach droplets of digitalocean_droplet.group-worker_1", "every port/tcp"),
        ),
        (
            puts_a_second_firewall_around,
            (
                "cloud firewall second covers droplets with the tag staging",
                "so droplets of worker can reach droplets of app on 443/tcp (cloud firewall second, inbound)",
            ),
        ),
        (
            adds_an_entry_to_a_load_balancer,
            (
                "load balancer staging-app answers on 8443/tcp",
                "load balancer staging-app connects to 22/tcp of droplets",
                "so the internet can reach load balancer staging-app on 8443/tcp",
            ),
        ),
        (
            moves_a_cluster_out_of_the_network,
            ("cluster staging-valkey is in the private network of the region",),
        ),
        (
            adds_a_kind_that_nobody_knows,
            ("digitalocean_vpc_peering: not known whether it lets anything through",),
        ),
        (hides_rules_in_an_expression, ("inbound_rule is an expression: write the blocks out",)),
        (hides_rules_in_a_dynamic_block, ("a dynamic block: write the blocks out",)),
        (counts_a_firewall, ("a count: it may be 0, and then nothing is there",)),
        (ignores_changes, ("changes of inbound_rule are ignored",)),
        (adds_a_private_network, ("2 private networks: an environment has one",)),
        (writes_no_address, ("'10.0.0.1/99' does not appear to be an IPv4 or IPv6 network",)),
        (names_droplets_by_id, ("it names droplet_ids",)),
        (
            removes_a_rule,
            ("allows 443/tcp from load balancer staging-app: decided on, and not there",),
        ),
    ],
)
def test_what_nobody_decided_on_is_named(
    mutate: Mutation, said: tuple[str, ...], environments: dict[str, Environment], staging: Stack
) -> None:
    verdict = judged(environments["staging"], staging, mutate)
    assert not verdict.proved
    told = "\n".join(verdict.lines())
    for text in said:
        assert text in told


@pytest.fixture(scope="module")
def firewalls(staging: Stack) -> list[str]:
    return [one["name"] for one in staging.all("firewall").values()]


def addresses() -> Iterator[st.SearchStrategy[str]]:
    yield st.ip_addresses(v=4).map(lambda one: f"{one}/32")
    yield st.ip_addresses(v=6).map(lambda one: f"{one}/128")
    yield st.just("0.0.0.0/0")


@settings(max_examples=60)
@given(
    group=st.sampled_from(["staging-app", "staging-worker"]),
    direction=st.sampled_from(["inbound", "outbound"]),
    protocol=st.sampled_from(["tcp", "udp"]),
    first=st.integers(1, 65_535),
    length=st.integers(0, 100),
    peer=st.one_of(*addresses()),
)
def test_any_other_rule_is_found(
    environments: dict[str, Environment],
    staging: Stack,
    *,
    group: str,
    direction: str,
    protocol: str,
    first: int,
    length: int,
    peer: str,
) -> None:
    last = min(first + length, 65_535)
    ports = str(first) if first == last else f"{first}-{last}"
    key = "source_addresses" if direction == "inbound" else "destination_addresses"
    rules = body(staging.json, "firewall", group)[f"{direction}_rule"]
    assume(
        not any(
            (rule["protocol"], rule["port_range"]) == (protocol, ports) and peer in rule.get(key, ())
            for rule in rules
        )
    )

    def add(stack: Json) -> None:
        rule = {"protocol": protocol, "port_range": ports, key: [peer]}
        body(stack, "firewall", group)[f"{direction}_rule"].append(rule)

    verdict = judged(environments["staging"], staging, add)
    assert any(f"cloud firewall {group} allows {ports}/{protocol}" in text for text in verdict.opened)
    assert any(text.startswith("so ") for text in verdict.opened)


def test_every_kind_of_the_stacks_is_known(
    staging: Stack, production: Stack, staging_cell_2: Stack, edited: Callable[..., Stack], tmp_path: Path
) -> None:
    pool = edited(
        ("size: s-2vcpu-2gb\n    replicas: 1", "size: s-2vcpu-2gb\n    autoscale: {min: 2, max: 3, cpu: 0.5}")
    )
    used = {kind for one in (staging, production, staging_cell_2, pool) for kind in one.json["resource"]}
    assert used == READ | NO_PATH
    (environment,) = load_environments(tmp_path / "environments")
    assert check(environment, [pool.json]).proved
