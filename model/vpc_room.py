"""Whether a VPC has room for everything in it, at the moment when it holds the most: while droplets are replaced."""

from collections.abc import Sequence

from model.environment import EnvironmentFile
from model.errors import Findings
from model.tenants import Tenant

RESERVED_ADDRESSES = 8
"""That DigitalOcean keeps in a VPC. It documents the first, the last, "along with a few others", without their number
(docs.digitalocean.com, products/networking/vpc/concepts/plan-your-network, "DigitalOcean Reserved IP Addresses and
Ranges"). 8 is our margin: half of the smallest range."""


def addresses_needed(file: EnvironmentFile, tenants: Sequence[Tenant]) -> int:
    """Count private addresses at the moment when the VPC holds the most.

    Droplets count twice, since new ones are made before the old ones go; beside them each node of a load
    balancer and of a database cluster, and what DigitalOcean keeps.
    """
    droplets = nodes = 0
    for group in file.groups.values():
        droplets += group.autoscale.max if group.autoscale else group.replicas or 0
        # A private group has no load balancer: counting one for it errs on the safe side.
        nodes += group.load_balancer.size_units if group.load_balancer else 1
    clusters = [*file.postgres.clusters.values(), *file.postgres.cells.values()]
    clusters += [tenant.dedicated for tenant in tenants if tenant.dedicated]
    nodes += sum(cluster.nodes for cluster in clusters) + file.valkey.nodes
    return 2 * droplets + nodes + RESERVED_ADDRESSES


def check_room(file: EnvironmentFile, tenants: Sequence[Tenant], findings: Findings) -> None:
    """Find a range that is too small, while it can still be changed: it never can once something is deployed."""
    needed, available = addresses_needed(file, tenants), file.network.ip_range.num_addresses
    if needed > available:
        prefix = 32 - (needed - 1).bit_length()
        findings.add(
            ("network", "ip_range"),
            f"{file.network.ip_range} has {available:,} addresses, and {needed:,} are needed while droplets are "
            f"replaced",
            f"Choose a range of /{prefix} or larger before the first deploy. A deployed range cannot be "
            f"changed: use fewer "
            "droplets then.",
        )
