"""Regions and ranges of IP addresses, and what DigitalOcean allows of them."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated

from model.choices import OneOf

IPv4Network = ipaddress.IPv4Network
AnyNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# RFC 1918, section 3.
PRIVATE_RANGES = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))

# DigitalOcean documentation, "VPC: Limits": ranges between /16 and /28.
LARGEST_VPC_PREFIX = 16
SMALLEST_VPC_PREFIX = 28

# DigitalOcean documentation, "VPC: Limits": ranges that no VPC may overlap, everywhere and by region.
RESERVED_EVERYWHERE = tuple(
    map(IPv4Network, ("10.229.0.0/16", "10.244.0.0/16", "10.245.0.0/16", "10.246.0.0/24"))
)
RESERVED_BY_REGION = {
    "nyc1": IPv4Network("10.10.0.0/16"),
    "sfo1": IPv4Network("10.12.0.0/16"),
    "nyc2": IPv4Network("10.13.0.0/16"),
    "ams2": IPv4Network("10.14.0.0/16"),
    "sgp1": IPv4Network("10.15.0.0/16"),
    "lon1": IPv4Network("10.16.0.0/16"),
    "nyc3": IPv4Network("10.17.0.0/16"),
    "ams3": IPv4Network("10.18.0.0/16"),
    "fra1": IPv4Network("10.19.0.0/16"),
    "tor1": IPv4Network("10.20.0.0/16"),
    "sfo2": IPv4Network("10.46.0.0/16"),
    "blr1": IPv4Network("10.47.0.0/16"),
    "sfo3": IPv4Network("10.48.0.0/16"),
    "syd1": IPv4Network("10.49.0.0/16"),
    "atl1": IPv4Network("10.50.0.0/16"),
}

# What containers have on every droplet: Docker's own bridge, and that of the services (model/access.py).
CONTAINER_RANGES = tuple(map(IPv4Network, ("172.17.0.0/16", "172.30.0.0/24")))

# Regions that sell Spaces as well (terraform-provider-digitalocean 2.99.1, spaces/spaces_entities.go,
# SpacesRegions): an environment keeps its data in one region.
REGIONS = ("ams3", "atl1", "blr1", "fra1", "lon1", "nyc3", "sfo2", "sfo3", "sgp1", "syd1", "tor1")

Region = Annotated[str, OneOf(REGIONS)]
"""Where an environment runs, as operators write it."""

# RFC 5737 and RFC 3849: addresses that are reserved for examples.
DOCUMENTATION_RANGES: tuple[AnyNetwork, ...] = (
    *map(IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")),
    ipaddress.IPv6Network("2001:db8::/32"),
)

# An office's addresses, and a site's (RFC 6177, section 2: a /48 is the most that a site gets). A wider range is not an
# administrator's but a part of the internet.
WIDEST_ADMIN_PREFIX = {4: 24, 6: 48}

# What reaches no droplet from outside its own network (IANA, special-purpose address registries; RFC 6890).
_NEVER_ADMINS: tuple[tuple[str, AnyNetwork], ...] = (
    *(("private (RFC 1918)", private) for private in PRIVATE_RANGES),
    *(
        (kind, ipaddress.ip_network(text))
        for kind, text in (
            ("this network (RFC 1122)", "0.0.0.0/8"),
            ("shared by a provider's customers (CGNAT, RFC 6598)", "100.64.0.0/10"),
            ("loopback (RFC 1122)", "127.0.0.0/8"),
            ("link-local (RFC 3927)", "169.254.0.0/16"),
            ("kept for protocols (RFC 6890)", "192.0.0.0/24"),
            ("kept for benchmarks (RFC 2544)", "198.18.0.0/15"),
            ("multicast (RFC 5771)", "224.0.0.0/4"),
            ("kept for later (RFC 1112)", "240.0.0.0/4"),
            ("unspecified (RFC 4291)", "::/128"),
            ("loopback (RFC 4291)", "::1/128"),
            ("an IPv4 address in IPv6's spelling (RFC 4291)", "::ffff:0:0/96"),
            ("a translated IPv4 address (RFC 6052)", "64:ff9b::/96"),
            ("discarded (RFC 6666)", "100::/64"),
            ("private (RFC 4193)", "fc00::/7"),
            ("link-local (RFC 4291)", "fe80::/10"),
            ("multicast (RFC 4291)", "ff00::/8"),
        )
    ),
)


def parse_network(text: str) -> AnyNetwork:
    """Parse a CIDR.

    Raises:
        ValueError: with a sentence for the operator.
    """
    if "/" not in text:
        raise ValueError("a prefix length is missing, such as /32 for one address")
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("this is not a CIDR such as 203.0.113.7/32") from None
    raise ValueError(f"this has host bits set; the network is {network}")


def vpc_range_faults(ip_range: IPv4Network, region: str) -> Iterator[str]:
    """Yield what DigitalOcean would refuse in a VPC's range, each as a sentence."""
    if not any(ip_range.subnet_of(private) for private in PRIVATE_RANGES):
        yield f"{ip_range} is not a private range (RFC 1918)"
    if not LARGEST_VPC_PREFIX <= ip_range.prefixlen <= SMALLEST_VPC_PREFIX:
        yield f"{ip_range} is not between /{LARGEST_VPC_PREFIX} and /{SMALLEST_VPC_PREFIX}"
    for reserved in (*RESERVED_EVERYWHERE, *filter(None, [RESERVED_BY_REGION.get(region)])):
        if ip_range.overlaps(reserved):
            yield f"{ip_range} overlaps {reserved}, which DigitalOcean reserves"
    for taken in CONTAINER_RANGES:
        if ip_range.overlaps(taken):
            yield f"{ip_range} overlaps {taken}, which containers have on every droplet"


def admin_range_fault(network: AnyNetwork) -> str | None:
    """Say why a network cannot be an administrator's, or return None."""
    for kind, kept in _NEVER_ADMINS:
        if network.version == kept.version and kept.supernet_of(network):  # type: ignore[arg-type]
            return f"{network} is {kind}: nobody reaches a droplet from there"
    widest = WIDEST_ADMIN_PREFIX[network.version]
    if network.prefixlen < widest:
        return f"{network} is wider than /{widest}: too much of the internet could reach SSH"
    return None


def is_documentation_range(network: AnyNetwork) -> bool:
    """Tell whether a network is reserved for examples."""
    return any(
        network.version == example.version and example.supernet_of(network)  # type: ignore[arg-type]
        for example in DOCUMENTATION_RANGES
    )
