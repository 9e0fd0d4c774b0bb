"""`tenants.yaml`: the churches of one environment."""

import re
import uuid
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field, StringConstraints

from model.choices import OneOf
from model.environment import CellName, PostgresCluster, TenantLimits
from model.errors import Findings, shown
from model.generations import ONE_GENERATION, Database, check_generations, key_of
from model.naming import FIRST_GENERATION, queue_prefix
from model.schema import Schema, Text
from model.services import PLATFORM_HOSTS
from model.tenancy import Guard, Homes, Status, Tier

# Names that the platform uses or will want, or that mislead a church's members. A tenant's slug is a host name
# beside them.
RESERVED_SLUGS = PLATFORM_HOSTS | {
    "auth", "billing", "blog", "cdn", "dev", "docs", "help", "login", "mail", "metrics", "ns1", "ns2", "ns3",
    "presence360", "production", "smtp", "staging", "static", "status", "support", "test", "www",
    # Names that programs look up by themselves or trust: mail clients and proxies (RFC 6186, RFC 8461, WPAD),
    # a machine's
    # own name (RFC 6761), and the mailboxes that prove who has a domain (RFC 2142; CA/Browser Forum, Baseline
    # Requirements, 3.2.2.4.4).
    "abuse", "administrator", "autoconfig", "autodiscover", "broadcasthost", "ftp", "hostmaster", "imap", "invalid",
    "isatap", "local", "localdomain", "localhost", "mta-sts", "mx", "noc", "ns", "openpgpkey", "pop", "pop3",
    "postmaster", "root", "security", "webmail", "webmaster", "wpad",
    # Programs beside the platform that will want a host name.
    "alertmanager", "dashboards", "database", "git", "grafana", "internal", "logs", "monitoring", "postgres",
    "prometheus", "registry", "sso", "valkey", "vpn",
}  # fmt: skip

# RFC 1035, section 2.3.1 (with RFC 1123's leading digit): a DNS label.
SLUG_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
QUEUE_PREFIX_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?$"
# The canonical text form of RFC 9562, section 4, in lower case; the nil and max ids are refused by the version.
UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"

MOVE_RUNBOOK = "docs/runbooks/move-to-dedicated.md"

# One rotation at a time is one kept generation; the second is for a rotation that cannot wait for the first to end.
MAX_KEPT_GENERATIONS = 2


class Credentials(Schema):
    """Which generation of a tenant's database credentials is in use: each is a user of its own."""

    generation: int = Field(
        default=FIRST_GENERATION,
        ge=FIRST_GENERATION,
        # tenant_<uuid>_g<n> stays below Postgres's 63 bytes by far.
        le=99_999,
        description="The number of the user whose credentials are published. Raise it by one to rotate: "
        "`presence360 tenant rotate`.",
    )
    keep: tuple[int, ...] = Field(
        default=(),
        description="Earlier generations whose users are kept until every service uses the new one. The users "
        "of all others are removed.",
    )


class DedicatedCluster(PostgresCluster):
    """A Postgres cluster that one tenant has to itself."""

    retired: bool = Field(
        default=False,
        description="Only with `tier: shared`: removes the cluster's protection, so that a later change can remove the "
        "cluster.",
    )


class Tenant(Schema):
    """A church."""

    id: Annotated[str, StringConstraints(pattern=UUID_PATTERN)] = Field(
        description="A version 1-8 UUID in lower case that never changes: it names the tenant's database. "
        "Leave it out once and `make synth` shows a fresh one to paste."
    )
    slug: Annotated[str, StringConstraints(pattern=SLUG_PATTERN)] = Field(
        description="The tenant's host name below the base domain: 1 to 63 of a-z, 0-9 and hyphens without a "
        "hyphen at either end, unique, and not a name the platform uses. It may change."
    )
    name: Text = Field(description="The church's name as people write it.")
    status: Annotated[Status, OneOf(Status)] = Field(
        default=Status.ACTIVE,
        description="suspended: its host answers 503 and its credentials are withdrawn; its data is kept. "
        "retired: its host answers 410 and its users are removed; its database is kept without protection, "
        "and removing "
        "the entry drops it.",
    )
    tier: Annotated[Tier, OneOf(Tier)] = Field(
        default=Tier.SHARED,
        description="Where the database that it uses is: in its cell's cluster, or in its own cluster, which "
        "`dedicated` "
        "describes.",
    )
    dedicated: DedicatedCluster | None = Field(
        default=None,
        description="The tenant's own Postgres cluster. With `tier: shared` it is created and not used yet: "
        "docs/runbooks/move-to-dedicated.md.",
    )
    shared_copy: Annotated[Guard, OneOf(Guard)] | None = Field(
        default=None,
        description="Only with `tier: dedicated`, after a move: the old database in its cell's cluster. kept: "
        "protected. "
        "retired: not protected, and removing this line drops it.",
    )
    cell: CellName | None = Field(
        default=None,
        description="The cell that holds its data, one of `postgres.cells` of environment.yaml. Without it, the "
        "environment's own cluster. It can never be changed.",
    )
    limits: TenantLimits = Field(
        default=TenantLimits(),
        description="Limits that differ from the environment's.",
    )
    credentials: Credentials = Field(
        default=Credentials(),
        description="Which generation of its database credentials is in use. Without it, the first.",
    )
    database: Database = Field(
        default=ONE_GENERATION,
        description="Which generation of its database is served, and which is beside it while a dump is restored: "
        "`presence360 restore`. Without it, the first.",
    )
    queue_prefix: Annotated[str, StringConstraints(pattern=QUEUE_PREFIX_PATTERN)] | None = Field(
        default=None,
        description="What its queues' and caches' names begin with in Valkey, before a colon: 1 to 60 of a-z, 0-9 and "
        "hyphens, unique. Without it, it is made from the id.",
    )

    maintenance: bool = Field(
        default=False,
        description="Whether the church is closed for a while: its host answers 503 and its tasks wait. Unlike "
        "`status: suspended`, its credentials and users stay (docs/maintenance.md).",
    )

    @property
    def database_key(self) -> str:
        """The key of the database that is served: its users have it in their names."""
        return key_of(self.id, self.database)

    @property
    def served(self) -> bool:
        """Whether it has credentials and users: neither suspended nor retired."""
        return self.status is Status.ACTIVE

    @property
    def homes(self) -> Homes:
        """Where its data is."""
        shared: Guard | None = self.shared_copy if self.tier is Tier.DEDICATED else Guard.KEPT
        dedicated: Guard | None = None
        if self.dedicated:
            dedicated = Guard.RETIRED if self.dedicated.retired else Guard.KEPT
        if self.status is Status.RETIRED:
            shared, dedicated = shared and Guard.RETIRED, dedicated and Guard.RETIRED
        return Homes(shared, dedicated)


class TenantsFile(Schema):
    """The tenants of one environment."""

    tenants: tuple[Tenant, ...] = Field(description="One entry for each church, in any order.")


def check_tenants(entries: Iterable[tuple[int, Tenant]], findings: Findings) -> None:
    """Find what no single entry can show: what is written twice, and what the platform keeps for itself.

    Args:
        entries: the entries that are right by themselves, with their places in the file.
        findings: where to add what is found.
    """
    first_with_id: dict[str, tuple[int, Tenant]] = {}
    first_with_slug: dict[str, tuple[int, Tenant]] = {}
    first_with_prefix: dict[str, Tenant] = {}
    for index, tenant in entries:
        place, earlier = first_with_id.setdefault(tenant.id, (index, tenant))
        if place != index:
            findings.add(
                ("tenants", index, "id"),
                f"tenants[{place}] ({earlier.slug}) already has the id {shown(tenant.id)}",
                f"Two tenants would share one database. Give the new one another id, such as {fresh_id()}",
            )
        place, earlier = first_with_slug.setdefault(tenant.slug, (index, tenant))
        if place != index:
            findings.add(
                ("tenants", index, "slug"),
                f"tenants[{place}] ({earlier.name}) already has the slug {shown(tenant.slug)}",
                "Choose another: two tenants cannot have the same host name.",
            )
        _check_credentials(index, tenant.credentials, findings)
        _check_homes(index, tenant, findings)
        check_generations(index, tenant, findings)
        prefix = queue_prefix(tenant.id, tenant.queue_prefix)
        other = first_with_prefix.setdefault(prefix, tenant)
        # Two entries with one id have one prefix too; that they have one id is reported already.
        if other.id != tenant.id:
            findings.add(
                ("tenants", index, "queue_prefix") if tenant.queue_prefix else ("tenants", index),
                f"{other.slug} already uses the queue prefix {shown(prefix)}",
                "Choose another `queue_prefix`, or leave it out: two tenants would read each other's queues.",
            )
        if tenant.slug[2:4] == "--":
            findings.add(
                ("tenants", index, "slug"),
                f"{shown(tenant.slug)} has hyphens as its third and fourth characters, which mark encoded names "
                f"(RFC 5891)",
                "Choose another, without `--` there: browsers would show other letters than these.",
            )
        if tenant.slug in RESERVED_SLUGS:
            findings.add(
                ("tenants", index, "slug"),
                f"{shown(tenant.slug)} is reserved for the platform",
                f"Choose another. Reserved: {', '.join(sorted(RESERVED_SLUGS))}.",
            )


def _check_homes(index: int, tenant: Tenant, findings: Findings) -> None:
    path = ("tenants", index)
    if tenant.tier is Tier.DEDICATED and tenant.dedicated is None:
        findings.add(
            (*path, "tier"),
            "the tier is 'dedicated', but `dedicated` does not describe its cluster",
            'For a new church, add `dedicated: {size: db-s-2vcpu-4gb, nodes: 2, version: "17", maintenance: {...}}`. '
            f"For one that has data, write `tier: shared` and begin with step 1 of {MOVE_RUNBOOK}.",
        )
    if tenant.tier is Tier.SHARED and tenant.shared_copy:
        findings.add(
            (*path, "shared_copy"),
            "with `tier: shared` the shared database is in use, so there is no copy of it",
            "Remove it: it is only for `tier: dedicated`.",
            at_key=True,
        )
    if tenant.tier is Tier.DEDICATED and tenant.dedicated and tenant.dedicated.retired:
        findings.add(
            (*path, "dedicated", "retired"),
            "this tenant uses the dedicated cluster",
            "Remove it. To retire the tenant with its cluster, write `status: retired`.",
            at_key=True,
        )


def _check_credentials(index: int, credentials: Credentials, findings: Findings) -> None:
    path = ("tenants", index, "credentials", "keep")
    if len(credentials.keep) > MAX_KEPT_GENERATIONS:
        findings.add(
            path,
            f"{len(credentials.keep)} generations are kept; at most {MAX_KEPT_GENERATIONS} are allowed",
            "Remove those that no service uses any more: each is a password that could be stolen.",
        )
    for position, kept in enumerate(credentials.keep):
        if not FIRST_GENERATION <= kept < credentials.generation:
            findings.add(
                (*path, position),
                f"{kept} is not an earlier generation than {credentials.generation}",
                f"Keep numbers from {FIRST_GENERATION} to {credentials.generation - 1} only."
                if credentials.generation > FIRST_GENERATION
                else "Remove it: no generation is earlier than the first. To rotate, raise `generation`.",
            )
        if kept in credentials.keep[:position]:
            findings.add((*path, position), f"{kept} is listed twice", "Remove one of the two.")


def fresh_id() -> str:
    """Return a new id for an operator to paste; nothing that is synthesized ever contains one."""
    return str(uuid.uuid4())


def is_tenant_id(text: str) -> bool:
    """Tell whether a text is a tenant's id in canonical form."""
    return re.fullmatch(UUID_PATTERN, text) is not None
