"""Load balancers use TLS on both sides, find their droplets by tag, and take a sick one out soon."""

from collections.abc import Iterator

from policies.policy import Section, Severity, each
from policies.stack import Resource
from policies.values import Block, block, blocks, is_set, is_true, number

BALANCER = "digitalocean_loadbalancer"
TLS_ENTRIES = ("https", "http2", "http3")
TLS_TARGETS = ("https", "http2")
LONGEST_SECONDS = 60
"""Until a droplet that does not answer has no requests any more."""


def _rules(balancer: Resource) -> list[tuple[str, Block]]:
    return [
        (f"forwarding_rule {rule.get('entry_protocol')}:{rule.get('entry_port')}", rule)
        for rule in blocks(balancer.body, "forwarding_rule")
    ]


@each(
    BALANCER, 5, Severity.CRITICAL, "Load balancers take HTTPS from clients",
    "Write an https forwarding_rule, and no tcp or udp one, which passes what it gets without TLS being ended here.",
    section=Section.LOAD_BALANCER,
)  # fmt: skip
def https_only(balancer: Resource) -> Iterator[str]:
    """Clients speak TLS."""
    rules = _rules(balancer)
    if not any(rule.get("entry_protocol") in TLS_ENTRIES for _, rule in rules):
        yield "has no https forwarding_rule"
    for where, rule in rules:
        if rule.get("entry_protocol") not in (*TLS_ENTRIES, "http"):
            yield f"{where}: entry_protocol must be one of http, https, http2, http3"


@each(
    BALANCER, 15, Severity.HIGH, "Load balancers redirect plain HTTP to HTTPS",
    "Set redirect_http_to_https = true, so that no password is ever sent in the clear.",
    section=Section.LOAD_BALANCER,
)  # fmt: skip
def redirect(balancer: Resource) -> Iterator[str]:
    """Plain HTTP is answered with the HTTPS address."""
    if not is_true(balancer["redirect_http_to_https"]):
        yield "set redirect_http_to_https = true"


@each(
    BALANCER, 16, Severity.MEDIUM, "Load balancers take strong ciphers only",
    "Set tls_cipher_policy = STRONG; the default keeps ciphers for clients that no browser has been for years.",
    section=Section.LOAD_BALANCER,
)  # fmt: skip
def strong_ciphers(balancer: Resource) -> Iterator[str]:
    """Old ciphers are refused."""
    if balancer["tls_cipher_policy"] != "STRONG":
        yield "set tls_cipher_policy = STRONG"


@each(
    BALANCER, 17, Severity.HIGH, "Load balancers speak TLS to droplets",
    "Set target_protocol to https or http2: a private network is shared by everything that is in it.",
    section=Section.NETWORK,
)  # fmt: skip
def tls_to_backends(balancer: Resource) -> Iterator[str]:
    """No backend is spoken to in plain HTTP."""
    for where, rule in _rules(balancer):
        if rule.get("target_protocol") not in TLS_TARGETS:
            yield f"{where}: target_protocol is {rule.get('target_protocol')!r}; use https or http2"


@each(
    BALANCER, 18, Severity.HIGH, "Load balancers ask droplets at a path made for it",
    "Set healthcheck with protocol https and a path of its own: a front page may answer while the service cannot work.",
    section=Section.LOAD_BALANCER,
)  # fmt: skip
def health_path(balancer: Resource) -> Iterator[str]:
    """A health check is HTTPS, and asks for more than a front page."""
    health = block(balancer.body, "healthcheck")
    if health.get("protocol") != "https":
        yield "set healthcheck with protocol = https"
    if not is_set(health.get("path")) or health.get("path") == "/":
        yield "set healthcheck.path to a path that tells whether the service works"


@each(
    BALANCER, 19, Severity.HIGH, "Load balancers name certificates, and not their ids",
    "Set certificate_name: the id of a certificate changes at every renewal, and its name does not.",
    section=Section.LOAD_BALANCER,
)  # fmt: skip
def certificate_by_name(balancer: Resource) -> Iterator[str]:
    """A renewal changes nothing here."""
    for where, rule in _rules(balancer):
        if rule.get("entry_protocol") in TLS_ENTRIES and not is_set(rule.get("certificate_name")):
            yield f"{where}: set certificate_name"
        if rule.get("certificate_id"):
            yield f"{where}: certificate_id changes at every renewal; use certificate_name"


@each(
    BALANCER, 20, Severity.HIGH, "Load balancers are in a VPC that is named",
    "Set vpc_uuid: without it a load balancer is in the region's default VPC, beside everything else of the account.",
    section=Section.NETWORK,
)  # fmt: skip
def in_vpc(balancer: Resource) -> Iterator[str]:
    """It reaches droplets over their private network."""
    if not is_set(balancer["vpc_uuid"]):
        yield "set vpc_uuid"


@each(
    BALANCER, 21, Severity.HIGH, "Load balancers find droplets by tag",
    "Set droplet_tag and remove droplet_ids: a list of ids is wrong as soon as a droplet is replaced.",
    section=Section.LOAD_BALANCER,
)  # fmt: skip
def by_tag(balancer: Resource) -> Iterator[str]:
    """A new droplet is found without an edit."""
    if not is_set(balancer["droplet_tag"]) or balancer["droplet_ids"]:
        yield "name the backends by droplet_tag, not by droplet_ids"


@each(
    BALANCER, 22, Severity.MEDIUM, "Load balancers leave DNS records to Terraform",
    "Set disable_lets_encrypt_dns_records = true where Terraform makes the records, or each undoes the other's.",
    section=Section.DNS,
)  # fmt: skip
def no_records(balancer: Resource) -> Iterator[str]:
    """One owner of each record."""
    if not is_true(balancer["disable_lets_encrypt_dns_records"]):
        yield "set disable_lets_encrypt_dns_records = true: Terraform owns the records"


@each(
    BALANCER, 23, Severity.MEDIUM, "A droplet that does not answer has no requests within a minute",
    "Write check_interval_seconds and unhealthy_threshold, so that their product is at most 60 s.",
    section=Section.LOAD_BALANCER,
)  # fmt: skip
def out_soon(balancer: Resource) -> Iterator[str]:
    """The interval times the threshold is bounded."""
    health = block(balancer.body, "healthcheck")
    interval, threshold = (
        number(health.get("check_interval_seconds")),
        number(health.get("unhealthy_threshold")),
    )
    if not interval or not threshold:
        yield "write healthcheck.check_interval_seconds and unhealthy_threshold as numbers"
    elif interval * threshold > LONGEST_SECONDS:
        yield f"a sick droplet keeps its requests for {interval * threshold} s; {LONGEST_SECONDS} s at most"
