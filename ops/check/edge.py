"""The load balancers: there, with a valid certificate, a redirect, no old TLS; and what answers through them."""

import secrets
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import urlsplit

from model.access import HEALTH_PATH
from model.services import WATCHDOG_PATH, WILDCARD
from model.tenancy import Status
from ops.api_client import ApiError, Client
from ops.check.finding import Finding, NotSeenError, bad, good, not_seen, soon
from ops.check.look import Look
from ops.check.names import balancer_address
from ops.check.world import NoTlsError
from ops.digitalocean import Api, Droplet
from ops.load_balancer_health import missing_health
from ops.waiting import CannotTellError, TryAgainError

SOON_DAYS = 21
"""DigitalOcean renews Let's Encrypt's certificates 30 days before their end: what is later did not work."""
LAST_DAYS = 7
DAY = 86_400.0
READERS = 8


def balancers(look: Look) -> Iterator[Finding]:
    """Each load balancer is active, redirects, takes strong ciphers alone, and its certificate covers all names."""
    certificates = {str(one["id"]): one for one in look.all("/v2/certificates", "certificates")}
    deploy = f"Deploy: presence360 plan {look.name}"
    for wanted in look.plan.edge.load_balancers:
        found = look.balancers.get(wanted.name)
        if found is None:
            yield bad(f"there is no load balancer {wanted.name}", deploy)
            continue
        if found["status"] != "active":
            yield bad(
                f"{wanted.name} is {found['status']}", "Look at it in the control panel under Networking"
            )
        if found.get("redirect_http_to_https") is not True:
            yield bad(f"{wanted.name} does not redirect http", deploy)
        if found.get("tls_cipher_policy") != "STRONG":
            yield bad(
                f"{wanted.name} has the cipher policy {found.get('tls_cipher_policy')}, not STRONG", deploy
            )
        used = {
            str(rule.get("certificate_id"))
            for rule in found["forwarding_rules"]
            if rule.get("certificate_id")
        }
        covered = {str(name) for one in used for name in certificates.get(one, {}).get("dns_names") or ()}
        if missing := sorted(set(look.plan.edge.certificate_domains) - covered):
            yield bad(f"the certificate of {wanted.name} is not for {', '.join(missing)}", deploy)
        for state in {str(certificates.get(one, {}).get("state")) for one in used} - {"verified"}:
            yield bad(
                f"the certificate of {wanted.name} is {state}", "docs/ci.md, After an interrupted deploy"
            )
        yield good(f"{wanted.name} is active at {found.get('ip')}")


def certificates(look: Look) -> Iterator[Finding]:
    """The certificate with which each name is answered: chain, name, days left."""

    def one(name: str, address: str) -> Finding:
        try:
            found = look.world.certificate(address, name)
        except ssl.SSLCertVerificationError as error:
            return bad(
                f"{name}: the certificate is not valid: {error.verify_message}",
                "Look at the certificate in the control panel under Networking, Certificates, and plan again",
            )
        days = (found.not_after - look.now) / DAY
        until = f"{datetime.fromtimestamp(found.not_after, UTC):%Y-%m-%d}"
        renew = "The renewal did not work: see the certificate in the control panel, and the CAA records of the zone"
        if days < LAST_DAYS:
            return bad(f"{name}: the certificate ends on {until}", renew)
        if days < SOON_DAYS:
            return soon(f"{name}: the certificate ends on {until}, and is not renewed", renew)
        return good(f"{name}: valid until {until}")

    yield from _each(look, one)


def redirects(look: Look) -> Iterator[Finding]:
    """Each name answers http with a redirect to https."""

    def one(name: str, address: str) -> Finding:
        status, location = look.world.answer(address, name, HEALTH_PATH, secure=False)
        if 300 <= status < 400 and _is_https_of(location, name):  # noqa: PLR2004
            return good(f"{name}: http answers {status} to https")
        return bad(
            f"http://{name} answers {status}{f' to {location}' if location else ''}, and not with a redirect to https",
            f"Deploy: presence360 plan {look.name}",
        )

    yield from _each(look, one)


def _is_https_of(location: str, name: str) -> bool:
    """Tell whether a redirect stays at the name; one that only begins like it is somebody else's."""
    try:
        found = urlsplit(location)
        return (found.scheme, found.hostname, found.port or 443) == ("https", name.lower(), 443)
    except ValueError:
        return False


def old_tls(look: Look) -> Iterator[Finding]:
    """A client with TLS 1.0 and 1.1 alone is refused."""

    def one(name: str, address: str) -> Finding:
        try:
            taken = look.world.takes_old_tls(address, name)
        except NoTlsError as error:
            return bad(str(error), "See the lines of load balancers and of networks")
        if taken:
            return bad(f"{name} takes TLS 1.0 or 1.1", f"Deploy: presence360 plan {look.name}")
        return good(f"{name} refuses TLS 1.0 and 1.1")

    yield from _each(look, one)


def answers(look: Look) -> Iterator[Finding]:
    """Each public name answers 200 to its health path over HTTPS; of the wildcard, an active church's."""
    active = [one.slug for one in look.environment.tenants if one.status is Status.ACTIVE]
    served = [one.slug for one in look.environment.tenants if one.slug in active and not one.maintenance]
    closed = look.environment.file.maintenance

    def one(name: str, address: str) -> Finding:
        status, _ = look.world.answer(address, name, HEALTH_PATH)
        if status == 200:  # noqa: PLR2004
            return good(f"https://{name}{HEALTH_PATH} answers 200")
        if closed and status == 503:  # noqa: PLR2004
            return soon(f"https://{name}{HEALTH_PATH} answers 503: the environment is in maintenance",
                        f"End it: presence360 maintenance {look.name} off")  # fmt: skip
        return bad(f"https://{name}{HEALTH_PATH} answers {status}", f"presence360 status {look.name}")

    if active and not served:
        yield not_seen(
            "each active church is in maintenance, so that none answers",
            f"End it for one: presence360 maintenance {look.name} off --tenant ...",
        )
    yield from _each(look, one, wildcard=served[0] if served else None)


def watchdog(look: Look) -> Iterator[Finding]:
    """The path that says whether alerts arrive."""
    observability = look.plan.observability
    if observability is None:
        yield bad(
            "nobody is told of anything", "Add `observability:` to environment.yaml (docs/observability.md)"
        )
        return
    _, host = observability.watchdog
    balancer = next(one for one in look.plan.edge.load_balancers if host in one.fqdns)
    try:
        status, _ = look.world.answer(balancer_address(look, balancer.name), host, WATCHDOG_PATH)
    except OSError as error:
        yield bad(
            f"https://{host}{WATCHDOG_PATH} does not answer: {error}", f"presence360 status {look.name}"
        )
        return
    if status == 200:  # noqa: PLR2004
        yield good(f"https://{host}{WATCHDOG_PATH} answers 200: alerts arrived within 5 minutes")
    else:
        yield bad(
            f"https://{host}{WATCHDOG_PATH} answers {status}: alerts do not arrive", "docs/observability.md"
        )


def health(look: Look) -> Iterator[Finding]:
    """Each load balancer finds its droplets healthy."""
    tags = look.plan.network.group_tags
    api = Api(Client.of(look.environ))
    for wanted in look.plan.edge.load_balancers:
        found = look.balancers.get(wanted.name)
        if found is None:
            yield not_seen(f"there is no load balancer {wanted.name}", "See the line of load balancers")
            continue
        try:
            series = api.health(str(found["id"]), look.now)
        except (CannotTellError, TryAgainError, ApiError) as error:
            yield not_seen(f"{wanted.name}: {error}", "Give the token the scope monitoring:read (docs/ci.md)")
            continue
        droplets = [one for one in look.droplets if tags[wanted.group] in one["tags"]]
        for one in droplets:
            v4 = (one.get("networks") or {}).get("v4") or ()
            droplet = Droplet(
                str(one["id"]), str(one["name"]), "", tuple(str(net["ip_address"]) for net in v4)
            )
            if reason := missing_health(series, droplet):
                yield bad(f"{wanted.name}, {droplet.name}: {reason}", f"presence360 status {look.name}")
        if droplets:
            yield good(f"{wanted.name} finds its {len(droplets)} droplets healthy")
        else:
            yield bad(f"{wanted.name} has no droplet", f"Deploy: presence360 plan {look.name}")


def _each(look: Look, one: Callable[[str, str], Finding], *, wildcard: str | None = "") -> Iterator[Finding]:
    """Look at every name at its load balancer; `wildcard` stands for any tenant's: "" makes a name that nobody has."""
    work: list[tuple[str, str]] = []
    for balancer in look.plan.edge.load_balancers:
        try:
            address = balancer_address(look, balancer.name)
        except NotSeenError as error:
            yield error.finding
            continue
        for name in balancer.fqdns:
            if WILDCARD in name and wildcard is None:
                continue
            label = wildcard or f"check-{secrets.token_hex(4)}"
            work.append((name.replace(WILDCARD, label), address))

    def careful(name: str, address: str) -> Finding:
        try:
            return one(name, address)
        except NotSeenError as error:
            return error.finding
        except OSError as error:
            return bad(f"{name} ({address}) does not answer: {error}", f"presence360 status {look.name}")

    with ThreadPoolExecutor(READERS) as pool:
        yield from pool.map(lambda found: careful(*found), work)
