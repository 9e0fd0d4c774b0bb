"""What DigitalOcean's database plans hold."""

import re

from model.environment import PostgresCluster, Valkey
from model.errors import Findings, YamlPath

# DigitalOcean documentation, "PostgreSQL: Pricing" and "Valkey: Pricing": these plans have no standby.
SINGLE_NODE_SIZES = frozenset({"db-s-1vcpu-1gb", "db-intel-1vcpu-1gb", "db-amd-1vcpu-1gb"})

# DigitalOcean documentation, "PostgreSQL: Limits": 25 connections for each GiB of a node's memory, 3 of which are kept
# for maintenance, and at most 1,000.
_CONNECTIONS_PER_GIB = 25
_KEPT_FOR_MAINTENANCE = 3
_MOST_CONNECTIONS = 1_000

_MEMORY = re.compile(r"-(\d+)gb$")


def memory_gib(size: str) -> int:
    """Return the memory of a plan's node, which its slug ends in: ``db-s-2vcpu-4gb``."""
    match = _MEMORY.search(size)
    if match is None:
        raise ValueError(f"{size} does not end in its memory")
    return int(match[1])


def connections(size: str) -> int:
    """Return how many connections a Postgres cluster of this size has for its clients."""
    return min(_CONNECTIONS_PER_GIB * memory_gib(size), _MOST_CONNECTIONS) - _KEPT_FOR_MAINTENANCE


def check_nodes(cluster: PostgresCluster | Valkey, path: YamlPath, findings: Findings) -> None:
    """Find a standby where none is sold."""
    if cluster.size in SINGLE_NODE_SIZES and cluster.nodes > 1:
        findings.add(
            (*path, "nodes"),
            f"{cluster.size} has one node only, and `nodes` is {cluster.nodes}",
            "Write `nodes: 1`, or choose a larger size.",
        )
