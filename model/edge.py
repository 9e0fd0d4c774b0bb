"""The zone, the certificate and the load balancers: how requests from the internet come in."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.environment import EnvironmentFile
from model.layout import Placement
from model.naming import Names
from model.services import WILDCARD

NAME_SERVERS = ("ns1.digitalocean.com.", "ns2.digitalocean.com.", "ns3.digitalocean.com.")
"""Of every zone at DigitalOcean (documentation, "DNS Quickstart")."""


@dataclass(frozen=True, kw_only=True)
class LoadBalancerPlan:
    """The load balancer of one public group, and the names that point at it."""

    group: str
    name: str
    size_units: int
    labels: tuple[str, ...]
    """Names below the base domain, ``*`` and ``@`` included."""
    fqdns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EdgePlan:
    """The zone, the certificate and the load balancers."""

    region: str
    base_domain: str
    certificate_name: str
    certificate_domains: tuple[str, ...]
    load_balancers: tuple[LoadBalancerPlan, ...]
    delegations: tuple[str, ...]


def plan_edge(file: EnvironmentFile, names: Names, placements: Sequence[Placement]) -> EdgePlan:
    """Decide the edge."""
    # A wildcard covers one level and not the base domain; listed alone, every plan shows a difference
    # (terraform-provider-digitalocean, issue 928).
    domains = (file.base_domain, f"{WILDCARD}.{file.base_domain}")
    return EdgePlan(
        region=file.region,
        base_domain=file.base_domain,
        certificate_name=names.certificate(domains),
        certificate_domains=domains,
        load_balancers=tuple(
            _plan_load_balancer(file, names, placement) for placement in placements if placement.public
        ),
        delegations=tuple(sorted(file.dns.delegations)),
    )


def _plan_load_balancer(file: EnvironmentFile, names: Names, placement: Placement) -> LoadBalancerPlan:
    settings = file.groups[placement.group].load_balancer
    return LoadBalancerPlan(
        group=placement.group,
        name=names.resource(placement.group),
        size_units=settings.size_units if settings else 1,
        labels=tuple(host.label for host in placement.hosts),
        fqdns=tuple(host.fqdn(file.base_domain) for host in placement.hosts),
    )
