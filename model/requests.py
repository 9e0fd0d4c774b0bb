"""How many requests to DigitalOcean's API a plan takes: every resource is read, one after the other.

Counted in terraform-provider-digitalocean 2.99.1 (the functions that read), and compared with a real plan's calls by
`make rehearse` (docs/rehearsal.md). Objects and buckets are Spaces': another service, which is not counted here.
"""

from collections.abc import Mapping, Sequence

from model.edge import NAME_SERVERS
from model.environment import EnvironmentFile, alert_emails
from model.layout import Placement
from model.observability_file import Observability
from model.outside_alerts import RESOURCE_ALERTS, UPTIME_ALERTS, Kind
from model.services import WILDCARD, Plane, Store
from model.tenancy import Guard
from model.tenants import Tenant

REQUESTS: Mapping[str, int] = {
    "vpc": 1,
    "tag": 1,
    "ssh_key": 1,
    # The project itself, and a page of what is in it (project/projects.go, LoadResourceURNs).
    "project": 2,
    "project_resources": 2,
    "domain": 1,
    "record": 1,
    "certificate": 1,
    # And the certificate of its one rule, for the name (loadbalancer/loadbalancers.go, flattenForwardingRules).
    "loadbalancer": 2,
    "droplet": 1,
    "droplet_autoscale": 1,
    "firewall": 1,
    "database_cluster": 1,
    # The cluster, its eviction policy, its settings and its firewall.
    "valkey": 4,
    "database_postgresql_config": 1,
    "database_firewall": 1,
    "database_logsink_rsyslog": 1,
    "database_ca": 1,
    "database_db": 1,
    "database_user": 1,
    "spaces_key": 1,
    "volume": 1,
    # The volume, and what it is attached to (volume/resource_volume_attachment.go, Read).
    "volume_attachment": 1,
    "monitor_alert": 1,
    "uptime_check": 1,
    "uptime_alert": 1,
}

# Data sources: a page of the account's networks; a page of its projects and one of what is in the one; a tag by name.
FOUND_VPC = 1
FOUND_PROJECT = 2
FOUND_TAG = 1

# A Postgres cluster with its settings, its firewall and its certificate authority.
_CLUSTER = ("database_cluster", "database_postgresql_config", "database_firewall", "database_ca")

REQUESTS_OF_A_TENANT = REQUESTS["database_db"] + REQUESTS["database_user"]
"""Of one in a shared cluster, with one generation of credentials."""


def requests_of_environment(
    file: EnvironmentFile, placements: Sequence[Placement], tenants: Sequence[Tenant]
) -> int:
    """Return the requests of a plan of the environment's own stack; the tenants are those of the first cell."""
    counts = {
        "vpc": 1,
        "project": 1,
        "project_resources": 1,
        "domain": 1,
        "certificate": 1,
        # The environment's, and one for each plane and each group.
        "tag": 1 + len(Plane) + len(placements),
        "ssh_key": len(file.network.ssh_keys),
        # Two say who may issue certificates; a delegation is as many as there are name servers.
        "record": 2
        + sum(len(placement.hosts) for placement in placements)
        + len(NAME_SERVERS) * len(file.dns.delegations),
        "loadbalancer": sum(placement.public for placement in placements),
        "firewall": len(placements),
        "droplet": sum(group.replicas or 0 for group in file.groups.values()),
        "droplet_autoscale": sum(group.autoscale is not None for group in file.groups.values()),
        "valkey": 1,
        # A group's configuration, the tenants' credentials, the directory of tenants, the exports.
        "spaces_key": len(placements) + 3,
        # The control plane's own.
        "database_db": 1,
        "database_user": 1,
        **dict.fromkeys(_CLUSTER, len(file.postgres.clusters)),
    }
    if file.database_logs:
        # Of each cluster, Valkey's as well.
        counts["database_logsink_rsyslog"] = len(file.postgres.clusters) + 1
    if file.backups:
        # What writes dumps, and what copies them.
        counts["spaces_key"] += 2
    if file.observability:
        counts["spaces_key"] += 1
        counts |= _of_observability(file.observability, placements)
    return _sum(counts) + sum(requests_of_tenant(one, logs=bool(file.database_logs)) for one in tenants)


def _of_observability(wanted: Observability, placements: Sequence[Placement]) -> dict[str, int]:
    """Return what watches from outside, and the volume; the check of the watchdog has one alert."""
    names = {host.label for placement in placements for host in placement.hosts} - {WILDCARD}
    checks = len(names) + (wanted.canary is not None)
    volumes = int(wanted.volume_gib is not None)
    return {
        "volume": volumes,
        "volume_attachment": volumes,
        "monitor_alert": len(RESOURCE_ALERTS),
        "uptime_check": checks + 1,
        "uptime_alert": checks * len(UPTIME_ALERTS) + 1,
    }


def requests_of_cell(
    file: EnvironmentFile, placements: Sequence[Placement], tenants: Sequence[Tenant]
) -> int:
    """Return the requests of a plan of a further cell's stack."""
    clients = sum(placement.connects_to(Store.POSTGRES) for placement in placements)
    # What it finds by name: the network, the project, the environment's tag and those of the groups that connect.
    found = FOUND_VPC + FOUND_PROJECT + FOUND_TAG * (1 + clients)
    alerts = sum(alert.kind is Kind.DATABASES for alert in RESOURCE_ALERTS) if alert_emails(file) else 0
    logs = bool(file.database_logs)
    counts = {**dict.fromkeys(_CLUSTER, 1), "monitor_alert": alerts, "database_logsink_rsyslog": int(logs)}
    return found + _sum(counts) + sum(requests_of_tenant(one, logs=logs) for one in tenants)


def requests_of_tenant(tenant: Tenant, *, logs: bool = False) -> int:
    """Return the requests of a plan that are one tenant's; ``logs``: whether clusters send theirs somewhere."""
    where = tenant.homes
    users = 1 + len(tenant.credentials.keep) if tenant.served else 0
    counts = {
        "database_db": bool(where.shared) + bool(where.dedicated) + len(tenant.database.beside),
        "database_user": users,
        **dict.fromkeys(_CLUSTER, 1 if where.dedicated else 0),
        "database_logsink_rsyslog": int(logs and where.dedicated is Guard.KEPT),
    }
    return _sum(counts)


def _sum(counts: Mapping[str, int]) -> int:
    return sum(REQUESTS[kind] * count for kind, count in counts.items())
