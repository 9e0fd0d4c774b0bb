"""What can fail is watched, and somebody is told.

A monitor alert with neither entities nor tags watches the whole account, another environment's droplets among them.
"""

from collections.abc import Iterator

from policies.drill import is_drill
from policies.policy import Section, Severity, each, whole_stack
from policies.rules.databases import CLUSTER
from policies.rules.dns import addresses, host_of
from policies.rules.droplets import MACHINES, machine
from policies.stack import Resource, Stack
from policies.values import Block, blocks, is_set, is_true, items

ALERT, CHECK, UPTIME_ALERT = (
    "digitalocean_monitor_alert",
    "digitalocean_uptime_check",
    "digitalocean_uptime_alert",
)
DROPLET_MEASURES = ("disk_utilization_percent", "memory_utilization_percent")
CLUSTER_MEASURES = ("disk_utilization_alerts", "memory_utilization_alerts")


@each(
    ALERT, 14, Severity.HIGH, "Alerts are bound to what they watch",
    "Set entities or tags, and enabled = true: without them an alert watches the whole account.",
    section=Section.MONITORING,
)  # fmt: skip
def bound(alert: Resource) -> Iterator[str]:
    """It watches what it is for."""
    if not _names(alert["entities"]) and not _names(alert["tags"]):
        yield "name what it watches: entities or tags"
    if not is_true(alert["enabled"]):
        yield "set enabled = true"


def _names(value: object) -> bool:
    """Whether a list names something; one that only Terraform knows is an expression, which is a cluster's at least."""
    return is_set(value) if isinstance(value, str) else any(is_set(one) for one in items(value))


def _tells(notifications: Block) -> bool:
    return any(is_set(one) for one in items(notifications.get("email"))) or bool(
        blocks(notifications, "slack")
    )


@each(
    f"{ALERT} {UPTIME_ALERT}", 70, Severity.HIGH, "Alerts tell somebody",
    "Name an e-mail address that the account has verified, or a Slack channel.",
    section=Section.MONITORING,
)  # fmt: skip
def tells(alert: Resource) -> Iterator[str]:
    """There is a channel."""
    name = "alerts" if alert.type == ALERT else "notifications"
    if not any(map(_tells, blocks(alert.body, name))):
        yield "name an e-mail address or a Slack channel"


@each(
    UPTIME_ALERT, 71, Severity.HIGH, "Uptime alerts name their check",
    "Set check_id to a digitalocean_uptime_check of the stack.",
    section=Section.MONITORING,
)  # fmt: skip
def of_a_check(alert: Resource, stack: Stack) -> Iterator[str]:
    """An alert without a check never fires."""
    if not any(one.type == CHECK for one in stack.follow(alert["check_id"])):
        yield "name its check"


@each(
    UPTIME_ALERT, 120, Severity.HIGH, "Uptime alerts name a comparison, a threshold and a period",
    "Set all three, for type down as well: the provider sends an empty comparison otherwise, and the apply fails.",
    section=Section.MONITORING,
)  # fmt: skip
def compares(alert: Resource) -> Iterator[str]:
    """The API knows no empty comparison (digitalocean/openapi, specification/resources/uptime/models/alert.yml)."""
    if alert["comparison"] not in ("greater_than", "less_than"):
        yield f"comparison is {alert['comparison']!r}; write greater_than or less_than"
    yield from (f"set {name}" for name in ("threshold", "period") if not alert[name])


@each(
    CHECK, 72, Severity.HIGH, "Uptime checks are switched on, ask over HTTPS, and from named regions",
    "Set enabled = true, type = https and regions.",
    section=Section.MONITORING,
)  # fmt: skip
def asks(check: Resource) -> Iterator[str]:
    """What it asks is what clients ask."""
    if not is_true(check["enabled"]):
        yield "set enabled = true"
    if check["type"] != "https" or not str(check["target"]).startswith("https://"):
        yield "set type = https and a target that begins with https://"
    if not items(check["regions"]):
        yield "list regions: the default changes with DigitalOcean's offer"


@whole_stack(
    73, Severity.HIGH, "Every public name has an uptime check",
    "Make a digitalocean_uptime_check for each name that leads to a load balancer; a wildcard needs none.",
    section=Section.MONITORING,
)  # fmt: skip
def every_name(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """Somebody looks from outside."""
    hosts = {
        str(check["target"]).split("/")[2].partition(":")[0]
        for check in stack.of(CHECK)
        if check["target"] and not check.is_absent
    }
    for record in addresses(stack):
        if record["name"] != "*":
            host = host_of(record, stack)
            yield record, [] if host in hosts else [f"no digitalocean_uptime_check asks https://{host}"]


def _alerts_of(check: Resource, stack: Stack) -> set[str]:
    return {
        str(one["type"])
        for one in stack.of(UPTIME_ALERT)
        if one.is_there_with(check) and check in stack.follow(one["check_id"])
    }


@whole_stack(
    74, Severity.HIGH, "Every uptime check has an alert",
    "Make a digitalocean_uptime_alert of type down or down_global for each check: a check alone tells nobody.",
    section=Section.MONITORING,
)  # fmt: skip
def down_alert(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """A name that is down is known."""
    for check in stack.of(CHECK):
        fine = _alerts_of(check, stack) & {"down", "down_global"}
        yield check, [] if fine else ["no digitalocean_uptime_alert of type down is on it"]


@whole_stack(
    75, Severity.MEDIUM, "Somebody is told before a name's certificate ends",
    "Make a digitalocean_uptime_alert of type ssl_expiry for each name that is checked.",
    section=Section.MONITORING,
)  # fmt: skip
def certificate_alert(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """A renewal that fails is known in time; one check of a name is enough."""
    watched: dict[str, bool] = {}
    checks = [check for check in stack.of(CHECK) if str(check["target"]).startswith("https://")]
    for check in checks:
        host = str(check["target"]).split("/")[2]
        watched[host] = watched.get(host, False) or "ssl_expiry" in _alerts_of(check, stack)
    for check in checks:
        host = str(check["target"]).split("/")[2]
        yield check, [] if watched[host] else [f"no ssl_expiry alert is on a check of {host}"]


def _watched(stack: Stack, measure: str) -> tuple[set[str], set[str]]:
    """Return the addresses and the tags that alerts on a measure name."""
    alerts = [
        alert
        for alert in stack.of(ALERT)
        if not alert.is_absent and str(alert["type"]).endswith(f"/{measure}")
    ]
    entities = {
        found.address
        for alert in alerts
        for entity in (
            [alert["entities"]] if isinstance(alert["entities"], str) else items(alert["entities"])
        )
        for found in stack.follow(entity)
    }
    return entities, {stack.name_of(tag) for alert in alerts for tag in items(alert["tags"])}


@whole_stack(
    76, Severity.HIGH, "Droplets' disk and memory are watched",
    "Make digitalocean_monitor_alerts on disk and memory for a tag that every droplet has.",
    section=Section.MONITORING,
)  # fmt: skip
def droplets_watched(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """A full disk is known before it is full."""
    watched = {measure: _watched(stack, measure) for measure in DROPLET_MEASURES}
    for resource in stack.of(*MACHINES.split()):
        tags = {stack.name_of(tag) for tag in items(machine(resource).get("tags"))}
        yield (
            resource,
            [
                f"no alert on {measure} watches it"
                for measure, (entities, of_tags) in watched.items()
                if resource.address not in entities and not tags & of_tags
            ],
        )


@whole_stack(
    77, Severity.HIGH, "Database clusters' disk and memory are watched",
    "Name each cluster in the entities of digitalocean_monitor_alerts on disk and memory.",
    section=Section.MONITORING,
)  # fmt: skip
def clusters_watched(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """A cluster whose disk is full takes no writes."""
    watched = {measure: _watched(stack, measure)[0] for measure in CLUSTER_MEASURES}
    for cluster in stack.of(CLUSTER):
        # A drill's is watched by the program that made it, for the hours that it lives.
        if not cluster.is_empty and not is_drill(cluster, stack):
            yield (
                cluster,
                [
                    f"no alert on {measure} watches it"
                    for measure, entities in watched.items()
                    if cluster.address not in entities
                ],
            )


@whole_stack(
    78, Severity.MEDIUM, "Load balancers are watched for errors",
    "Name each load balancer in the entities of an alert on an increase of 5xx answers.",
    section=Section.MONITORING,
)  # fmt: skip
def balancers_watched(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """Errors that clients see are known."""
    entities = {
        address
        for unit in ("percentage", "count")
        for address in _watched(stack, f"increase_in_http_error_rate_{unit}_5xx")[0]
    }
    for balancer in stack.of("digitalocean_loadbalancer"):
        yield balancer, [] if balancer.address in entities else ["no alert on 5xx answers watches it"]
