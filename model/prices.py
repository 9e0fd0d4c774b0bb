"""What DigitalOcean asks for: the one table of prices, a month and in US dollars without tax, with sources and dates.

A price stands here only where DigitalOcean itself says it: its documentation, its OpenAPI document, or an answer of
its API. Where none of these could be read the price is unknown, and a sum says so. Fill in what your invoice says, with
its date.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Price:
    """One price.

    Attributes:
        usd: a month for one; None: unknown.
        source: who says so; of an unknown one, why it is.
        seen: when that was read, or when the source was written if that is known.
    """

    usd: Decimal | None
    source: str
    seen: str


def _known(usd: str, source: str, seen: str) -> Price:
    return Price(Decimal(usd), source, seen)


_SEEN = "2026-11-26"
_API = (
    'GET /v2/sizes of DigitalOcean\'s API, as its answers stand in public repositories; the page "Droplet Pricing" '
    "of its documentation refers to that request. `presence360 cost --ask` asks it again"
)
_OPENAPI = "DigitalOcean's OpenAPI document"

DROPLETS: Mapping[str, Price] = {
    "s-1vcpu-1gb": _known("6", _API, "2026"),
    "s-2vcpu-2gb": _known("18", _API, "2026"),
    "s-2vcpu-4gb": _known("24", _API, "2026"),
    "s-4vcpu-8gb": _known("48", _API, "2026"),
}
"""By size. The example of `s-1vcpu-1gb` in the OpenAPI document still says 5."""

_DATABASES = (
    'the OpenAPI document refers to the page "Managed Database Pricing", of which no copy could be read; no request '
    "of the API answers with prices of databases"
)
UNKNOWN_DROPLET = Price(
    None, "this size is not in the table; `presence360 cost --ask` asks DigitalOcean", _SEEN
)
UNKNOWN_CLUSTER = Price(None, _DATABASES, _SEEN)
POSTGRES_NODES: Mapping[str, Price] = {}
"""By size, for each node; standby nodes are nodes."""
VALKEY_NODES: Mapping[str, Price] = {}

LOAD_BALANCER_NODE = Price(
    None,
    'the copies of the page "Load Balancers: Plans and Pricing" that could be read are older than its limits of today '
    "(they say at most 100 nodes, the present page 200), and so may their 10.00 a node be",
    _SEEN,
)
VOLUME_GIB = Price(None, 'no copy of the page "Volumes Pricing" could be read', _SEEN)
UPTIME_CHECK = Price(None, 'no copy of the page "Uptime Pricing" could be read', _SEEN)

SPACES = _known(
    "5", f'{_OPENAPI}, example of an invoice: "Spaces ($5/mo 250GB storage & 1TB bandwidth)"', _SEEN
)
"""Once for an account, for all buckets together."""
SPACES_INCLUDES = "250 GB of storage and 1 TB of outbound transfer"

REGISTRY_TIERS: Mapping[str, Price] = {
    tier: _known(usd, f"{_OPENAPI}, example of GET /v2/registries/options", _SEEN)
    for tier, usd in (("starter", "0"), ("basic", "5"), ("professional", "20"))
}
"""Once for an account. Which tier it has is in no file here."""

TRANSFER_GIB = _known(
    "0.01", 'DigitalOcean documentation, "Droplet Pricing", "Bandwidth Billing"', "2025-05-07"
)
"""For a GiB of outbound transfer beyond what all droplets of the account include together; inbound is free."""

PRICED: Mapping[str, str] = {
    "digitalocean_droplet": "DROPLETS, by size",
    "digitalocean_droplet_autoscale": "DROPLETS, by size: at least `min`, at most `max`",
    "digitalocean_database_cluster": "POSTGRES_NODES, VALKEY_NODES, by size and nodes",
    "digitalocean_loadbalancer": "LOAD_BALANCER_NODE",
    "digitalocean_volume": "VOLUME_GIB",
    "digitalocean_uptime_check": "UPTIME_CHECK",
    "digitalocean_spaces_bucket": "SPACES, once for an account",
}
"""Kinds of resources whose number or size decides on the cost, and the price above that is meant."""

_CLUSTER = f"{_OPENAPI}, Databases: it is inside a cluster, which is what is sold"
_LABEL = f"{_OPENAPI}: it orders or names other things, and is nothing that runs"

FREE: Mapping[str, str] = {
    "digitalocean_firewall": 'DigitalOcean documentation, "Cloud Firewalls": "provided at no additional cost"',
    "digitalocean_certificate": 'DigitalOcean documentation, "Load Balancers: Plans and Pricing": "There is no '
    "additional cost to use Let's Encrypt with load balancers\"",
    "digitalocean_database_db": _CLUSTER,
    "digitalocean_database_firewall": _CLUSTER,
    "digitalocean_database_logsink_rsyslog": _CLUSTER,
    "digitalocean_database_postgresql_config": _CLUSTER,
    "digitalocean_database_user": _CLUSTER,
    "digitalocean_database_valkey_config": _CLUSTER,
    "digitalocean_project": f'{_LABEL} ("Projects allow you to organize your resources into groups")',
    "digitalocean_project_resources": f"{_LABEL} (what a project lists)",
    "digitalocean_spaces_bucket_cors_configuration": f"{_OPENAPI}, Spaces: a setting of a bucket",
    "digitalocean_spaces_bucket_object": f"{_OPENAPI}, Spaces: storage, of which SPACES includes 250 GB",
    "digitalocean_spaces_key": f"{_OPENAPI}, Spaces Keys: they authenticate requests",
    "digitalocean_ssh_key": f'{_LABEL} ("Manage SSH keys available on your account")',
    "digitalocean_tag": f'{_LABEL} ("A tag is a label that can be applied to a resource")',
    "digitalocean_uptime_alert": f"{_OPENAPI}, Uptime: part of a check",
    "digitalocean_volume_attachment": f"{_OPENAPI}, Block Storage Actions: where a volume is",
    "terraform_data": "Terraform's own, and nothing at DigitalOcean",
}
"""Kinds of resources that cost nothing by themselves, each with the source."""

UNKNOWN: Mapping[str, Price] = {
    kind: Price(None, f"no page of DigitalOcean's that could be read says what {words} cost", _SEEN)
    for kind, words in (
        ("digitalocean_domain", "DNS zones"),
        ("digitalocean_monitor_alert", "alerts"),
        ("digitalocean_record", "DNS records"),
        ("digitalocean_vpc", "private networks"),
    )
}
"""Kinds of resources of which no source says whether they cost something."""
