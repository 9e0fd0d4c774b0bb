"""What plans do, grouped for a reviewer: tenants first, then what serves them."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from model.addresses import (
    BUCKET,
    CLUSTER,
    CLUSTER_FIREWALL,
    DATABASE,
    DROPLET,
    FIREWALL,
    LOAD_BALANCER,
    OBJECT,
    POOL,
    ZONE,
    configuration_of,
)
from model.naming import FIRST_GENERATION
from model.tenancy import Status
from ops.change import Change
from ops.guard import shown
from ops.guard.kinds import CERTIFICATE, RECORD, counted, in_words
from ops.guard.releases import released
from ops.guard.roles import (
    Role,
    generation_of,
    in_own_cluster,
    is_kept_in_own_cluster,
    is_retired,
    role,
    tenant_of,
)
from ops.guard.text import quote
from ops.guard.world import World

_SECTIONS = {
    CLUSTER: "Clusters and databases",
    DATABASE: "Clusters and databases",
    BUCKET: "Buckets",
    DROPLET: "Droplets",
    POOL: "Droplets",
    LOAD_BALANCER: "Load balancers",
    CERTIFICATE: "Load balancers",
    RECORD: "DNS",
    ZONE: "DNS",
    FIREWALL: "Firewalls",
    CLUSTER_FIREWALL: "Firewalls",
}
# Of a tenant's entry, as people call them.
_FIELDS = {"slug": "host name", "name": "name", "status": "status", "tier": "tier", "database": "database"}
RELEASES = "Releases"
SECTIONS = (RELEASES, *dict.fromkeys(_SECTIONS.values()))

# By the construct id of the object (model/addresses.py, config_object_id).
CONFIGURATION = {
    "release-json": "release",
    "settings-env": "settings",
    "compose-yaml": "Compose file",
    "nginx-conf": "nginx",
    "programs-json": "programs of the droplets",
    "tenants-json": "host names of the churches",
    "isolation-environment-json": "clusters of the isolation job",
    "maintenance-json": "who is in maintenance",
    "migrations-json": "migrations of the databases",
    "backups-json": "dumps of the databases",
    "pool-json": "connections that droplets share",
    "dashboards-json": "dashboards",
    "observability-json": "alerts, and how metrics are collected",
    "observability-secrets-json": "secrets of the alerts",
    "telemetry-json": "where services' metrics go",
    "registry-json": "login of the image registry",
    "ca-pem": "certificate authorities",
    "manifests-environment-json": "list of the objects",
}
# A service's own; until 2026-11-26 those of all services of a group were in one object.
_SECRETS = re.compile(r"secrets-(?:([a-z0-9-]+)-)?env")


@dataclass(frozen=True)
class TenantNews:
    """What happens to one tenant.

    Attributes:
        stack: where.
        tenant: its id.
        who: its name and slug.
        news: what happens, in words.
    """

    stack: str
    tenant: str
    who: str
    news: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """Everything that the plans do.

    Attributes:
        tenants: sorted by stack and name.
        sections: by title, stack and a line for each thing.
        configuration: by stack and droplet group, which parts of its configuration change.
        others: how many of every other kind, by what happens to them.
        drift: how many of each kind were changed outside of Terraform.
        dropped: whose data is dropped, by what holds it: database, cluster.
        agreed: whether tenants.lock says that all of it was retired before.
    """

    tenants: tuple[TenantNews, ...] = ()
    sections: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    configuration: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    others: Counter[tuple[str, str]] = field(default_factory=Counter)
    drift: Counter[str] = field(default_factory=Counter)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    agreed: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing happens at all."""
        return not (self.tenants or self.sections or self.configuration or self.others)


def summarize(world: World) -> Summary:
    """Summarize the plans."""
    news: defaultdict[tuple[str, str], list[Change]] = defaultdict(list)
    sections: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    sections[RELEASES] += released(world)
    dropped: defaultdict[str, set[str]] = defaultdict(set)
    agreed = True
    configuration: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    others: Counter[tuple[str, str]] = Counter()
    for change in world.changes:
        if change.is_nothing:
            continue
        part = configuration_of(change.block) if change.kind == OBJECT else None
        if (tenant := tenant_of(change)) and role(change) is not Role.OTHER:
            news[change.stack, tenant].append(change)
            if (
                change.actions == ("delete",)
                and change.kind in {DATABASE, CLUSTER}
                and is_retired(change.address)
            ):
                dropped[in_words(change.kind)].add(world.who(change.stack, tenant))
                line = (world.known.lock(change.stack) or {}).get(tenant)
                agreed = agreed and line is not None
        elif part:
            group, what = part
            configuration[change.stack, group].add(part_in_words(what))
        elif change.kind in _SECTIONS:
            sections[_SECTIONS[change.kind]].append((change.stack, _line(change)))
        else:
            others[in_words(change.kind), verb(change)] += 1
    tenants = [
        TenantNews(stack, tenant, world.who(stack, tenant), tuple(_news(changes, world)))
        for (stack, tenant), changes in news.items()
    ]
    tenants += _renamed_only(world, {(one.stack, one.tenant) for one in tenants})
    return Summary(
        tenants=tuple(sorted(tenants, key=lambda one: (one.stack, one.who, one.tenant))),
        sections={title: sorted(sections[title]) for title in SECTIONS if sections[title]},
        configuration={key: sorted(parts) for key, parts in sorted(configuration.items())},
        others=others,
        dropped={kind: sorted(names) for kind, names in sorted(dropped.items())},
        agreed=agreed,
        drift=Counter(in_words(one.kind) for plan in world.plans for one in plan.changed_outside),
    )


def part_in_words(part: str) -> str:
    """Return an object of a group's configuration in words, by its construct id; the id if it has no words."""
    if part in CONFIGURATION:
        return CONFIGURATION[part]
    if secrets := _SECRETS.fullmatch(part):
        return f"secrets of {secrets[1]}" if secrets[1] else "secrets"
    return "isolation job" if "isolation" in part else part


def losses_agreed(summary: Summary) -> Iterator[str]:
    """Yield a line for each kind of data that is dropped because its tenants were retired before."""
    why = ", as tenants.lock agreed" if summary.agreed else ""
    for kind, names in summary.dropped.items():
        does = "is" if len(names) == 1 else "are"
        yield f"{counted(kind, len(names))} {does} dropped{why}: {', '.join(names)}"


def verb(change: Change) -> str:
    """Return what happens to a resource, as a participle."""
    words = {
        ("create",): "added",
        ("update",): "changed",
        ("delete",): "removed",
        ("create", "delete"): "replaced, the new one first",
        ("delete", "create"): "replaced, the old one first",
        ("no-op",): "moved",
    }
    said = words.get(change.actions, "removed from the state")
    return f"{said} (left behind by a replacement)" if change.deposed else said


def _line(change: Change) -> str:
    if change.kind == RECORD:
        said = {name: shown.either(change, name) for name in ("name", "type", "domain")}
        name = f"{quote(said['type'])} {quote(said['name'])} of {quote(said['domain'] or 'a new zone')}"
    else:
        before, after = shown.before(change, "name"), shown.after(change, "name")
        name = quote(before or after or change.address)
        if before and after and before != after:
            name = f"{quote(before)} by {quote(after)}"
    return f"{in_words(change.kind)} {name} {verb(change)}"


def _news(changes: list[Change], world: World) -> Iterator[str]:
    by_role: defaultdict[Role, list[Change]] = defaultdict(list)
    for change in changes:
        by_role[role(change)].append(change)
    whole = world.status(changes[0].stack, tenant_of(changes[0])) == Status.RETIRED
    if dedicated := by_role[Role.CLUSTER]:
        yield from (_moved(change, whole=whole) or f"{_own(change)} {verb(change)}" for change in dedicated)
    elif by_role[Role.PART_OF_CLUSTER]:
        yield "cluster of its own: settings or firewall changed"
    for change in by_role[Role.DATABASE]:
        own = in_own_cluster(change)
        where = _database(change) + (" in its own cluster" if own else "")
        # A database that moves with its cluster is told with the cluster.
        moved = _moved(change, whole=whole)
        if moved and not (dedicated and own):
            yield moved
        elif not moved:
            yield f"{where} {verb(change)}"
    yield from _users(by_role[Role.USER])
    yield from (f"credentials {verb(change)}" for change in by_role[Role.CREDENTIALS])
    for change in by_role[Role.DIRECTORY]:
        yield f"directory entry {verb(change)}"
        yield from _renames(change.stack, tenant_of(change), world)


def _database(change: Change) -> str:
    generation = generation_of(change)
    return "database" if generation == FIRST_GENERATION else f"database of generation {generation}"


def _own(change: Change) -> str:
    retired = "retired " if is_retired(change.address) else ""
    return f"{retired}cluster of its own"


def _moved(change: Change, *, whole: bool) -> str:
    """Return what a move within the lifecycle means; empty if the change is not a move.

    ``whole``: whether the tenant itself is retired, and not one of its databases alone.
    """
    if change.actions not in {("no-op",), ("update",)} or not change.previous_address:
        return ""
    was, now = is_retired(change.previous_address), is_retired(change.address)
    what = "own cluster" if change.kind == CLUSTER else _database(change)
    if now and not was:
        until = "the entry is" if whole else "the line that names it is"
        return f"retired: its {what} is kept without protection until {until} removed"
    if was and not now:
        return f"back from retirement: its {what} is kept, and protected again"
    return f"{what} moved to another address"


def _users(users: list[Change]) -> Iterator[str]:
    counts = Counter((verb(change), is_kept_in_own_cluster(change)) for change in users)
    for (what, own), count in sorted(counts.items()):
        where = " of its own cluster" if own else ""
        yield f"{'user' if count == 1 else f'{count} users'}{where} {what}"


def _renames(stack: str, tenant: str, world: World) -> Iterator[str]:
    for plan in world.plans:
        if plan.stack != stack:
            continue
        before, after = plan.tenants_before.get(tenant), plan.tenants_after.get(tenant)
        if before and after:
            for what, called in _FIELDS.items():
                if before[what] and before[what] != after[what]:
                    yield f"{called} {quote(before[what])} -> {quote(after[what])}"


def _renamed_only(world: World, told: set[tuple[str, str]]) -> Iterator[TenantNews]:
    """Yield tenants of which only the output changes, which does not happen without their directory entry."""
    for plan in world.plans:
        for tenant in sorted(plan.tenants_before.keys() & plan.tenants_after.keys()):
            if (plan.stack, tenant) not in told and (news := tuple(_renames(plan.stack, tenant, world))):
                yield TenantNews(plan.stack, tenant, world.who(plan.stack, tenant), news)
