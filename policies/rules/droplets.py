"""Droplets are private, watched, behind a firewall, replaceable without a gap, and born without secrets.

A change of user data, image or keys replaces a droplet. Every process on it can read its user data, and so can each
container that reaches the metadata service; Terraform's state holds it too.
"""

import re
from collections.abc import Iterator

from policies.policy import WRITTEN, Section, Severity, each
from policies.rules.secret_text import secrets_in
from policies.stack import Resource, Stack
from policies.values import Block, block, is_set, is_true, items

DROPLET, POOL = "digitalocean_droplet", "digitalocean_droplet_autoscale"
MACHINES = f"{DROPLET} {POOL}"
LARGEST_USER_DATA = 65_536
"""Bytes that DigitalOcean takes (docs/digitalocean.md)."""
SUPPORTED_IMAGE = re.compile(
    # Distributions with security updates at the end of 2026: endoflife.date of each.
    r"debian-1[23]-x64|ubuntu-(22|24|26)-04-x64|(rockylinux|almalinux)-(9|10)-x64|centos-stream-(9|10)-x64"
    r"|\d+"  # a snapshot of the account's own
)
PASSWORD_LOGIN = re.compile(
    r"(?im)^\s*(?:-\s*)?(ssh_pwauth:\s*(?:true|yes|1)|PasswordAuthentication\s+yes|PermitRootLogin\s+yes"
    r"|PermitEmptyPasswords\s+yes|chpasswd:|plain_text_passwd:|hashed_passwd:|lock_passwd:\s*(?:false|no))"
)


def machine(resource: Resource) -> Block:
    """Return what describes the droplet: its block, or the template of a pool."""
    return block(resource.body, "droplet_template") if resource.type == POOL else resource.body


def user_data(resource: Resource, stack: Stack) -> str:
    """Return the user data.

    Raises:
        ValueError: there is none, or it is an expression.
    """
    value = stack.resolved(machine(resource).get("user_data"))
    if not is_set(value):
        raise ValueError("set user_data")
    if str(value).startswith("${"):
        raise ValueError("user_data is an expression, which cannot be searched; render it before")
    return str(value)


@each(
    MACHINES, 6, Severity.CRITICAL, "Droplets are born without secrets",
    "Render user data without secrets; let the droplet fetch them with a key that opens nothing else.",
    section=Section.SECRETS, shapes=WRITTEN,
)  # fmt: skip
def no_secrets(resource: Resource, stack: Stack) -> Iterator[str]:
    """User data holds nothing that looks like a secret, in base64 and gzip neither."""
    yield from (f"user_data holds {find}" for find in secrets_in(user_data(resource, stack)))


@each(
    MACHINES, 27, Severity.HIGH, "Droplets are in a VPC that is named",
    "Set vpc_uuid: without it a droplet is in the region's default VPC, beside everything else of the account.",
    section=Section.NETWORK,
)  # fmt: skip
def in_vpc(resource: Resource) -> Iterator[str]:
    """Its private address is in the environment's own network."""
    if not is_set(machine(resource).get("vpc_uuid")):
        yield "set vpc_uuid"


@each(
    MACHINES, 28, Severity.MEDIUM, "Droplets are measured",
    "Set monitoring = true, and with_droplet_agent = true in a pool: alerts and scaling read what the agent measures.",
    section=Section.MONITORING,
)  # fmt: skip
def measured(resource: Resource) -> Iterator[str]:
    """Alerts have something to read."""
    name = "with_droplet_agent" if resource.type == POOL else "monitoring"
    if not is_true(machine(resource).get(name)):
        yield f"set {name} = true"


@each(
    MACHINES, 29, Severity.HIGH, "Droplets are made with SSH keys",
    "List ssh_keys: without one DigitalOcean sends a root password by e-mail, and password login is on.",
    section=Section.NETWORK,
)  # fmt: skip
def with_keys(resource: Resource) -> Iterator[str]:
    """Nobody needs a password."""
    if not any(is_set(key) or isinstance(key, int) for key in items(machine(resource).get("ssh_keys"))):
        yield "list at least one of ssh_keys"


@each(
    MACHINES, 30, Severity.HIGH, "Droplets take no password at SSH",
    "Remove what turns password login on or sets a password: ssh_pwauth, chpasswd, PasswordAuthentication yes.",
    section=Section.NETWORK, shapes=WRITTEN,
)  # fmt: skip
def no_password_login(resource: Resource, stack: Stack) -> Iterator[str]:
    """User data neither sets a password nor lets one in."""
    for number, line in enumerate(user_data(resource, stack).splitlines(), start=1):
        found = PASSWORD_LOGIN.match(line)
        if found:
            yield f"user_data has {found[1]!r} in line {number}"


@each(
    MACHINES, 31, Severity.HIGH, "Droplets run a distribution that has security updates",
    "Choose an image of a supported distribution, such as debian-13-x64.",
    section=Section.COMPUTE,
)  # fmt: skip
def supported_image(resource: Resource, stack: Stack) -> Iterator[str]:
    """The image is one that its distribution still updates."""
    image = machine(resource).get("image")
    if not SUPPORTED_IMAGE.fullmatch(str(image)) and not stack.follow(image):
        yield f"image is {image!r}, which is no supported distribution"


@each(
    MACHINES, 32, Severity.CRITICAL, "Droplets are behind a firewall, by tag",
    "List a tag of the droplet in a digitalocean_firewall: without one every port is open to the Internet.",
    section=Section.NETWORK,
)  # fmt: skip
def behind_firewall(resource: Resource, stack: Stack) -> Iterator[str]:
    """A firewall names one of its tags, and exists: `for_each` and `count` may make none."""
    tags = {stack.name_of(tag) for tag in items(machine(resource).get("tags")) if is_set(tag)}
    if not tags:
        yield "list at least one of tags"
    covered = {
        stack.name_of(tag)
        for firewall in stack.of("digitalocean_firewall")
        if firewall.is_there_with(resource)
        for tag in items(firewall["tags"])
    }
    if not tags & covered:
        yield "no digitalocean_firewall of this stack that is sure to exist has one of its tags"


@each(
    DROPLET, 33, Severity.HIGH, "Droplets are replaced without a gap",
    "Set lifecycle.create_before_destroy = true: a change of user data replaces the droplet.",
    section=Section.COMPUTE, shapes=WRITTEN,
)  # fmt: skip
def without_a_gap(droplet: Resource) -> Iterator[str]:
    """The new one is there before the old one goes."""
    if not is_true(droplet.lifecycle.get("create_before_destroy")):
        yield "set lifecycle.create_before_destroy = true"


@each(
    MACHINES, 34, Severity.HIGH, "Droplets are made after their firewall",
    "List the firewall in depends_on: a droplet that comes first is open until the firewall exists.",
    section=Section.NETWORK,
)  # fmt: skip
def after_firewall(resource: Resource, stack: Stack) -> Iterator[str]:
    """It waits for a firewall that has one of its tags."""
    tags = {stack.name_of(tag) for tag in items(machine(resource).get("tags"))}
    waits = {str(one).strip("${}") for one in items(resource["depends_on"])}
    if not any(
        firewall.block_address in waits and tags & {stack.name_of(tag) for tag in items(firewall["tags"])}
        for firewall in stack.of("digitalocean_firewall")
        if firewall.is_there_with(resource)
    ):
        yield "depends_on names no firewall that has one of its tags"


@each(
    MACHINES, 35, Severity.MEDIUM, "User data is not larger than DigitalOcean takes",
    "Keep user data below 65,536 bytes; let the droplet fetch the rest.",
    section=Section.COMPUTE, shapes=WRITTEN,
)  # fmt: skip
def small_enough(resource: Resource, stack: Stack) -> Iterator[str]:
    """The API would refuse it in the middle of an apply."""
    size = len(user_data(resource, stack).encode())
    if size > LARGEST_USER_DATA:
        yield f"user_data has {size:,} bytes; {LARGEST_USER_DATA:,} at most"


@each(
    DROPLET, 36, Severity.MEDIUM, "A droplet's size can be taken back",
    "Set resize_disk = false: a disk that has grown cannot shrink, and the old size is gone for good.",
    section=Section.COMPUTE,
)  # fmt: skip
def size_can_return(droplet: Resource) -> Iterator[str]:
    """A resize leaves the disk alone."""
    if droplet["resize_disk"] is not False and droplet["resize_disk"] != "false":
        yield "set resize_disk = false"
