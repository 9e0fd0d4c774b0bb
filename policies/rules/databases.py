"""Clusters are private, behind one firewall that names tags, kept, and of an engine that is supported.

A cluster is open to the Internet until its firewall is applied. The firewall resource replaces the whole rule set: of
two on one cluster the last one applied wins, and each plan undoes the other.
"""

from collections.abc import Iterator

from policies.drill import is_drill
from policies.policy import WRITTEN, Section, Severity, across, each, whole_stack
from policies.stack import Resource, Stack
from policies.values import block, blocks, is_literal, is_set, is_true, items, number

CLUSTER, FIREWALL = "digitalocean_database_cluster", "digitalocean_database_firewall"
ENGINES = ("pg", "valkey", "mysql", "mongodb", "kafka", "opensearch")
"""What DigitalOcean sells; engine `redis` can no longer be created (docs/digitalocean.md)."""
SUPPORTED = {"pg": range(15, 19), "valkey": range(8, 10), "mysql": range(8, 9)}
"""Major versions without an end in the past, in November 2026: `GET /v2/databases/options` in DigitalOcean's OpenAPI
document (Postgres 14 ended on 2026-11-12), and the next ones. The other engines are not judged."""
TO_DAY = 86_400_000


@each(
    CLUSTER, 2, Severity.CRITICAL, "Database clusters are in a VPC that is named",
    "Set private_network_uuid, or the cluster is in the region's default VPC.",
    section=Section.NETWORK,
)  # fmt: skip
def private(cluster: Resource) -> Iterator[str]:
    """Its private address is in the environment's own network."""
    if not is_set(cluster["private_network_uuid"]):
        yield "set private_network_uuid, or the cluster sits in the region's default VPC"


@each(
    FIREWALL, 3, Severity.CRITICAL, "Database firewalls admit droplet tags only",
    "Write rules of type tag: an address or a droplet's id may belong to somebody else tomorrow.",
    section=Section.NETWORK,
)  # fmt: skip
def tags_only(firewall: Resource) -> Iterator[str]:
    """A tag stays right when droplets are replaced."""
    rules = blocks(firewall.body, "rule")
    if not rules:
        yield "has no rule: a cluster without rules accepts connections from everywhere"
    for rule in rules:
        if rule.get("type") != "tag":
            yield f"rule type is {rule.get('type')!r}; only tag is allowed"
        if not is_set(rule.get("value")):
            yield "a rule has no value; name a droplet tag"


@whole_stack(
    4, Severity.CRITICAL, "Every database cluster has exactly one firewall",
    "Make one digitalocean_database_firewall for each cluster, in the same stack, with all rules in it.",
    section=Section.NETWORK,
)  # fmt: skip
def one_firewall(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """One for each instance, made with it."""
    firewalls = stack.of(FIREWALL)
    for cluster in stack.of(CLUSTER):
        covering = [firewall for firewall in firewalls if _covers(firewall, cluster, stack)]
        # A block over an empty map makes no cluster; it is there for its `prevent_destroy`.
        fine = len(covering) == 1 or cluster.is_empty
        yield cluster, [] if fine else [f"has {len(covering)} firewall resources in this stack; it needs one"]
    for firewall in firewalls:
        rivals = [one for one in firewalls if one["cluster_id"] == firewall["cluster_id"]]
        # Of one block over several, whose key is known only to Terraform, each is another cluster's.
        alone = len(rivals) == 1 or (firewall.is_empty and len({one.block_address for one in rivals}) == 1)
        yield (
            firewall,
            []
            if alone
            else [f"{firewall['cluster_id']} has {len(rivals)} firewall resources; put all rules into one"],
        )


def _covers(firewall: Resource, cluster: Resource, stack: Stack) -> bool:
    if "count" in firewall.body or "count" in cluster.body or firewall.is_empty:
        return False
    if str(firewall["cluster_id"]).startswith("${data.") or cluster not in stack.follow(
        firewall["cluster_id"]
    ):
        return False
    for_each, of_cluster = firewall["for_each"], cluster["for_each"]
    if cluster.key is not None:
        return firewall.key == cluster.key or for_each == f"${{{cluster.block_address}}}"
    # Neither has instances; or both have those of the same expression, which only Terraform knows.
    return (
        firewall.key is None
        and for_each in (of_cluster, f"${{{cluster.block_address}}}")
        and (bool(for_each) == ("each.key" in str(firewall["cluster_id"])))
    )


@each(
    CLUSTER, 43, Severity.CRITICAL, "Database clusters stay when somebody moves them to another project",
    "Add project_id to lifecycle.ignore_changes: a change of it destroys the cluster, with its backups.",
    section=Section.BACKUP, shapes=WRITTEN,
)  # fmt: skip
def keeps_project(cluster: Resource) -> Iterator[str]:
    """A move in the control panel plans no replacement."""
    if "project_id" not in items(cluster.lifecycle.get("ignore_changes")):
        yield "add project_id to lifecycle.ignore_changes: a change of it destroys the cluster"


@each(
    CLUSTER, 44, Severity.MEDIUM, "Database clusters have a maintenance window",
    "Set maintenance_window with day and hour; without it DigitalOcean picks one, on a Sunday at ten perhaps.",
    section=Section.DATA,
)  # fmt: skip
def window(cluster: Resource) -> Iterator[str]:
    """Updates come when few people are there."""
    when = block(cluster.body, "maintenance_window")
    if not (is_set(when.get("day")) and is_set(when.get("hour"))):
        yield "set maintenance_window with day and hour"


@each(
    CLUSTER, 45, Severity.HIGH, "Database clusters have an engine and a version that are supported",
    "Use pg from 15, valkey from 8: an older one has no security updates, and redis cannot be created any more.",
    section=Section.DATA,
)  # fmt: skip
def supported(cluster: Resource, stack: Stack) -> Iterator[str]:
    """Security updates still come."""
    if is_drill(cluster, stack) and not is_literal(cluster["version"]):
        return  # It is that of the cluster whose backup is tried.
    engine, version = cluster["engine"], cluster["version"]
    if engine not in ENGINES:
        yield f"engine is {engine!r}; use one of {', '.join(ENGINES)}"
    elif engine in SUPPORTED and not cluster.leaves_open(version):
        major = number(str(version).partition(".")[0])
        if major not in SUPPORTED[engine]:
            yield f"version is {version!r}; {engine} is supported from {SUPPORTED[engine][0]}"


@each(
    CLUSTER, 46, Severity.HIGH, "Valkey keeps what is queued",
    "Set eviction_policy = noeviction: with any other one a full Valkey drops jobs without a word.",
    section=Section.DATA,
)  # fmt: skip
def noeviction(cluster: Resource) -> Iterator[str]:
    """A queue on a Valkey that evicts loses jobs."""
    if cluster["engine"] == "valkey" and cluster["eviction_policy"] != "noeviction":
        yield f"eviction_policy is {cluster['eviction_policy']!r}; queues need noeviction"


@whole_stack(
    47, Severity.HIGH, "Valkey speaks TLS only",
    "Make a digitalocean_database_valkey_config with ssl = true for each Valkey cluster.",
    section=Section.NETWORK,
)  # fmt: skip
def valkey_tls(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """Its configuration says so, and is not left to a default."""
    for cluster in stack.of(CLUSTER):
        configs = [
            one
            for one in stack.of("digitalocean_database_valkey_config")
            if one.is_there_with(cluster) and cluster in stack.follow(one["cluster_id"])
        ]
        fine = cluster["engine"] != "valkey" or any(is_true(one["ssl"]) for one in configs)
        yield cluster, [] if fine else ["no digitalocean_database_valkey_config of it has ssl = true"]


@across(
    48, Severity.HIGH, "Database clusters have a standby in production",
    "Set node_count to 2 or 3 where the project's environment is Production: a new node takes minutes to come.",
    section=Section.DATA,
)  # fmt: skip
def standby(stacks: list[Stack]) -> Iterator[tuple[Stack, Resource, list[str]]]:
    """A node that is lost costs seconds."""
    production = {
        project["name"]
        for stack in stacks
        for project in stack.of("digitalocean_project")
        if project["environment"] == "Production"
    }
    for stack in stacks:
        for cluster in stack.of(CLUSTER):
            names = {one["name"] for one in stack.follow(cluster["project_id"])}
            nodes = cluster["node_count"]
            is_few = (number(nodes) or 0) < 2 and not cluster.leaves_open(nodes)  # noqa: PLR2004 (itself and a standby)
            yield (
                stack,
                cluster,
                (
                    [f"node_count is {nodes}; production needs 2 or 3"]
                    if names & production and is_few
                    else []
                ),
            )


@whole_stack(
    49, Severity.MEDIUM, "Postgres ends a transaction that somebody forgot",
    "Make a digitalocean_database_postgresql_config with idle_in_transaction_session_timeout for each cluster.",
    section=Section.DATA,
)  # fmt: skip
def idle_transactions(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """Locks of a client that is gone are released, and vacuum goes on."""
    for cluster in stack.of(CLUSTER):
        if cluster["engine"] == "pg" and not cluster.is_empty:
            limits = [
                number(one["idle_in_transaction_session_timeout"]) or 0
                for one in stack.of("digitalocean_database_postgresql_config")
                if one.is_there_with(cluster) and cluster in stack.follow(one["cluster_id"])
            ]
            fine = any(0 < limit <= TO_DAY for limit in limits)
            yield (
                cluster,
                []
                if fine
                else [
                    "no digitalocean_database_postgresql_config of it sets idle_in_transaction_session_timeout"
                ],
            )


@each(
    "digitalocean_database_logsink_rsyslog digitalocean_database_logsink_opensearch", 123, Severity.CRITICAL,
    "Logs of databases are sent by TLS alone",
    "Set tls = true, or an endpoint that begins with https://: lines of Postgres quote statements with people's data.",
    section=Section.NETWORK,
)  # fmt: skip
def logs_by_tls(sink: Resource) -> Iterator[str]:
    """Nobody on the way reads what they quote."""
    if sink.type.endswith("rsyslog"):
        if not is_true(sink["tls"]):
            yield "tls is not true: the lines are sent as they are"
    elif not str(sink["endpoint"]).startswith("https://") and not sink.leaves_open(sink["endpoint"]):
        yield "endpoint does not begin with https://"


@each(
    FIREWALL, 50, Severity.MEDIUM, "Database firewalls name tags that exist",
    "Refer to a digitalocean_tag, or find it with a data source: a tag nobody has admits nobody.",
    section=Section.NETWORK,
)  # fmt: skip
def tags_exist(firewall: Resource, stack: Stack) -> Iterator[str]:
    """A typing error in a tag locks everybody out."""
    tags = {str(one["name"]) for one in (*stack.of("digitalocean_tag"), *stack.data("digitalocean_tag"))}
    for rule in blocks(firewall.body, "rule"):
        value = rule.get("value")
        if rule.get("type") == "tag" and stack.name_of(value) not in tags:
            yield f"tag {value} is neither made nor found in this stack"


@each(
    f"{CLUSTER}", 51, Severity.LOW, "Database clusters are made in their project",
    "Set project_id when the cluster is made: to assign it later plans its replacement.",
    section=Section.ENVIRONMENTS,
)  # fmt: skip
def in_project(cluster: Resource) -> Iterator[str]:
    """Costs and access are its environment's."""
    if not is_set(cluster["project_id"]):
        yield "set project_id"


@each(
    "digitalocean_database_user digitalocean_database_db", 52, Severity.HIGH,
    "Databases and users are keyed, not counted",
    "Use for_each over a map: with count, removing one renames and drops all that follow.",
    section=Section.DATA, shapes=WRITTEN,
)  # fmt: skip
def keyed(resource: Resource) -> Iterator[str]:
    """One that leaves takes no other with it."""
    if "count" in resource.body or "count.index" in str(resource["name"]):
        yield "use for_each instead of count"
