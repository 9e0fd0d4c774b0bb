"""Names lead to resources that exist, and only the certificate authority in use may certify them."""

from collections import Counter
from collections.abc import Iterator

from policies.policy import Section, Severity, each, whole_stack
from policies.stack import Resource, Stack
from policies.values import is_literal, is_set, items, number

ZONE, RECORD = "digitalocean_domain", "digitalocean_record"
SHORTEST, LONGEST = 30, 86_400
"""Seconds. DigitalOcean takes no TTL below 30 (docs/digitalocean.md); after a day a mistake is still there tomorrow."""
ADDRESSES = ("A", "AAAA")
ABSOLUTE = ("CNAME", "MX", "NS", "SRV", "CAA")
"""Types whose value has to end in a dot, or every plan shows a difference (docs/digitalocean.md)."""


def zone_names(stack: Stack) -> set[str]:
    """Return the names of the zones that a stack makes or finds."""
    return {str(zone["name"]) for zone in (*stack.of(ZONE), *stack.data(ZONE))}


def zone_of(record: Resource, stack: Stack) -> str:
    """Return the name of a record's zone."""
    found = stack.follow(record["domain"])
    return str(found[0]["name"]) if found else str(record["domain"])


def host_of(record: Resource, stack: Stack) -> str:
    """Return the whole name of a record."""
    name, zone = str(record["name"]), zone_of(record, stack)
    return zone if name == "@" else f"{name}.{zone}"


def addresses(stack: Stack) -> list[Resource]:
    """Return the records that name an address."""
    return [record for record in stack.of(RECORD) if record["type"] in ADDRESSES]


@each(
    ZONE, 62, Severity.HIGH, "Zones leave their addresses to records",
    "Remove ip_address: DigitalOcean makes a record of it that Terraform never sees again.",
    section=Section.DNS,
)  # fmt: skip
def no_address(zone: Resource) -> Iterator[str]:
    """Each record is in the state."""
    if zone["ip_address"]:
        yield "remove ip_address, and write a digitalocean_record"


@whole_stack(
    63, Severity.MEDIUM, "Each zone says which authority may certify it",
    "Write CAA records at @ with the tags issue and issuewild.",
    section=Section.DNS,
)  # fmt: skip
def caa(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """No other authority makes a certificate for a stranger."""
    for zone in stack.of(ZONE):
        tags = {
            record["tag"]
            for record in stack.of(RECORD)
            if record["type"] == "CAA" and record["name"] == "@" and zone_of(record, stack) == zone["name"]
        }
        yield (
            zone,
            [
                f"write a CAA record at @ with the tag {tag}"
                for tag in ("issue", "issuewild")
                if tag not in tags
            ],
        )


@each(
    RECORD, 64, Severity.LOW, "Records have a TTL that is neither too short nor too long",
    "Set ttl between 30 s, the least that DigitalOcean takes, and a day.",
    section=Section.DNS,
)  # fmt: skip
def ttl(record: Resource) -> Iterator[str]:
    """A mistake is gone the same day."""
    seconds = number(record["ttl"])
    if seconds is None or not SHORTEST <= seconds <= LONGEST:
        yield f"ttl is {record['ttl']}; set {SHORTEST} to {LONGEST:,} seconds"


@whole_stack(
    65, Severity.HIGH, "No record dangles",
    "Refer to the resource that has the address: one written out belongs to a stranger once it is given back.",
    section=Section.DNS,
)  # fmt: skip
def no_dangling(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """An address that is gone takes its record with it."""
    known = {
        str(one[name]) for one in stack.resources.values() for name in ("ip", "ipv4_address", "ip_address")
    }
    for record in addresses(stack):
        value = record["value"]
        fine = bool(stack.follow(value)) or (is_literal(value) and value in known)
        yield record, [] if fine else [f"value is {value!r}; refer to the resource that has this address"]


@whole_stack(
    66, Severity.HIGH, "No record hides another",
    "Write each name once for each type, nothing beside a CNAME, and nothing below a name that NS records delegate.",
    section=Section.DNS,
)  # fmt: skip
def no_shadowed(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """Every record is the one that is answered."""
    records = stack.of(RECORD)
    hosts = {record.address: host_of(record, stack) for record in records}
    same = Counter(
        (hosts[record.address], record["type"], record["tag"], record["value"]) for record in records
    )
    aliases = {hosts[record.address] for record in records if record["type"] == "CNAME"}
    delegated = {
        hosts[record.address] for record in records if record["type"] == "NS" and record["name"] != "@"
    }
    for record in records:
        host, problems = hosts[record.address], []
        if same[host, record["type"], record["tag"], record["value"]] > 1:
            problems.append(f"{host} has this record twice")
        if host in aliases and record["type"] != "CNAME":
            problems.append(f"{host} is a CNAME, and may have nothing else")
        below = [zone for zone in delegated if host.endswith(f".{zone}")]
        at = host in delegated and record["type"] not in ("NS", "DS")
        if below or at:
            problems.append(f"{host} is delegated away by NS records: this record is never answered")
        yield record, problems


@each(
    RECORD, 67, Severity.LOW, "Names in records end in a dot",
    "End the value of CNAME, MX, NS, SRV and CAA records in a dot, or every plan shows a difference.",
    section=Section.DNS,
)  # fmt: skip
def absolute(record: Resource) -> Iterator[str]:
    """What is planned is what is stored."""
    value = record["value"]
    if record["type"] in ABSOLUTE and is_literal(value) and not value.endswith(".") and value != "@":
        yield f"value is {value!r}; write {value}."


@whole_stack(
    68, Severity.HIGH, "Every name that leads to a load balancer is certified",
    "List the name, or a wildcard for it, in the domains of a digitalocean_certificate.",
    section=Section.DNS,
)  # fmt: skip
def certified(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """No browser warns."""
    domains = {domain for one in stack.of("digitalocean_certificate") for domain in items(one["domains"])}
    for record in addresses(stack):
        if any(one.type == "digitalocean_loadbalancer" for one in stack.follow(record["value"])):
            host = host_of(record, stack)
            fine = host in domains or f"*.{host.partition('.')[2]}" in domains
            yield record, [] if fine else [f"no certificate has {host}"]


@each(
    RECORD, 69, Severity.MEDIUM, "Records are in a zone that is made or found here",
    "Refer to a digitalocean_domain.",
    section=Section.DNS,
)  # fmt: skip
def in_zone(record: Resource, stack: Stack) -> Iterator[str]:
    """A record is made after its zone, and never in a stranger's."""
    if not is_set(record["domain"]) or zone_of(record, stack) not in zone_names(stack):
        yield f"domain {record['domain']!r} is no zone of this stack"
