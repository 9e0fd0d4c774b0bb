"""Every database cluster has exactly one firewall.

A cluster is open to the Internet until its firewall is applied. The firewall resource replaces the whole rule set: of
two on one cluster the last one applied wins, and each plan undoes the other (docs/digitalocean.md).
"""

import re
from collections import Counter

from policies.reading import Block, StackPolicy, local_keys, resources

CLUSTER = "digitalocean_database_cluster"
FIREWALL = "digitalocean_database_firewall"
REFERENCE = re.compile(rf"\$\{{({CLUSTER}\.[\w-]+)(\[each\.key\])?\.id\}}")


def verdicts(stack: Block) -> dict[str, list[str]]:
    """One verdict for each cluster, and for each firewall that shares its cluster with another."""
    clusters = dict(resources(stack, CLUSTER))
    firewalls = dict(resources(stack, FIREWALL))
    found: dict[str, list[str]] = {
        # A block over an empty map makes no cluster; it is there for its `prevent_destroy`.
        address: [] if _is_empty(stack, body) else _of_cluster(address, body, list(firewalls.values()))
        for address, body in clusters.items()
    }
    named = Counter(str(body.get("cluster_id")) for body in firewalls.values())
    for address, body in firewalls.items():
        cluster = str(body.get("cluster_id"))
        shared = f"{cluster} has {named[cluster]} firewall resources; put all rules into one"
        found[address] = [shared] if named[cluster] > 1 else []
    return found


def _of_cluster(address: str, cluster: Block, firewalls: list[Block]) -> list[str]:
    covering = sum(_covers(address, cluster, firewall) for firewall in firewalls)
    return [] if covering == 1 else [f"has {covering} firewall resources in this stack; it needs one"]


def _is_empty(stack: Block, cluster: Block) -> bool:
    return local_keys(stack, cluster.get("for_each")) == []


def _covers(address: str, cluster: Block, firewall: Block) -> bool:
    """The firewall stands for each instance of this cluster resource, one for one."""
    match = REFERENCE.fullmatch(str(firewall.get("cluster_id")))
    if match is None or match[1] != address or "count" in firewall or "count" in cluster:
        return False
    if "for_each" not in cluster:
        return match[2] is None and "for_each" not in firewall
    return match[2] is not None and firewall.get("for_each") in (cluster["for_each"], f"${{{address}}}")


check = StackPolicy("CKV_P360_4", "Every database cluster has exactly one database firewall", verdicts)
