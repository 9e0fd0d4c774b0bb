"""Which kinds of resources the stacks hold, and whether an apply can bring back what a delete takes away.

The tables hold the kinds that the stacks make (tests/ops/guard/test_contract.py compares), at provider 2.99.1. Every
other kind is treated as one that holds data, and its deletion is refused.
"""

import re
from collections.abc import Mapping

from model import addresses
from model.addresses import (
    BUCKET,
    CLUSTER,
    CLUSTER_CONFIG,
    CLUSTER_FIREWALL,
    DATABASE,
    DROPLET,
    FIREWALL,
    LOAD_BALANCER,
    LOG_SINK,
    OBJECT,
    POOL,
    USER,
    ZONE,
)
from ops.change import PROVIDER_PREFIX

VALKEY_CONFIG = addresses.VALKEY_CONFIG.kind
RECORD = "digitalocean_record"
VOLUME = "digitalocean_volume"
CERTIFICATE = addresses.CERTIFICATE.kind

# What is lost, as the end of a sentence: "would be deleted, with ...".
DATA: Mapping[str, str] = {
    CLUSTER: "every database of the cluster and every backup of them: DigitalOcean deletes both with it",
    DATABASE: "all data in the database",
    BUCKET: "all objects in the bucket, with their earlier versions",
    VOLUME: "all files on the volume",
    ZONE: "the whole zone, with the records that were made by hand or by others",
}

# An apply makes these again from the configuration. Users are among them: a new user gets a new password, which reaches
# the services as in a rotation, and a role of its own owns the tables (docs/isolation.md). Objects are among them:
# all content comes from Terraform, and the buckets keep earlier versions.
REBUILT = frozenset(
    {
        USER,
        CLUSTER_FIREWALL,
        LOG_SINK,
        VALKEY_CONFIG,
        OBJECT,
        RECORD,
        DROPLET,
        POOL,
        FIREWALL,
        LOAD_BALANCER,
        CERTIFICATE,
        CLUSTER_CONFIG,
        "digitalocean_monitor_alert",
        "digitalocean_project",
        "digitalocean_project_resources",
        "digitalocean_spaces_bucket_cors_configuration",
        "digitalocean_spaces_key",
        "digitalocean_ssh_key",
        "digitalocean_tag",
        "digitalocean_uptime_alert",
        "digitalocean_uptime_check",
        "digitalocean_volume_attachment",
        "digitalocean_vpc",
        "terraform_data",
    }
)

_WORDS = {
    CLUSTER: "cluster",
    DATABASE: "database",
    USER: "database user",
    CLUSTER_FIREWALL: "database firewall",
    LOG_SINK: "place that a cluster's logs are sent to",
    BUCKET: "bucket",
    OBJECT: "object",
    ZONE: "zone",
    RECORD: "record",
    POOL: "pool of droplets",
    LOAD_BALANCER: "load balancer",
    "digitalocean_monitor_alert": "alert",
    "digitalocean_spaces_bucket_cors_configuration": "list of pages that may read a bucket",
    "digitalocean_spaces_key": "Spaces key",
    "digitalocean_ssh_key": "SSH key",
    "digitalocean_uptime_alert": "alert on an uptime check",
    "digitalocean_volume_attachment": "attachment of a volume",
    "digitalocean_vpc": "VPC",
    "digitalocean_project_resources": "list of the project's resources",
    "terraform_data": "wait for a droplet",
}
# There are several of what stands before the first of these words: "alerts on an uptime check".
_SEVERAL = re.compile(r"(.+?)( (?:of|for|on|that) .*)?")


def holds_data(kind: str) -> bool:
    """Whether a kind has to be taken for one that holds data: all kinds but those that an apply makes again."""
    return kind not in REBUILT


def is_known(kind: str) -> bool:
    """Whether a kind is in one of the tables."""
    return kind in DATA or kind in REBUILT


def contents(kind: str) -> str:
    """Return what is lost with a resource of a kind that holds data."""
    return DATA.get(kind, "its contents, if this kind has any")


def in_words(kind: str) -> str:
    """Return a kind in plain words: ``digitalocean_spaces_key`` is a "spaces key"."""
    return _WORDS.get(kind, kind.removeprefix(PROVIDER_PREFIX).replace("_", " "))


def counted(kind: str, count: int) -> str:
    """Return so many of a kind in words: 1 database, 2 Spaces keys, 3 pools of droplets."""
    if count == 1:
        return f"1 {kind}"
    several = _SEVERAL.fullmatch(kind)
    return f"{count} {several[1]}s{several[2] or ''}" if several else f"{count} {kind}s"
