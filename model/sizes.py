"""What sizes hold, and whether a size that is written can be bought and is large enough."""

import re
from collections.abc import Collection

from model.environment import Group, PostgresCluster, Valkey
from model.errors import Findings, YamlPath, did_you_mean, shown
from model.services import CATALOGUE
from model.sold import (
    DROPLET_SIZES,
    LISTED_ON,
    POSTGRES_SIZES,
    SINGLE_NODE_SIZES,
    VALKEY_SIZES,
    cpus_and_memory_mib,
)

# DigitalOcean documentation, "PostgreSQL: Limits": 25 connections for each GiB of a node's memory, 3 of which are kept
# for maintenance, and at most 1,000.
_CONNECTIONS_PER_GIB = 25
_KEPT_FOR_MAINTENANCE = 3
_MOST_CONNECTIONS = 1_000

_MEMORY = re.compile(r"-(\d+)gb(?=-|$)")

HOST_MEMORY_MIB = 512
"""What a droplet keeps for itself: Debian, Docker, nginx and our programs. This is our margin: nobody documents it, and
it was not measured under load. As a comparison, Debian recommends 512 MiB for a system without a desktop (Debian
Installation Guide, section 3.4, "Meeting Minimum Hardware Requirements", in the edition for Debian 11)."""


def memory_gib(size: str) -> int:
    """Return the memory of a database node, which its size's slug names: ``db-s-2vcpu-4gb``."""
    match = _MEMORY.search(size)
    if match is None:
        raise ValueError(f"{size} does not name its memory")
    return int(match[1])


def connections(size: str) -> int:
    """Return how many connections a Postgres cluster of this size has for its clients."""
    return min(_CONNECTIONS_PER_GIB * memory_gib(size), _MOST_CONNECTIONS) - _KEPT_FOR_MAINTENANCE


def check_cluster(
    cluster: PostgresCluster | Valkey, path: YamlPath, new_sizes: Collection[str], findings: Findings
) -> None:
    """Find a size that is not sold for this engine, and a standby where none is sold."""
    postgres = isinstance(cluster, PostgresCluster)
    _check_sold(
        cluster.size,
        (*path, "size"),
        "Postgres" if postgres else "Valkey",
        POSTGRES_SIZES if postgres else VALKEY_SIZES,
        new_sizes,
        findings,
    )
    if cluster.size in SINGLE_NODE_SIZES and cluster.nodes > 1:
        findings.add(
            (*path, "nodes"),
            f"{cluster.size} has one node only, and `nodes` is {cluster.nodes}",
            "Write `nodes: 1`, or choose a larger size.",
        )


def check_group(
    name: str, group: Group, new_sizes: Collection[str], findings: Findings, *, more_mib: int = 0
) -> None:
    """Find a droplet size that is not sold, or that has less memory than the group's services may use.

    Args:
        name: the group's.
        group: as the file has it.
        new_sizes: sizes that this program does not know.
        findings: takes what is wrong.
        more_mib: memory of what runs there beside the services.
    """
    path = ("groups", name, "size")
    if not _check_sold(group.size, path, "droplets", DROPLET_SIZES, new_sizes, findings):
        return
    services = [CATALOGUE[service] for service in dict.fromkeys(group.services)]
    needed = sum(service.memory_mib for service in services) + HOST_MEMORY_MIB + more_mib
    known = cpus_and_memory_mib(group.size)
    if known and known[1] < needed:
        smallest = _smallest(needed)
        findings.add(
            path,
            f"{group.size} has {known[1]:,} MiB of memory; the services of this group may use {needed:,} MiB, "
            f"{HOST_MEMORY_MIB} of them the droplet itself"
            + (f", {more_mib} what keeps the metrics" if more_mib else ""),
            f"Choose a larger size, such as {smallest}, or move services to another group.",
        )


def _check_sold(
    size: str,
    path: YamlPath,
    what: str,
    sold: Collection[str],
    new_sizes: Collection[str],
    findings: Findings,
) -> bool:
    """Tell whether a size can be bought; if not, say so."""
    if size in sold or size in new_sizes:
        return True
    findings.add(
        path,
        f"{shown(size)} is not a size of {what} that DigitalOcean sold on {LISTED_ON}",
        f"{_near(size, sold)}If DigitalOcean has sold it since then, add it to `new_sizes`.",
    )
    return False


_BASIC = ("s-", "db-s-")


def _near(size: str, sold: Collection[str]) -> str:
    """Suggest sizes: with as much memory, or else one that is spelled alike."""
    wanted = cpus_and_memory_mib(size)
    alike = [one for one in sold if wanted and (cpus_and_memory_mib(one) or (0, 0))[1] == wanted[1]]
    if alike:
        family = size.rpartition("-")[0].rstrip("0123456789vcpu")
        alike.sort(key=lambda one: (not one.startswith(family), not one.startswith(_BASIC), one))
        return f"With as much memory there is {' or '.join(alike[:2])}. "
    return did_you_mean(size, sorted(sold))


def _smallest(memory_mib: int) -> str:
    """Name the smallest basic droplet with at least this much memory."""
    sizes = {size: cpus_and_memory_mib(size) or (0, 0) for size in DROPLET_SIZES if size.count("-") == 2}  # noqa: PLR2004
    fitting = [size for size in sizes if size.startswith("s-") and sizes[size][1] >= memory_mib]
    fitting = fitting or [size for size in sizes if sizes[size][1] >= memory_mib]
    return min(fitting, key=lambda size: (sizes[size][1], sizes[size][0], size))
