"""Droplets are private, monitored, replaceable without a gap, and have no secrets in their user data.

A change of user data, image or keys replaces a droplet, so the new one must exist first. Alerts need `monitoring`; an
autoscale pool has `with_droplet_agent` in its place and scales on what it measures. Firewalls and load balancers find
droplets by their tags. Every process on a droplet can read its user data, and Terraform's state holds it.
"""

from collections.abc import Iterator

from policies.reading import Block, ResourcePolicy, block, is_set, is_true, items, lifecycle
from policies.secret_text import secrets_in


def problems_of_droplet(droplet: Block) -> Iterator[str]:
    """What is wrong with one droplet."""
    yield from _of_machine(droplet)
    if not is_true(droplet.get("monitoring")):
        yield "set monitoring = true"
    if not is_true(lifecycle(droplet).get("create_before_destroy")):
        yield "set lifecycle.create_before_destroy = true"


def problems_of_pool(pool: Block) -> Iterator[str]:
    """What is wrong with one autoscale pool; its template has no monitoring and no lifecycle."""
    template = block(pool, "droplet_template")
    yield from _of_machine(template)
    if not is_true(template.get("with_droplet_agent")):
        yield "set with_droplet_agent = true"


def _of_machine(machine: Block) -> Iterator[str]:
    if not is_set(machine.get("vpc_uuid")):
        yield "set vpc_uuid"
    if not any(is_set(key) for key in items(machine.get("ssh_keys"))):
        yield "list at least one of ssh_keys"
    if not any(is_set(tag) for tag in items(machine.get("tags"))):
        yield "list at least one of tags"
    user_data = machine.get("user_data")
    if not is_set(user_data):
        yield "set user_data"
    elif str(user_data).startswith("${"):
        yield "user_data is an expression, which cannot be searched for secrets; render it at synth"
    else:
        yield from (f"user_data holds {find}" for find in secrets_in(str(user_data)))


ID, NAME = "CKV_P360_6", "Droplets are in the VPC, tagged, monitored, replaceable, and born without secrets"

check = ResourcePolicy(ID, NAME, ["digitalocean_droplet"], problems_of_droplet)
check_of_pools = ResourcePolicy(ID, NAME, ["digitalocean_droplet_autoscale"], problems_of_pool)
