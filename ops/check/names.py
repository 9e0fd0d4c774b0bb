"""The DNS names: there, at the zone's own name servers, and pointing at the load balancers."""

import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from model.edge import NAME_SERVERS
from model.services import WILDCARD
from ops.check.finding import Finding, NotSeenError, bad, few, good, not_seen
from ops.check.look import Look
from ops.name_servers import CannotAskError, Server, ask, plain

AUTHORITY = "letsencrypt.org"
CAA_TAGS = ("issue", "issuewild")


def delegation(look: Look) -> Iterator[Finding]:
    """The base domain, and those of environments below it, are delegated to DigitalOcean."""
    domain, wanted = look.plan.edge.base_domain, plain(NAME_SERVERS)
    try:
        found = look.world.delegation(domain)
    except CannotAskError as error:
        yield not_seen(f"{domain}: {error}", "Run the check where names resolve")
        return
    if not found and not _resolves(look, domain):
        yield not_seen(
            f"{domain} has no name servers here, and neither has any other name",
            "Run the check where names resolve",
        )
        return
    if found == wanted:
        yield good(f"{domain} is delegated to {', '.join(sorted(found))}")
    else:
        has = f"to {few(sorted(found))}" if found else "to nobody"
        yield bad(
            f"{domain} is delegated {has}",
            f"Name {', '.join(sorted(wanted))} at the registrar, or in the zone above (README.md, First deploy)",
        )


def _resolves(look: Look, domain: str) -> bool:
    """Tell whether resolvers know the zone above, or DigitalOcean's.

    Without the internet, some say of every name that it does not exist.
    """
    for name in (domain.partition(".")[2], NAME_SERVERS[0].rstrip(".").partition(".")[2]):
        with suppress(CannotAskError):
            if look.world.delegation(name):
                return True
    return False


def records(look: Look) -> Iterator[Finding]:
    """Each name, the wildcard and the delegations of other environments, asked of each of the zone's name servers."""
    addresses = {name: str(one["ip"]) for name, one in _balancers(look).items()}
    wanted = _wanted(look, addresses)
    servers = look.world.name_servers()

    def one(server: tuple[str, Server]) -> list[Finding]:
        return list(_of_server(look, *server, wanted))

    with ThreadPoolExecutor(len(servers)) as pool:
        for findings in pool.map(one, servers.items()):
            yield from findings


def _balancers(look: Look) -> Mapping[str, Mapping[str, object]]:
    return {one.name: look.balancers.get(one.name, {"ip": ""}) for one in look.plan.edge.load_balancers}


def _wanted(look: Look, addresses: Mapping[str, str]) -> dict[tuple[str, str], frozenset[str]]:
    """Return by name and kind what is to be answered."""
    edge = look.plan.edge
    found: dict[tuple[str, str], frozenset[str]] = {}
    for balancer in edge.load_balancers:
        for name in balancer.fqdns:
            # Of the wildcard a name that nobody has.
            asked = name.replace(WILDCARD, f"check-{secrets.token_hex(4)}")
            found[asked, "A"] = frozenset({addresses[balancer.name]})
    for label in edge.delegations:
        found[f"{label}.{edge.base_domain}", "NS"] = plain(NAME_SERVERS)
    return found


def _of_server(
    look: Look, name: str, server: Server, wanted: Mapping[tuple[str, str], frozenset[str]]
) -> Iterator[Finding]:
    at, deploy = name.rstrip("."), f"Deploy: presence360 plan {look.name}"
    try:
        for (asked, kind), values in wanted.items():
            answer = ask(asked, kind, server)
            said = plain(answer.values)
            if not answer.authoritative and kind != "NS":
                yield bad(f"{at} does not speak for the zone of {asked}", deploy)
                return
            if kind == "A" and values == {""}:
                yield not_seen(f"{asked} is {few(sorted(said)) or 'nothing'} at {at}; its load balancer has no address",
                               "See the line of load balancers")  # fmt: skip
            elif not said:
                yield bad(f"{asked} has no {kind} record at {at}", deploy)
            elif said != values:
                yield bad(f"{asked} is {few(sorted(said))} at {at}, and not {few(sorted(values))}", deploy)
        yield from _caa(look, at, server)
    except CannotAskError as error:
        yield not_seen(f"{at}: {error}", "Run the check where port 53 is let out")
        return
    yield good(f"{len(wanted)} names and CAA are right at {at}")


def _caa(look: Look, at: str, server: Server) -> Iterator[Finding]:
    domain = look.plan.edge.base_domain
    found = ask(domain, "CAA", server).values
    wanted = {f'0 {tag} "{AUTHORITY}"' for tag in CAA_TAGS}
    said = {value.replace(f'{AUTHORITY}."', f'{AUTHORITY}"') for value in found}
    if said != wanted:
        yield bad(
            f"{domain} has the CAA records {few(sorted(said)) or 'none'} at {at}, and not {few(sorted(wanted))}",
            f"Deploy: presence360 plan {look.name}",
        )


def balancer_address(look: Look, name: str) -> str:
    """Return a load balancer's address.

    Raises:
        NotSeenError: there is none.
    """
    found = look.balancers.get(name)
    if not found or not found.get("ip"):
        raise NotSeenError(f"the load balancer {name} has no address", "See the line of load balancers")
    return str(found["ip"])
