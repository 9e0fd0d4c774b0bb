"""Who reaches droplets and clusters: asked of the API, and tried from here."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from model.access import HTTPS_PORT, OTLP_PORT, SSH_PORT
from model.services import METRICS_PORT
from ops.check.finding import Finding, bad, few, good, not_seen
from ops.check.live import compared, holds
from ops.check.look import Look
from ops.check.names import balancer_address

PROBES = 32
DOCKER_PORTS = (2375, 2376)
"""Docker's own, without and with TLS (Docker documentation, "Configure remote access")."""
STORE_PORTS = (5432, 6379, 6432)
"""Of Postgres, Valkey and PgBouncer by their own defaults."""

_ELSEWHERE = (
    "Run it from an address that is nobody's here, such as a runner of GitHub's; `--seen-as ADDRESS` says which public "
    "address this machine has"
)


def firewalls(look: Look) -> Iterator[Finding]:
    """The cloud firewalls of the account that droplets obey allow what model/access.py decides, and nothing else."""
    states = {str(one["name"]): one for one in look.all("/v2/firewalls", "firewalls")}
    for group in look.plan.groups:
        state = (states.get(group.name) or {}).get("status")
        if state == "waiting":
            yield not_seen(f"the cloud firewall {group.name} is being applied", "Try again in a minute")
        elif state == "failed":
            yield bad(f"the cloud firewall {group.name} was not applied", "Look at it in the control panel")
    names = {int(one["id"]): str(one["name"]) for one in look.droplets}
    for name, one in states.items():
        if named := [
            names[droplet] for droplet in map(int, one.get("droplet_ids") or ()) if droplet in names
        ]:
            yield bad(
                f"the cloud firewall {name} names {few(named)} by id, and nobody decided on that",
                "Remove it in the control panel: firewalls are applied by tags here",
            )
    yield from _differences(
        look, ("cloud firewall ",), f"{len(look.plan.groups)} cloud firewalls are as decided"
    )


def trusted_sources(look: Look) -> Iterator[Finding]:
    """Database firewalls list the tags of the groups that connect, and nothing else."""
    yield from _differences(
        look, ("cluster ",), f"{len(look.planned_clusters)} clusters admit tags of groups alone"
    )


def networks(look: Look) -> Iterator[Finding]:
    """The private network and the load balancers' ports are as decided."""
    yield from _differences(
        look, ("the private network", "load balancer "), "load balancers and private network are as decided"
    )


def _differences(look: Look, about: tuple[str, ...], evidence: str) -> Iterator[Finding]:
    opened, missing = compared(look)
    deploy = f"presence360 drift {look.name} shows it; a deploy puts it back"
    for one in sorted(opened):
        if one.where.startswith(about):
            yield bad(f"{one}, and nobody decided on that", f"Remove it in the control panel; {deploy}")
    for one in sorted(missing):
        if one.where.startswith(about):
            yield bad(f"{one}: not so", deploy)
    yield good(evidence)


@dataclass(frozen=True)
class Target:
    """One port that is tried.

    Attributes:
        what: whose it is.
        host: its public address or name.
        port: the port.
    """

    what: str
    host: str
    port: int


def from_here(look: Look) -> Iterator[Finding]:
    """Nobody answers on public addresses of droplets and clusters; tried by TCP, from where this runs."""
    targets = list(_targets(look))
    if not targets:
        yield not_seen("there is no public address", "See the lines of droplets and clusters")
        return
    address = look.world.seen_as or look.world.local(targets[0].host)
    where, known = _vantage(look, address)
    if address and _inside(look, address):
        yield not_seen(f"{where}: that is an administrator's address, or in the private network", _ELSEWHERE)
        return
    if missing := _control(look):
        yield not_seen(f"{where}: {missing}, so that a closed port would prove nothing", _ELSEWHERE)
        return
    yield from _tried(look, targets, where, known=known)
    for cluster, _ in look.planned_clusters:
        if cluster.name not in look.clusters:
            yield not_seen(f"there is no cluster {cluster.name} to try", "See the line of clusters")
    hosts = {one.host for one in targets}
    yield good(f"{where}: {len(hosts)} public addresses answer on none of {len(targets)} ports")


def _vantage(look: Look, address: str) -> tuple[str, bool]:
    """Return in words from where it is tried, and whether that is known to be no administrator's address."""
    if address and (look.world.seen_as or _public(address)):
        return f"from {address}", True
    if look.environ.get("RUNNER_ENVIRONMENT") == "github-hosted":
        # GitHub's documentation, "Variables reference": set by the runner, and `self-hosted` on one's own.
        return f"from {address} at a runner of GitHub's, which is no administrator's", True
    return f"from {address or 'an unknown address'} (its public address is not known)", False


def _tried(look: Look, targets: list[Target], where: str, *, known: bool) -> Iterator[Finding]:
    """Try all ports; yield those that answer, and those of which nothing can be said."""

    def one(target: Target) -> bool | OSError:
        try:
            return look.world.opens(target.host, target.port)
        except OSError as error:
            return error

    with ThreadPoolExecutor(PROBES) as pool:
        found = list(zip(targets, pool.map(one, targets), strict=True))
    untried = [
        f"{target.what}, port {target.port} ({error.strerror or error})"
        for target, error in found
        if isinstance(error, OSError)
    ]
    if untried:
        said = f"{len(untried)} of {len(targets)} ports could not be tried: {few(untried)}"
        yield not_seen(f"{where}: {said}", _ELSEWHERE)
    for target in (target for target, is_open in found if is_open is True):
        if target.port == SSH_PORT and not known:
            yield not_seen(
                f"{target.what} answers on port {target.port} {where}: that may be an administrator's",
                _ELSEWHERE,
            )
        else:
            yield bad(
                f"{target.what} answers on {target.host}, port {target.port}, {where}",
                "See the lines of firewalls and of trusted sources, and close it",
            )


def _control(look: Look) -> str:
    """Say what this machine does not reach although it is open to everybody; empty where all of that answers.

    A machine without a network sees every port closed. One that is only let out to the web does as well, so that a port
    of another kind is asked too: name servers answer over TCP (RFC 7766).
    """
    balancers = [
        (one.name, balancer_address(look, one.name), HTTPS_PORT) for one in look.plan.edge.load_balancers
    ]
    servers = [(name.rstrip("."), *server) for name, server in look.world.name_servers().items()]
    for controls in (balancers, servers):
        if not any(_answers(look, host, port) for _, host, port in controls):
            return f"{few(f'{name}, port {port},' for name, _, port in controls)} cannot be reached from here"
    return ""


def _answers(look: Look, host: str, port: int) -> bool:
    try:
        return look.world.opens(host, port)
    except OSError:
        return False


def _inside(look: Look, address: str) -> bool:
    """Tell whether firewalls let an address in that they let no stranger in from."""
    ranges = [str(one) for one in look.environment.file.network.admin_cidrs]
    ranges += [look.plan.network.ip_range]
    return holds(ranges, address)


def _public(address: str) -> bool:
    try:
        return IPv4Address(address).is_global
    except AddressValueError:
        return False


def _targets(look: Look) -> Iterator[Target]:
    tags = look.plan.network.group_tags
    for group in look.plan.groups:
        services = {one.host_port for one in group.placement.services if one.host_port}
        services |= {one.port for one in group.placement.services if one.port}
        ports = {SSH_PORT, HTTPS_PORT, 80, METRICS_PORT, OTLP_PORT, *services, *DOCKER_PORTS, *STORE_PORTS}
        for droplet in look.droplets:
            if tags[group.group] in droplet["tags"]:
                for net in (droplet.get("networks") or {}).get("v4") or ():
                    if net.get("type") == "public":
                        yield from (
                            Target(str(droplet["name"]), str(net["ip_address"]), one) for one in sorted(ports)
                        )
    for cluster, _ in look.planned_clusters:
        way = (look.clusters.get(cluster.name) or {}).get("connection") or {}
        if way.get("host") and isinstance(way.get("port"), int):
            yield Target(cluster.name, str(way["host"]), int(way["port"]))
