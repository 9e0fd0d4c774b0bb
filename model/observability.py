"""The observability group: what keeps metrics, evaluates alerts and sends messages; and rules of its section."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model import config, public_suffixes
from model.dashboards import GRAFANA_MIB, GrafanaPlan, plan_grafana
from model.environment import EnvironmentFile
from model.errors import Findings, YamlPath, did_you_mean, shown
from model.layout import Placement
from model.naming import Names
from model.observability_file import Notify, Observability
from model.releases import terraform_variable
from model.services import WATCHDOG_HOST, WILDCARD
from model.sold import DISKS_GIB
from model.tenancy import Status
from model.tenants import Tenant
from model.traces import STORE_MIB

MEMORY_MIB = 768
"""What all of it may use: 512 for the store's caches and what it reads, the rest for the others; measured in
docs/observability.md, "How much"."""

BLOCKED_PORTS = frozenset({25, 465, 587})
"""DigitalOcean documentation, "Why is SMTP blocked?": these do not leave a droplet."""

DISCOVERY_TOKEN = "OBSERVABILITY_TOKEN"  # noqa: S105 (a name)
"""A token of DigitalOcean's API that only reads droplets (scope droplet:read)."""
EMAIL_PASSWORD = "ALERT_EMAIL_PASSWORD"  # noqa: S105 (a name)
SLACK_URL = "ALERT_SLACK_URL"
WEBHOOK_URL = "ALERT_WEBHOOK_URL"

MOUNT = "/srv/metrics"
"""Where the store has its data: the volume, or a folder of the droplet's disk."""


@dataclass(frozen=True, kw_only=True)
class ObservabilityPlan:
    """What the droplet of the observability group runs with."""

    group: str
    environment: str
    base_domain: str
    region: str
    environment_tag: str
    group_tags: Mapping[str, str]
    """By group."""
    service_tags: Mapping[str, str]
    """By service that may have metrics of its own, the tag of the group that runs it."""
    volume: str | None
    """The name of the volume; None: the droplet's disk."""
    volume_gib: int
    retention_days: int
    series: int
    bucket: str
    """For backups of the metrics."""
    status_bucket: str
    """Where the watchdog is told of."""
    names: tuple[str, ...]
    """Public names that are asked from the droplet, without the watchdog's."""
    uptime: Mapping[str, tuple[str, str]]
    """What DigitalOcean asks from outside: by construct id, the check's name and the full host name."""
    watchdog: tuple[str, str]
    """The same of the path that says that alerts arrive."""
    notify: Notify
    grafana: GrafanaPlan | None
    """None: the droplet shows no dashboards."""
    secrets: Mapping[str, str]
    """By purpose, the name of the sensitive Terraform variable."""


def observability_mib(wanted: Observability | None) -> int:
    """Return what the observability group's programs may use of its droplet's memory."""
    optional = (
        (GRAFANA_MIB, wanted and wanted.dashboards),
        (STORE_MIB, wanted and wanted.traces),
    )
    return MEMORY_MIB + sum(mib for mib, there in optional if there)


def plan_observability(
    file: EnvironmentFile, names: Names, placements: Sequence[Placement], tenants: Sequence[Tenant]
) -> ObservabilityPlan | None:
    """Decide the observability group; None where the environment has none."""
    wanted = file.observability
    if wanted is None:
        return None
    labels = sorted(
        host.label for placement in placements for host in placement.hosts if host.label != WILDCARD
    )
    hosts = {host.label: host.fqdn(file.base_domain) for placement in placements for host in placement.hosts}
    asked = {f"name-{label}" if label.isalnum() else "apex": hosts[label] for label in labels}
    if wanted.canary:
        asked["canary"] = f"{wanted.canary}.{file.base_domain}"
    return ObservabilityPlan(
        group=wanted.group,
        environment=file.environment,
        base_domain=file.base_domain,
        region=file.region,
        environment_tag=file.environment,
        group_tags={placement.group: names.group_tag(placement.group) for placement in placements},
        service_tags={
            service.name: names.group_tag(placement.group)
            for placement in placements
            for service in placement.services
            if service.metrics_path
        },
        volume=names.resource("metrics") if wanted.volume_gib else None,
        volume_gib=wanted.volume_gib or 0,
        retention_days=wanted.retention_days,
        series=wanted.series,
        bucket=names.bucket("metrics"),
        status_bucket=config.status_bucket(names, wanted.group),
        names=tuple(asked[key] for key in sorted(asked)),
        uptime={key: (names.resource(f"uptime-{key}"), name) for key, name in sorted(asked.items())},
        watchdog=(names.resource("uptime-watchdog"), f"{WATCHDOG_HOST}.{file.base_domain}"),
        notify=wanted.notify,
        grafana=plan_grafana(file, tenants),
        secrets=_secrets(file.environment, wanted.notify),
    )


def _secrets(environment: str, notify: Notify) -> dict[str, str]:
    wanted = {DISCOVERY_TOKEN: True}
    wanted[EMAIL_PASSWORD] = bool(notify.email and notify.email.username)
    wanted[SLACK_URL] = notify.slack is not None
    wanted[WEBHOOK_URL] = notify.webhook
    return {name: terraform_variable(environment, name) for name, is_wanted in wanted.items() if is_wanted}


def check_observability(file: EnvironmentFile, findings: Findings) -> None:
    """Find what cannot work in the section; the groups are right by themselves."""
    wanted = file.observability
    if wanted is None:
        return
    path = ("observability",)
    group = file.groups.get(wanted.group)
    if group is None:
        findings.add(
            (*path, "group"),
            f"there is no group {shown(wanted.group)}",
            f"{did_you_mean(wanted.group, file.groups)}Name one of: {', '.join(sorted(file.groups))}. Or add one with "
            "`services: []`.",
        )
    elif group.replicas != 1:
        findings.add(
            (*path, "group"),
            f"the group {shown(wanted.group)} has more than one droplet, and each would send every message",
            "Add a group with `services: []` and `replicas: 1`, and name it here.",
        )
    _check_volume(wanted, group.size if group else "", findings)
    # Where the section itself is wrong, that is told.
    if hasattr(file, "registry"):
        _check_images(wanted, file.registry.url, findings)
    _check_notify(wanted.notify, findings)


def _check_volume(wanted: Observability, size: str, findings: Findings) -> None:
    """Logs and traces are beside the metrics, which need room to be merged: on a volume, or the droplet's disk."""
    more = wanted.logs.size_gib + (wanted.traces.size_gib if wanted.traces else 0)
    if wanted.volume_gib:
        if more > wanted.volume_gib / 2:
            findings.add(
                ("observability", "volume_gib"),
                f"{wanted.volume_gib} GiB are too few: logs and traces may take {more} of them, and metrics need half",
                f"Write at least {2 * more}, or less for `logs.size_gib` and `traces.size_gib`.",
            )
        return
    disk = DISKS_GIB.get(size)
    if disk is not None and more > disk / 2:
        larger = "traces" if wanted.traces and wanted.traces.size_gib > wanted.logs.size_gib else "logs"
        findings.add(
            ("observability", larger, "size_gib"),
            f"logs and traces may take {more} GiB, and a droplet of the size {size} has a disk of {disk}, of which "
            "Debian, Docker and the metrics need half",
            f"Write at most {disk // 2} for `logs.size_gib` and `traces.size_gib` together, or a volume: `volume_gib: "
            f"{2 * more}`.",
        )


def _check_images(wanted: Observability, registry: str, findings: Findings) -> None:
    """An image is of the environment's registry: droplets have a token for no other."""
    for key, part in (("dashboards", wanted.dashboards), ("traces", wanted.traces)):
        if part is None or part.image.startswith(f"{registry}/"):
            continue
        # A first part with a dot is a host (distribution/reference, "Grammar").
        host, slash, rest = part.image.partition("/")
        if slash and "." in host:
            findings.add(
                ("observability", key, "image"),
                f"{shown(part.image)} is in another registry than `registry.url`, {registry}: droplets cannot pull it",
                f"Push it there, and write what is behind the registry's name: {rest.rpartition('/')[2]}.",
            )


def _check_notify(notify: Notify, findings: Findings) -> None:
    path = ("observability", "notify")
    set_up = {"email": notify.email is not None, "slack": notify.slack is not None, "webhook": notify.webhook}
    for key in ("critical", "warning"):
        for index, way in enumerate(getattr(notify, key)):
            if not set_up[way]:
                findings.add(
                    (*path, key, index),
                    f"{way} is not set up",
                    f"Add `{way}:` below `notify`, or choose one of: "
                    f"{', '.join(name for name, there in set_up.items() if there) or 'none is set up'}.",
                )
    for way, there in set_up.items():
        if there and way not in {*notify.critical, *notify.warning}:
            findings.add(
                (*path, way),
                "nothing is sent this way",
                "List it under `critical` or `warning`, or remove it.",
                at_key=True,
            )
    if notify.email and int(port := notify.email.relay.rpartition(":")[2]) in BLOCKED_PORTS:
        findings.add(
            (*path, "email", "relay"),
            f"port {port} is blocked: DigitalOcean lets no mail out of a droplet on 25, 465 and 587",
            "Write a port that your relay offers beside it: most have 2525.",
        )
    if not notify.email and not notify.slack:
        findings.add(
            path,
            "neither `email` nor `slack` is set up, and DigitalOcean's own alerts know no other way",
            "Add `email:` with an address that is verified in the account, or `slack:`.",
            at_key=True,
        )


def check_canary(file: EnvironmentFile, tenants: Sequence[Tenant], findings: Findings) -> None:
    """Find a canary that is no active church."""
    slug = file.observability.canary if file.observability else None
    active = {tenant.slug for tenant in tenants if tenant.status is Status.ACTIVE}
    if slug is not None and slug not in active:
        findings.add(
            ("observability", "canary"),
            f"there is no active church {shown(slug)}",
            f"{did_you_mean(slug, active)}Write the slug of a church that is active, or remove the line.",
        )


def warn_of_examples(observability: Observability, warnings: Findings) -> None:
    """Warn of addresses at which nobody can be reached."""
    email = observability.notify.email
    if email is None:
        return
    path = ("observability", "notify", "email")
    found: list[tuple[YamlPath, str]] = [
        ((*path, "to", index), address) for index, address in enumerate(email.to)
    ]
    for where, address in (*found, ((*path, "relay"), email.relay)):
        if public_suffixes.is_example(address.rpartition("@")[2].partition(":")[0]):
            warnings.add(
                where,
                f"{address} is an example: no message arrives there",
                "Replace it with your own before the first deploy.",
            )
