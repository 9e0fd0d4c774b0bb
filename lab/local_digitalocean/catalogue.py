"""What can be ordered: regions, sizes, images, and the objects that describe them."""

import re
from ipaddress import IPv4Network, ip_network

from lab.local_digitalocean.errors import unprocessable
from lab.local_digitalocean.store import Record
from model.sold import DROPLET_SIZES, POSTGRES_SIZES, SINGLE_NODE_SIZES, VALKEY_SIZES, cpus_and_memory_mib

# Regions of droplets (OpenAPI document, schema "region_slug" and the list of regions).
REGIONS = (
    "nyc1", "nyc2", "nyc3", "ams2", "ams3", "sfo1", "sfo2", "sfo3", "sgp1", "lon1", "fra1", "tor1", "blr1", "syd1",
    "atl1",
)  # fmt: skip
IMAGES = ("debian-12-x64", "debian-13-x64", "ubuntu-22-04-x64", "ubuntu-24-04-x64")

# Ranges that DigitalOcean keeps for itself everywhere, and the second number of the one it keeps in a region, a
# /16 each (documentation, VPC, "Limits").
RESERVED = tuple(
    ip_network(text) for text in ("10.229.0.0/16", "10.244.0.0/16", "10.245.0.0/16", "10.246.0.0/24")
)
RESERVED_IN_REGION = {
    "nyc1": 10, "nyc2": 13, "nyc3": 17, "ams2": 14, "ams3": 18, "fra1": 19, "lon1": 16, "sgp1": 15, "tor1": 20,
    "sfo1": 12, "sfo2": 46, "sfo3": 48, "blr1": 47, "syd1": 49, "atl1": 50,
}  # fmt: skip

_CLUSTER_SIZES = {"pg": POSTGRES_SIZES, "valkey": VALKEY_SIZES}
_CLUSTER_SIZE = re.compile(r"^(?:db-(?:s|intel|amd)|gd|so1_5|m)-(\d+)vcpu-(\d+)gb$")


def region(slug: str) -> Record:
    """Describe a region.

    Raises:
        ApiError: 422: there is no such region.
    """
    if slug not in REGIONS:
        raise unprocessable("You specified an invalid region for Droplet creation.")
    return {
        "slug": slug,
        "name": slug[:3].upper() + " " + slug[3:],
        "features": ["backups", "ipv6", "metadata", "storage"],
        "available": True,
        "sizes": ["s-1vcpu-1gb", "s-2vcpu-2gb", "s-2vcpu-4gb"],
    }


def droplet_size(slug: str) -> Record:
    """Describe a droplet's size; memory in MiB, disk in GiB.

    Raises:
        ApiError: 422: there is no such size.
    """
    known = cpus_and_memory_mib(slug) if slug in DROPLET_SIZES else None
    if known is None:
        raise unprocessable("You specified an invalid size for Droplet creation.")
    cpus, memory = known
    monthly = max(4.0, memory / 1024 * 6)
    return {
        "slug": slug,
        "memory": memory,
        "vcpus": cpus,
        "disk": max(10, memory * 20 // 1024),
        "transfer": 1.0,
        "price_monthly": monthly,
        "price_hourly": round(monthly / 672, 5),
        "regions": list(REGIONS),
        "available": True,
        "description": "Basic",
    }


def image(asked: object) -> Record:
    """Describe an image.

    Raises:
        ApiError: 422: there is no such image.
    """
    if asked not in IMAGES:
        raise unprocessable("You specified an invalid image for Droplet creation.")
    number = IMAGES.index(str(asked)) + 1
    distribution = str(asked).partition("-")[0].capitalize()
    return {
        "id": number,
        "name": str(asked),
        "type": "base",
        "distribution": distribution,
        "slug": asked,
        "public": True,
        # The document's list of an image's regions is without the newest.
        "regions": [slug for slug in REGIONS if slug != "atl1"],
        "created_at": "2025-08-01T00:00:00Z",
        "min_disk_size": 7,
        "size_gigabytes": 0.6,
        "description": "",
        "tags": [],
        "status": "available",
    }


def cluster_memory(slug: str) -> int:
    """Return the memory of a cluster's node in GiB.

    Raises:
        ApiError: 422: there is no such size.
    """
    match = _CLUSTER_SIZE.match(slug)
    if match is None:
        raise unprocessable("invalid size")
    return int(match[2])


def check_cluster_size(engine: str, slug: str, nodes: int) -> None:
    """Refuse a size that is not sold for an engine, or not with so many nodes.

    Raises:
        ApiError: 422: it is not sold.
    """
    if engine in _CLUSTER_SIZES and slug not in _CLUSTER_SIZES[engine]:
        raise unprocessable("invalid size")
    if slug in SINGLE_NODE_SIZES and nodes > 1:
        raise unprocessable("this size has one node only")


# Connections of a node: 25 for a GiB of memory and no more than 1,000, of which DigitalOcean keeps 3 (product
# documentation, PostgreSQL, "Limits").
CONNECTIONS_PER_GIB, MOST_CONNECTIONS, KEPT_CONNECTIONS = 25, 1000, 3


def server_connections(size: str) -> int:
    """Return how many connections a cluster's server takes, those that DigitalOcean keeps included."""
    return min(CONNECTIONS_PER_GIB * cluster_memory(size), MOST_CONNECTIONS)


def reserved(network: IPv4Network, region_slug: str) -> bool:
    """Tell whether a range touches one that DigitalOcean keeps for itself in a region."""
    own = ip_network(f"10.{RESERVED_IN_REGION[region_slug]}.0.0/16")
    return any(network.overlaps(kept) for kept in (*RESERVED, own))
