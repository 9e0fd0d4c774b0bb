"""Database firewalls admit droplet tags and nothing else.

A tag stays valid when droplets are replaced. An address or a droplet id does not, and an address may belong to somebody
else tomorrow. CKV_P360_4 checks that each cluster has exactly one firewall.
"""

from collections.abc import Iterator

from policies.reading import Block, ResourcePolicy, blocks, is_set


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
