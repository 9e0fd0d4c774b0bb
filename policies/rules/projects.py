"""What belongs to an environment is in its project, by tag, in a network of its own."""

from collections.abc import Iterator
from ipaddress import ip_network

from policies.policy import WRITTEN, Section, Severity, each, whole_stack
from policies.stack import Resource, Stack
from policies.values import blocks, is_literal, is_set, items

PROJECT, MEMBERS, VPC = "digitalocean_project", "digitalocean_project_resources", "digitalocean_vpc"
ASSIGNED = (
    "digitalocean_droplet",
    "digitalocean_spaces_bucket",
    "digitalocean_domain",
    "digitalocean_volume",
)
"""Kinds without a project_id of their own."""
ENVIRONMENTS = ("Development", "Staging", "Production")
TAGGED = (
    "digitalocean_droplet digitalocean_droplet_autoscale digitalocean_firewall digitalocean_loadbalancer"
    " digitalocean_database_cluster digitalocean_volume"
)
LARGEST, SMALLEST = 16, 28  # prefix lengths that DigitalOcean takes (docs/digitalocean.md)
PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
RESERVED = tuple(map(ip_network, ("10.229.0.0/16", "10.244.0.0/16", "10.245.0.0/16", "10.246.0.0/24")))
"""In every region (docs/digitalocean.md)."""


@whole_stack(
    79, Severity.LOW, "Everything is in the environment's project",
    "List the urn of each droplet, bucket, volume and zone in digitalocean_project_resources.",
    section=Section.ENVIRONMENTS, shapes=WRITTEN,
)  # fmt: skip
def assigned(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """Costs and access of an environment are seen in one place."""
    listed = {
        found.address
        for members in stack.of(MEMBERS)
        for urn in items(members["resources"])
        for found in stack.follow(urn)
    }
    if stack.of(PROJECT):
        for resource in stack.of(*ASSIGNED):
            yield (
                resource,
                [] if resource.address in listed else ["no digitalocean_project_resources lists its urn"],
            )


@each(
    MEMBERS, 80, Severity.CRITICAL, "Database clusters are not listed in a project's resources",
    "Set project_id in the cluster: an assignment moves it, and a moved cluster is planned for replacement.",
    section=Section.BACKUP,
)  # fmt: skip
def no_database(members: Resource, stack: Stack) -> Iterator[str]:
    """No plan destroys a cluster because of its project."""
    for urn in items(members["resources"]):
        if "digitalocean_database" in str(urn) or str(urn).startswith("do:dbaas:"):
            yield f"remove {urn}"
        yield from (
            f"remove {one.address}" for one in stack.follow(urn) if "database" in one.type and "$" not in urn
        )


@each(
    PROJECT, 81, Severity.LOW, "Projects say which environment they are",
    "Set environment to Development, Staging or Production, and purpose.",
    section=Section.ENVIRONMENTS,
)  # fmt: skip
def says_what(project: Resource) -> Iterator[str]:
    """Nobody takes production for something else."""
    if project["environment"] not in ENVIRONMENTS:
        yield f"environment is {project['environment']!r}; write one of {', '.join(ENVIRONMENTS)}"
    if not is_set(project["purpose"]):
        yield "set purpose"


@each(
    TAGGED, 82, Severity.MEDIUM, "Tags are references",
    "Refer to a digitalocean_tag: a tag that is written out is made by the first droplet, and by a typing error too.",
    section=Section.ENVIRONMENTS, shapes=WRITTEN,
)  # fmt: skip
def tags_are_references(resource: Resource, stack: Stack) -> Iterator[str]:
    """A tag exists before what carries it, and is written once."""
    templates = blocks(resource.body, "droplet_template") or [resource.body]
    tags = [tag for one in templates for tag in (*items(one.get("tags")), one.get("droplet_tag")) if tag]
    for tag in tags:
        if not any(one.type == "digitalocean_tag" for one in stack.follow(tag)):
            yield f"tag {tag!r}: refer to a digitalocean_tag"


@each(
    VPC, 83, Severity.HIGH, "Networks have a private range of their own that DigitalOcean takes",
    "Write ip_range: a /16 to /28 of RFC 1918 outside of what DigitalOcean keeps for itself.",
    section=Section.NETWORK,
)  # fmt: skip
def vpc_range(vpc: Resource) -> Iterator[str]:
    """The range cannot be changed later."""
    if not is_literal(vpc["ip_range"]):
        yield "write ip_range out"
        return
    network = ip_network(vpc["ip_range"])
    if not LARGEST <= network.prefixlen <= SMALLEST:
        yield f"{network}: write a /{LARGEST} to /{SMALLEST}"
    if not any(network.version == own.version and network.subnet_of(own) for own in PRIVATE):  # type: ignore[arg-type]  # checked by the first half
        yield f"{network} is not private (RFC 1918)"
    for reserved in RESERVED:
        if network.overlaps(reserved):
            yield f"{network} overlaps {reserved}, which DigitalOcean keeps for itself"


@each(
    "digitalocean_ssh_key", 84, Severity.MEDIUM, "SSH keys are modern",
    "Add an ed25519 key, or an RSA key of 3,072 bits at least; dsa and short RSA keys are broken or nearly so.",
    section=Section.NETWORK,
)  # fmt: skip
def modern_key(key: Resource) -> Iterator[str]:
    """Nobody computes it."""
    text = str(key["public_key"] or "")
    kind, _, rest = text.partition(" ")
    # 3,072 bits are 384 bytes of modulus, and base64 makes 512 characters of them.
    if (
        "${" not in text
        and kind not in ("ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-nistp256")
        and not (
            kind == "ssh-rsa" and len(rest.split(" ")[0]) >= 512  # noqa: PLR2004 (see above)
        )
    ):
        yield f"public_key is of kind {kind!r}; use ssh-ed25519"
