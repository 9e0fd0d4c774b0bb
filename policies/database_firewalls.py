"""Database firewalls admit droplet tags and nothing else.

A tag follows the droplets as they are replaced; an address, a droplet id or an app does not, and an address
may belong to somebody else tomorrow (design, decision 9). That each cluster has one firewall, and only one,
is CKV_P360_4.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policies.reading import Block, ResourcePolicy, blocks, is_set
else:
    from reading import Block, ResourcePolicy, blocks, is_set


def problems(firewall: Block) -> Iterator[str]:
    """What is wrong with one database firewall."""
    rules = blocks(firewall, "rule")
    if not rules:
        yield "has no rule: a cluster without rules accepts connections from everywhere"
    for rule in rules:
        if rule.get("type") != "tag":
            yield f"rule type is {rule.get('type')!r}; only tag is allowed"
        if not is_set(rule.get("value")):
            yield "a rule has no value; name a droplet tag"


check = ResourcePolicy(
    "CKV_P360_3", "Database firewalls admit droplet tags only", ["digitalocean_database_firewall"], problems
)
