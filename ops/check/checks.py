"""The lines of the checklist: each with its check. docs/check.md has the same table; a test compares them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ops.check import (
    alerting,
    backups,
    data,
    deployed,
    droplets,
    edge,
    names,
    reached,
    room,
    secret_values,
    tenants,
)
from ops.check.finding import Finding
from ops.check.look import Look


@dataclass(frozen=True)
class Check:
    """One line.

    Attributes:
        name: by which it is called.
        title: what is right where it is green.
        look: finds out.
    """

    name: str
    title: str
    look: Callable[[Look], Iterator[Finding]]


CHECKS: tuple[Check, ...] = (
    Check("delegation", "The base domain is delegated to DigitalOcean", names.delegation),
    Check("names", "DNS names point at the load balancers, at the zone's own name servers", names.records),
    Check(
        "load-balancers", "Load balancers are active, redirect, and have their certificate", edge.balancers
    ),
    Check("certificates", "Every name is answered with a valid certificate", edge.certificates),
    Check("redirects", "http is redirected to https", edge.redirects),
    Check("tls", "TLS 1.0 and 1.1 are refused", edge.old_tls),
    Check("answers", "Every public name answers its health check", edge.answers),
    Check("health", "Load balancers find their droplets healthy", edge.health),
    Check("droplets", "Droplets are there, in the private network, with their tags", droplets.droplets),
    Check("releases", "Docker runs the deployed release on every droplet", droplets.releases),
    Check("firewalls", "Cloud firewalls allow what was decided, and nothing else", reached.firewalls),
    Check("networks", "Load balancers and private network are as decided", reached.networks),
    Check("outside", "Nobody answers on public addresses of droplets and clusters", reached.from_here),
    Check(
        "clusters", "Postgres and Valkey are online, in the private network, with a standby", data.clusters
    ),
    Check("trusted-sources", "Clusters admit the tags of groups alone", reached.trusted_sources),
    Check("control-plane", "The control plane's database is there", data.control_plane),
    Check("tenants", "Churches are provisioned", tenants.provisioned),
    Check("isolation", "Churches are kept apart", tenants.isolated),
    Check("migrations", "Schemas are those of the release", tenants.migrated),
    Check("secrets", "Services have their secrets", secret_values.injected),
    Check("repository", "No secret is in the repository", secret_values.in_repository),
    Check("state", "Secrets are in the state only where they have to be", secret_values.in_state),
    Check("alerts", "DigitalOcean's own alerts are on", alerting.resource_alerts),
    Check("uptime", "Public names are asked from outside", alerting.uptime),
    Check("watchdog", "Alerts arrive", edge.watchdog),
    Check("test-alert", "A test alert was accepted within 30 days", alerting.receipt),
    Check("backups", "DigitalOcean's backups are younger than a day", backups.of_clusters),
    Check("dumps", "Our own dumps are younger than a day", backups.dumps),
    Check("copies", "The second bucket has new copies of the dumps", backups.copies),
    Check("drill", "The last restore drill passed, within 8 days", backups.drill),
    Check("capacity", "No limit of the environment is nearly used up", room.capacity),
    Check("account", "The account is in good standing, and has room", room.account),
    Check("checkout", "This checkout is main", deployed.checkout),
    Check("deployed", "What is deployed is what this checkout makes", deployed.deployed),
)
