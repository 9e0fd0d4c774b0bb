"""Stacks of one account do not get into each other's way: names, networks, domains and keys."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

from policies.policy import WRITTEN, Section, Severity, across
from policies.rules.dns import RECORD, ZONE, host_of
from policies.stack import Resource, Stack
from policies.values import blocks, is_literal

UNIQUE = (
    "digitalocean_certificate", "digitalocean_database_cluster", "digitalocean_firewall", "digitalocean_project",
    "digitalocean_vpc", "digitalocean_loadbalancer", "digitalocean_droplet", "digitalocean_volume",
)  # fmt: skip
FOUND = (
    "digitalocean_vpc", "digitalocean_project", "digitalocean_tag", "digitalocean_spaces_bucket", "digitalocean_domain",
    "digitalocean_database_cluster", "digitalocean_ssh_key",
)  # fmt: skip


def _clashes(
    stacks: list[Stack], types: tuple[str, ...], value: Callable[[Resource, Stack], Any]
) -> Iterator[tuple[Stack, Resource, list[str]]]:
    """Yield every resource, with those of the same kind that have the same value."""
    by_value: dict[Any, list[tuple[Stack, Resource]]] = defaultdict(list)
    subjects = [(stack, one) for stack in stacks for one in stack.of(*types) if not one.is_empty]
    for stack, resource in subjects:
        if is_literal(value(resource, stack)):
            by_value[resource.type, value(resource, stack)].append((stack, resource))
    for stack, resource in subjects:
        same = by_value[resource.type, value(resource, stack)]
        yield (
            stack,
            resource,
            [
                f"{value(resource, stack)} is also {one.address} of {other.file}"
                for other, one in same
                if one is not resource
            ],
        )


@across(
    97, Severity.HIGH, "Names are used once in an account",
    "Put the environment's and the stack's name into each name.",
    section=Section.ENVIRONMENTS,
)  # fmt: skip
def names(stacks: list[Stack]) -> Iterator[tuple[Stack, Resource, list[str]]]:
    """DigitalOcean refuses most of them; of the others nobody knows which is which."""
    yield from _clashes(stacks, UNIQUE, lambda one, _: one["name"])


@across(
    98, Severity.HIGH, "Networks do not overlap",
    "Give each digitalocean_vpc another ip_range: overlapping ones can never be connected.",
    section=Section.ENVIRONMENTS,
)  # fmt: skip
def networks(stacks: list[Stack]) -> Iterator[tuple[Stack, Resource, list[str]]]:
    """DigitalOcean refuses the second one."""
    all_ranges = [
        (stack, vpc, ip_network(vpc["ip_range"]))
        for stack in stacks
        for vpc in stack.of("digitalocean_vpc")
        if is_literal(vpc["ip_range"])
    ]
    for stack, vpc, network in all_ranges:
        yield (
            stack,
            vpc,
            [
                f"{network} overlaps {other} of {elsewhere.file}"
                for elsewhere, one, other in all_ranges
                if one is not vpc and network.overlaps(other)
            ],
        )


@across(
    99, Severity.HIGH, "Buckets are made by one stack each",
    "Find a bucket of another stack with a data source; names are the whole region's.",
    section=Section.ENVIRONMENTS,
)  # fmt: skip
def buckets(stacks: list[Stack]) -> Iterator[tuple[Stack, Resource, list[str]]]:
    """The second apply would fail, or take the bucket over."""
    yield from _clashes(stacks, ("digitalocean_spaces_bucket",), lambda one, _: one["name"])


@across(
    100, Severity.HIGH, "Domains and the names in them are made by one stack each",
    "Let one stack own each zone, and delegate a part of it to another by NS records.",
    section=Section.ENVIRONMENTS,
)  # fmt: skip
def domains(stacks: list[Stack]) -> Iterator[tuple[Stack, Resource, list[str]]]:
    """A name leads to one environment."""
    yield from _clashes(stacks, (ZONE,), lambda one, _: one["name"])
    owners: dict[tuple[str, str], set[str]] = defaultdict(set)
    for stack in stacks:
        for record in stack.of(RECORD):
            owners[host_of(record, stack), record["type"]].add(stack.file)
    for stack in stacks:
        for record in stack.of(RECORD):
            host = host_of(record, stack)
            others = owners[host, record["type"]] - {stack.file}
            yield stack, record, [f"{host} has a record in {other} too" for other in sorted(others)]


@across(
    101, Severity.CRITICAL, "Environments share no keys",
    "Make a key for each environment: one that is taken opens one environment.",
    section=Section.ENVIRONMENTS,
)  # fmt: skip
def keys(stacks: list[Stack]) -> Iterator[tuple[Stack, Resource, list[str]]]:
    """Neither SSH keys, which DigitalOcean takes once, nor Spaces keys."""
    yield from _clashes(
        stacks, ("digitalocean_ssh_key",), lambda one, _: " ".join(str(one["public_key"]).split()[:2])
    )
    yield from _clashes(stacks, ("digitalocean_spaces_key",), lambda one, _: one["name"])
    yield from _foreign_grants(stacks)


def _foreign_grants(stacks: list[Stack]) -> Iterator[tuple[Stack, Resource, list[str]]]:
    made = {
        str(bucket["name"]): stack
        for stack in stacks
        for bucket in stack.of("digitalocean_spaces_bucket")
        if is_literal(bucket["name"])
    }
    for stack in stacks:
        for key in stack.of("digitalocean_spaces_key"):
            names = [stack.name_of(grant.get("bucket")) for grant in blocks(key.body, "grant")]
            yield (
                stack,
                key,
                [
                    f"opens {name}, which {made[name].file} makes"
                    for name in names
                    if made.get(name, stack) is not stack
                ],
            )


@across(
    102, Severity.HIGH, "What a stack finds by name, another one makes",
    "Correct the name, or deploy the stack that makes it into the same account.",
    section=Section.ENVIRONMENTS, shapes=WRITTEN,
)  # fmt: skip
def found(stacks: list[Stack]) -> Iterator[tuple[Stack, str, list[str]]]:
    """A plan does not end at a data source that finds nothing."""
    made = {
        (resource.type, str(resource["name"]))
        for stack in stacks
        for resource in stack.resources.values()
        if not resource.is_data
    }
    for stack in stacks:
        yield (
            stack,
            "data",
            [
                f"no stack here makes a {source.type} named {source['name']!r}"
                for source in stack.data(*FOUND)
                if is_literal(source["name"]) and (source.type, source["name"]) not in made
            ],
        )
