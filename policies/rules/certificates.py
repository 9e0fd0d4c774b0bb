"""Certificates renew themselves, are replaced without a gap, and no plan shows a difference that is not there."""

from collections.abc import Iterator

from policies.policy import WRITTEN, Section, Severity, each
from policies.rules.dns import zone_names
from policies.stack import Resource, Stack
from policies.values import is_literal, is_set, is_true, items

CERTIFICATE = "digitalocean_certificate"


def _domains(certificate: Resource) -> list[str]:
    return [domain for domain in items(certificate["domains"]) if is_set(domain)]


@each(
    CERTIFICATE, 9, Severity.HIGH, "Certificates are replaced without a gap",
    "Set lifecycle.create_before_destroy = true: every argument forces replacement, and one in use cannot be deleted.",
    section=Section.LOAD_BALANCER, shapes=WRITTEN,
)  # fmt: skip
def without_a_gap(certificate: Resource) -> Iterator[str]:
    """The new one is there before the old one goes."""
    if not is_true(certificate.lifecycle.get("create_before_destroy")):
        yield "set lifecycle.create_before_destroy = true"


@each(
    CERTIFICATE, 24, Severity.HIGH, "Certificates renew themselves",
    "Set type = lets_encrypt; a certificate that somebody uploads ends on a day on which nobody thinks of it.",
    section=Section.LOAD_BALANCER,
)  # fmt: skip
def lets_encrypt(certificate: Resource) -> Iterator[str]:
    """DigitalOcean renews it."""
    if certificate["type"] != "lets_encrypt":
        yield f"type is {certificate['type']!r}; use lets_encrypt, which renews itself"


@each(
    CERTIFICATE, 25, Severity.MEDIUM, "Certificates list the base domain beside a wildcard",
    "List example.com beside *.example.com, or every plan shows a difference (provider issue 928).",
    section=Section.DNS,
)  # fmt: skip
def base_domain(certificate: Resource) -> Iterator[str]:
    """The list is what DigitalOcean makes of it."""
    domains = _domains(certificate)
    if not domains:
        yield "list its domains"
    for domain in domains:
        if domain.startswith("*.") and domain.removeprefix("*.") not in domains:
            yield f"list {domain.removeprefix('*.')} beside {domain}"


@each(
    CERTIFICATE, 26, Severity.MEDIUM, "Certificates are of zones that are here",
    "Make the zone with digitalocean_domain, or find it: Let's Encrypt needs it in DigitalOcean's DNS.",
    section=Section.DNS,
)  # fmt: skip
def in_a_zone(certificate: Resource, stack: Stack) -> Iterator[str]:
    """DigitalOcean can prove the domain."""
    zones = zone_names(stack)
    for domain in _domains(certificate):
        name = domain.removeprefix("*.")
        if is_literal(name) and not any(name == zone or name.endswith(f".{zone}") for zone in zones):
            yield f"{domain} is in no zone of this stack"
