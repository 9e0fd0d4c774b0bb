"""`environment.yaml`: what one environment is made of, readable from top to bottom."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from model.accepted_losses import AcceptedLoss
from model.backups_file import Backups
from model.certificates import Certificates
from model.choices import OneOf
from model.ip_ranges import Region
from model.jobs import MIGRATING
from model.observability_file import Observability
from model.schema import Cidr, Cidr4, Label, Schema, Text
from model.services import ServiceName

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

DomainName = Annotated[
    str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$", max_length=200)
]
DropletSize = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*-[a-z0-9_-]*[a-z0-9]$")]
# Which sizes are sold is model/sold.py's to say. The memory must be spelled: connections follow from it.
DatabaseSize = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*-[0-9]+vcpu-[0-9]+gb(-[a-z0-9-]*[a-z0-9])?$")
]
# The provider compares the hour without seconds, so this form never shows a diff.
Hour = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
# OCI distribution specification 1.1, "Pulling manifests": a host, a port if need be, and a path. Docker takes a first
# part without a dot or a port for a name at Docker Hub, whose images anybody may have pushed (distribution/reference,
# "Grammar" and ParseNormalizedNamed): model/releases.py refuses it.
RegistryUrl = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{2,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$"
    ),
]
# The same section: what a tag and a SHA-256 digest look like.
Release = Annotated[
    str, StringConstraints(pattern=r"^(sha256:[0-9a-f]{64}|[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})$")
]
# POSIX.1-2017, section 8.1, says of portable names: upper case, digits and underscores.
VARIABLE_PATTERN = r"^[A-Z][A-Z0-9_]{0,62}$"
Variable = Annotated[str, StringConstraints(pattern=VARIABLE_PATTERN)]
# The environment's own stack is the first cell. The prefix keeps a cell's names apart from every other's.
CELL_PATTERN = r"^cell-([2-9]|[1-9][0-9]{1,2})$"
CellName = Annotated[str, StringConstraints(pattern=CELL_PATTERN)]
SettingValue = Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*$")]
PUBLIC_KEY_PATTERN = r"^[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}( [^\x00-\x1f\x7f]+)?$"
PublicKey = Annotated[str, StringConstraints(pattern=PUBLIC_KEY_PATTERN)]


class Network(Schema):
    """The private network and who may reach SSH."""

    ip_range: Cidr4 = Field(
        description="The VPC's range: private (RFC 1918), between /16 and /28, overlapping no range that DigitalOcean "
        "reserves or another environment uses. It can never be changed."
    )
    admin_cidrs: tuple[Cidr, ...] = Field(
        min_length=1,
        description="The only addresses that can reach SSH. No range may be wider than /24 (IPv4) or /48 (IPv6).",
    )
    ssh_keys: Mapping[Label, PublicKey] = Field(
        min_length=1,
        description="Administrators' public keys by name, in OpenSSH's one-line form. Droplets get them when they "
        "are created: a change replaces every droplet, one group after the other.",
    )


class Autoscale(Schema):
    """A pool of droplets that grows and shrinks with load."""

    # DigitalOcean API, autoscale_pools: 1-500 minimum, 1-1000 maximum, utilization 0.05-1.
    min: int = Field(ge=1, le=500, description="The smallest number of droplets.")
    max: int = Field(ge=1, le=1000, description="The largest number of droplets.")
    cpu: float = Field(
        ge=0.05, le=1, description="The average CPU use to aim for, as a fraction: 0.6 is 60 percent."
    )


class LoadBalancer(Schema):
    """The load balancer of a public group."""

    # DigitalOcean API, load_balancers: size_unit 1-100.
    size_units: int = Field(default=1, ge=1, le=100, description="How many nodes it has.")


class Group(Schema):
    """Droplets that all run the same services."""

    services: tuple[ServiceName, ...] = Field(
        description="The services that each of its droplets runs. Only the group of `observability` may say `[]`."
    )
    size: DropletSize = Field(description="The droplets' size, such as s-2vcpu-4gb.")
    replicas: int | None = Field(default=None, ge=1, le=20, description="A fixed number of droplets.")
    autoscale: Autoscale | None = Field(
        default=None, description="Instead of replicas: a pool that follows the load."
    )
    load_balancer: LoadBalancer | None = Field(
        default=None, description="Only for a public group. Without it, the load balancer has one node."
    )


class Maintenance(Schema):
    """When DigitalOcean may restart a cluster for updates."""

    day: Weekday = Field(description="The day of the week.")
    hour: Hour = Field(description='The hour in UTC, in quotes: "02:00".')


# Those of Postgres's own that are marked as trusted in 15, 16 and 17 (`trusted = true` in the control files): the owner
# of a database may make them without the provider (PostgreSQL documentation, "CREATE EXTENSION"). Each is also on
# DigitalOcean's list, compared by name on 2026-11-26 (tests/model/test_extensions.py has the list and its source).
# Procedural languages are left out: a tenant would run programs in the server. So is what reaches out of its database,
# such as dblink.
Extension = Literal[
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "dict_int",
    "fuzzystrmatch",
    "hstore",
    "intarray",
    "isn",
    "lo",
    "ltree",
    "pg_trgm",
    "pgcrypto",
    "seg",
    "tablefunc",
    "tcn",
    "tsm_system_rows",
    "tsm_system_time",
    "unaccent",
    "uuid-ossp",
]


class PostgresCluster(Schema):
    """A managed Postgres cluster."""

    size: DatabaseSize = Field(description="The size of each node, such as db-s-1vcpu-2gb. It can only grow.")
    nodes: int = Field(
        ge=1, le=3, description="1 has no standby; with 2 or 3 a standby takes over by itself."
    )
    # 14 and older are past their end of life (postgresql.org, "Versioning Policy").
    version: Literal["15", "16", "17"] = Field(
        description='The major version, in quotes: "17". It can only grow.'
    )
    maintenance: Maintenance = Field(description="When DigitalOcean may restart it.")


class Postgres(Schema):
    """The managed Postgres clusters and what lives where."""

    control_plane: Label = Field(description="The cluster that holds the database control_plane.")
    tenants: Label = Field(description="The cluster that holds the tenants' databases.")
    clusters: Mapping[Label, PostgresCluster] = Field(min_length=1, description="The clusters by name.")
    cells: Mapping[CellName, PostgresCluster] = Field(
        default={},
        description="Further cells: each is a Postgres cluster and a stack for at most 250 tenants, whose entries say "
        "`cell: cell-2`. The environment's own stack is the first cell.",
    )
    extensions: tuple[Extension, ...] = Field(
        default=(),
        description="Extensions that every tenant's database has, in its schema `extensions`. The isolation job makes "
        "them within a minute. One that is removed here stays in the databases that have it.",
    )
    overcommit: int = Field(
        default=1,
        ge=1,
        le=100,
        description="How many times the tenants' pools together may exceed the connections of their cluster: with 5, "
        "one church in five may be busy at the same moment. docs/connections.md says how to choose.",
    )
    databases_per_cluster: int = Field(
        default=300,
        ge=1,
        le=10_000,
        description="The largest number of databases in a cluster. DigitalOcean documents no limit; the "
        "default has been "
        "seen to work. Raise it with care.",
    )

    @property
    def cell_names(self) -> list[str]:
        """The names of the further cells, by their numbers."""
        return sorted(self.cells, key=lambda cell: int(cell.rpartition("-")[2]))


class Valkey(Schema):
    """The managed Valkey cluster: DigitalOcean's successor of managed Redis, and a drop-in for it."""

    size: DatabaseSize = Field(description="The size of each node, such as db-s-1vcpu-1gb. It can only grow.")
    nodes: int = Field(ge=1, le=3, description="1 has no standby.")
    maintenance: Maintenance = Field(description="When DigitalOcean may restart it.")


class DatabaseLogs(Schema):
    """Where the clusters of Postgres and Valkey send their own logs: a server of syslog's protocol, by TLS alone."""

    server: DomainName = Field(
        description="The server's name, such as logs.example.org, for which its certificate is: the name alone, and "
        "the port in `port:`. It has to take connections from wherever DigitalOcean runs the clusters."
    )
    # RFC 5425, section 4.1: syslog over TLS.
    port: int = Field(default=6514, ge=1, le=65_535, description="Its port.")
    authority: Certificates | None = Field(
        default=None,
        description="Who signs the server's certificate, as PEM, where that is no public authority: a block of lines "
        "behind `authority: |`.",
    )


class Storage(Schema):
    """How long consented snapshots and exports are kept. Raw video is never stored."""

    snapshot_ttl_days: int = Field(ge=1, le=365, description="Days until a snapshot is deleted.")
    export_ttl_days: int = Field(ge=1, le=365, description="Days until an export is deleted.")


class Dns(Schema):
    """What the zone holds besides the services' names."""

    apex: bool = Field(
        default=False, description="Whether the base domain itself serves the tenants' web app."
    )
    delegations: tuple[Label, ...] = Field(
        default=(), description="Names below the base domain that are separate DNS zones, such as staging."
    )


class Registry(Schema):
    """Where the services' images are pulled from."""

    url: RegistryUrl = Field(
        description="The host and path that all images have in common, such as "
        "registry.digitalocean.com/presence360: no https:// before it, no / at its end."
    )
    username: Text | None = Field(
        default=None,
        description="The user that logs in with the registry's token. Without it the token is the "
        "user name too, as DigitalOcean's registry expects.",
    )


# More than 1,000 a second to one church is no church's traffic, and more than a few droplets serve.
RequestsPerSecond = Annotated[int, Field(ge=1, le=1000)]
_REQUESTS_PER_SECOND = (
    "Requests a second to a tenant's host name, on all droplets together and without static files; one address may "
    "make half of them. More are answered 429 (docs/requests.md)."
)
# The largest plan has 997 connections (DigitalOcean documentation, "PostgreSQL: Limits").
Connections = Annotated[int, Field(ge=1, le=500)]
_CONNECTIONS = (
    "Connections that each of a tenant's database users may hold at a time, on all droplets together."
)


class Account(Schema):
    """What DigitalOcean lets the account have. It differs from one account to the next."""

    # DigitalOcean documentation, "Load Balancers: Limits": the control panel shows what an account may have under
    # Resource Limits, and takes requests for more.
    droplets: int | None = Field(
        default=None,
        ge=1,
        description="The most droplets of the account. While a group is replaced there are twice its replicas.",
    )
    load_balancers: int | None = Field(
        default=None, ge=1, description="The most load balancers of the account."
    )
    clusters: int | None = Field(default=None, ge=1, description="The most database clusters of the account.")
    buckets: int | None = Field(default=None, ge=1, description="The most Spaces buckets of the account.")
    spaces_keys: int | None = Field(default=None, ge=1, description="The most Spaces keys of the account.")
    volumes: int | None = Field(default=None, ge=1, description="The most volumes of the account.")


class Limits(Schema):
    """How much of the platform a tenant may use."""

    requests_per_second: RequestsPerSecond = Field(description=_REQUESTS_PER_SECOND)
    connections: Connections = Field(default=10, description=_CONNECTIONS)


class TenantLimits(Schema):
    """Limits of one tenant that differ from its environment's."""

    requests_per_second: RequestsPerSecond | None = Field(default=None, description=_REQUESTS_PER_SECOND)
    connections: Connections | None = Field(default=None, description=_CONNECTIONS)


class Deploy(Schema):
    """What a deploy does after Terraform has ended."""

    # In turns of about 80 s, 20 droplets, the most that a group has, change within 27 minutes.
    wait_minutes: int = Field(
        default=30,
        ge=1,
        le=300,
        description="How many minutes a deploy waits at most until every droplet says that it runs what was "
        "deployed; then it fails, and the droplets go on by themselves.",
    )


class Migrations(Schema):
    """How the schemas of all databases follow a release (docs/migrations.md)."""

    services: tuple[Annotated[str, OneOf(MIGRATING)], ...] = Field(
        default=MIGRATING,
        min_length=1,
        description="The services whose images bring migrations (`alembic upgrade head`). Leave out one whose image "
        "has none.",
    )
    canaries: tuple[Label, ...] = Field(
        default=(),
        description="Churches that are migrated first, by their slugs. If one of them fails, no other is begun.",
    )
    # Each is a container of up to 512 MiB on a droplet of the control group, and two connections (model/pool.py).
    parallel: int = Field(
        default=4,
        ge=1,
        le=16,
        description="How many databases are migrated at a time, in all clusters together.",
    )
    share: int = Field(
        default=100,
        ge=1,
        le=100,
        description="The percentage of active churches that must be migrated before droplets change to a release.",
    )


# What no argument of a program should hold: it ends in logs. `${` is refused in every text (model/every_text.py).
CommandWord = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ScheduledJob(Schema):
    """A command that runs at certain times in a service's image, on one droplet of the service's group at a time."""

    service: ServiceName = Field(
        description="The service whose image, settings, secrets and memory limit the command gets."
    )
    command: tuple[CommandWord, ...] = Field(
        min_length=1,
        description="Program and arguments, as a list: [python, -m, reports]. No shell reads them.",
    )
    schedule: Text = Field(
        description='When it runs, in UTC, as cron writes it: "30 3 * * *" is every night at half past three.'
    )
    timeout_minutes: int = Field(
        default=30, ge=1, le=720, description="How long a run may take, before it is ended."
    )


class Hardening(Schema):
    """What a droplet does beyond what every droplet does."""

    auditd: bool = Field(
        default=False,
        description="Whether droplets keep the kernel's audit log: who changed users, keys, units and our "
        "configuration, and what people ran. A change replaces the droplets.",
    )


class EnvironmentFile(Schema):
    """One environment. It shares nothing with any other."""

    environment: Label = Field(description="Its name, which is also the folder's and the stack's.")
    description: Text = Field(description="What it is for, as shown in DigitalOcean's project.")
    region: Region = Field(description="Where the environment runs. It can never be changed.")
    base_domain: DomainName = Field(
        description="The domain under which its services answer, in lower case, such as staging.example.org: "
        "no https:// before it, no dot at its end."
    )
    network: Network
    groups: Mapping[Label, Group] = Field(min_length=1, description="The droplet groups by name.")
    postgres: Postgres
    valkey: Valkey
    storage: Storage
    limits: Limits
    registry: Registry
    releases: Mapping[ServiceName, Release] = Field(
        description='What runs: a tag such as "1.4.2", or a digest such as sha256:..., for every service. A '
        "change here is a release: droplets fetch it and apply it in turns, and no droplet is replaced."
    )
    settings: Mapping[Variable, SettingValue] = Field(
        default={},
        description="Environment variables that every service gets, with their values as text of one line. "
        "Secrets belong in `secrets`.",
    )
    secrets: Mapping[Variable, Annotated[tuple[ServiceName, ...], Field(min_length=1)]] = Field(
        default={},
        description="Secret environment variables by name, and the services that need each: "
        "`MNOTIFY_API_KEY: [worker]`. A service that is not listed does not get it. No value is written "
        "here: Terraform reads it from TF_VAR_{environment}_{name in lower case}, as .env.example shows.",
    )
    database_logs: DatabaseLogs | None = Field(
        default=None,
        description="Where the database clusters send their own logs. Lines of Postgres quote statements that failed, "
        "with people's data in them: write a server only if it may have that (docs/logs.md). Without it they stay with "
        "DigitalOcean.",
    )
    dns: Dns = Field(default=Dns())
    deploy: Deploy = Field(default=Deploy())
    hardening: Hardening = Field(default=Hardening())
    migrations: Migrations | None = Field(
        default=None,
        description="With it, droplets change to a release when the databases are migrated. Without it, no migration "
        "is run.",
    )
    observability: Observability | None = Field(
        default=None,
        description="Metrics and alerts: which group keeps them, and who is told. Without it nobody is told of "
        "anything (docs/observability.md).",
    )
    backups: Backups | None = Field(
        default=None,
        description="Dumps of our own, encrypted, in two buckets. Without it a church can come back only with its "
        "whole cluster, and not after the cluster is deleted (docs/backups.md).",
    )
    new_sizes: tuple[DropletSize, ...] = Field(
        default=(),
        description="Sizes of droplets and databases that DigitalOcean sells and this program does not know yet. "
        "`doctl compute size list` and `doctl databases options slugs --engine pg` show what it sells.",
    )
    public_settings: tuple[Variable, ...] = Field(
        default=(),
        description="Settings that have a name like a secret's and hold none, such as JWT_KEY_ID.",
    )
    status: Literal["active", "retired"] = Field(
        default="active",
        description="retired: nothing changes yet, and its folder may be removed in a later change "
        "(docs/runbooks/remove-environment.md).",
    )
    accepted_losses: tuple[AcceptedLoss, ...] = Field(
        default=(),
        description="What is gone at DigitalOcean, cannot be brought back there, and may be made anew, empty: the plan "
        "guard refuses that otherwise (docs/runbooks/restore-cluster.md). Remove an entry with the next edit.",
    )
    jobs: Mapping[Label, ScheduledJob] = Field(
        default={},
        description="Commands that run at certain times, by name (docs/jobs.md).",
    )
    maintenance: bool = Field(
        default=False,
        description="Whether the whole environment is closed for a while: every name answers 503, workers take no "
        "tasks, and no scheduled job starts; addresses in `network.admin_cidrs` are still served "
        "(docs/maintenance.md).",
    )
    account: Account = Field(
        default=Account(),
        description="What DigitalOcean lets the account have, from the control panel under Resource Limits. What is "
        "not written is not checked; the limit of droplets is also asked for before an apply.",
    )


def observes(file: EnvironmentFile) -> str | None:
    """Return the name of the observability group; None where the environment has none."""
    return file.observability.group if file.observability else None


def alert_emails(file: EnvironmentFile) -> tuple[str, ...]:
    """Return who gets DigitalOcean's own alerts by e-mail."""
    email = file.observability.notify.email if file.observability else None
    return email.to if email else ()
