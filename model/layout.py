"""Which service runs where, and which load balancer answers to which name.

    service -> droplet group -> load balancer -> DNS name

DigitalOcean's load balancers route by port, never by host. So a DNS name points at the load balancer of the group
that runs the service which answers to it, and nginx on the droplet routes by host to the container. One public
group or two or four: the same rule.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from model.environment import Group
from model.errors import Findings, shown
from model.services import APEX, APEX_SERVICE, CATALOGUE, Plane, Runtime, Service, Store


@dataclass(frozen=True)
class Host:
    """A name that is served.

    Attributes:
        label: the name below the base domain: ``api``, ``*`` or ``@``.
        service: the name of the service that answers.
    """

    label: str
    service: str

    def fqdn(self, base_domain: str) -> str:
        """Return the full name."""
        return base_domain if self.label == APEX else f"{self.label}.{base_domain}"


@dataclass(frozen=True)
class Placement:
    """What one droplet group runs and serves.

    Attributes:
        group: the group's name.
        services: in the catalogue's order.
        hosts: the names its load balancer answers to, sorted; empty for a group without one.
        observes: whether it keeps the metrics and sends the alerts (model/observability.py).
    """

    group: str
    services: tuple[Service, ...]
    hosts: tuple[Host, ...]
    observes: bool = False

    @property
    def public(self) -> bool:
        """Whether the group has a load balancer."""
        return bool(self.hosts)

    @property
    def planes(self) -> tuple[Plane, ...]:
        """The planes whose work it does, sorted."""
        return tuple(sorted({service.plane for service in self.services}))

    def connects_to(self, store: Store) -> bool:
        """Whether any of its services connects to a data service; the metrics of Valkey are taken by a connection."""
        return any(store in service.stores for service in self.services) or (
            self.observes and store is Store.VALKEY
        )


def place(groups: Mapping[str, Group], *, apex: bool, observes: str | None = None) -> tuple[Placement, ...]:
    """Compute the placements, sorted by group name; the groups have passed `check_layout`.

    Args:
        groups: by name.
        apex: whether the base domain itself is served.
        observes: the name of the observability group, if there is one.
    """
    placements = []
    for name in sorted(groups):
        services = tuple(service for service in CATALOGUE.values() if service.name in groups[name].services)
        hosts = [Host(label, service.name) for service in services for label in service.hosts]
        if apex and any(service.name == APEX_SERVICE for service in services):
            hosts.append(Host(APEX, APEX_SERVICE))
        hosts.sort(key=lambda host: host.label)
        placements.append(Placement(name, services, tuple(hosts), observes=name == observes))
    return tuple(placements)


def clients(placements: Iterable[Placement], store: Store) -> tuple[str, ...]:
    """Return the groups that connect to a data service."""
    return tuple(placement.group for placement in placements if placement.connects_to(store))


def page_origins(placements: Iterable[Placement], base_domain: str) -> tuple[str, ...]:
    """Return where the platform's own pages come from, as a browser names it; sorted."""
    return tuple(
        sorted(
            f"https://{host.fqdn(base_domain)}"
            for placement in placements
            for host in placement.hosts
            if CATALOGUE[host.service].runtime is Runtime.NODE
        )
    )


def check_layout(groups: Mapping[str, Group], findings: Findings, observes: str | None = None) -> None:
    """Check that every required service is placed, none of them twice, and that each group can exist.

    Args:
        groups: by name.
        findings: takes what is wrong.
        observes: the name of the observability group, which may run no service.
    """
    placed: dict[str, str] = {}
    for name, group in groups.items():
        path = ("groups", name)
        for index, service in enumerate(group.services):
            if service in placed:
                findings.add(
                    (*path, "services", index),
                    f"the group {shown(placed[service])} already runs {shown(service)}",
                    "List it once: a service runs in one group, and its host names point to that group.",
                )
            placed.setdefault(service, name)
        if not group.services and name != observes:
            findings.add(
                (*path, "services"),
                "this is empty",
                "The services that each of its droplets runs. Only the group of `observability` may say `[]`.",
            )
        _check_size(name, group, findings)
        if group.load_balancer and not any(CATALOGUE[service].public for service in group.services):
            findings.add(
                (*path, "load_balancer"),
                f"none of {', '.join(group.services) or 'its services'} has a public name, so the group has no "
                "load balancer",
                "Remove `load_balancer` from this group.",
                at_key=True,
            )
    for missing in CATALOGUE.keys() - placed.keys():
        if not CATALOGUE[missing].required:
            continue
        findings.add(
            ("groups",),
            f"no group runs {shown(missing)}",
            f"Add {missing} to the `services` of one group.",
        )


def _check_size(name: str, group: Group, findings: Findings) -> None:
    path = ("groups", name)
    if (group.replicas is None) == (group.autoscale is None):
        both = group.replicas is not None
        findings.add(
            path,
            "`replicas` and `autoscale` are both set"
            if both
            else "neither `replicas` nor `autoscale` is set",
            "Write `replicas: 2` for a fixed number, or `autoscale: {min: 2, max: 6, cpu: 0.6}` for a pool.",
            at_key=True,
        )
    if group.autoscale and group.autoscale.min > group.autoscale.max:
        findings.add(
            (*path, "autoscale", "min"),
            f"{group.autoscale.min} is more than max, which is {group.autoscale.max}",
            "Make `min` at most `max`.",
        )
