"""One edit for each policy that the policy catches: of the small stacks of `good.py`, and of the synthesized ones.

An edit finds what it changes by type and by arguments, so that the same one fits both.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Stacks = dict[str, Json]
Edit = Callable[[Stacks], None]
ABSENT = object()

STAGING, CELL = "staging", "staging-cell-2"


@dataclass(frozen=True)
class Broken:
    """An edit, and what it breaks.

    Attributes:
        number: of the policy.
        edit: of the stacks.
        reason: words of what the policy says.
        also: other policies that fire on the synthesized stacks, by number, because the same edit breaks them too.
    """

    number: int
    edit: Edit
    reason: str
    also: frozenset[int] = frozenset()

    def __str__(self) -> str:
        return f"CKV_P360_{self.number}"


def _full(kind: str) -> str:
    return kind if kind.startswith("terraform") else f"digitalocean_{kind}"


def bodies(stack: Json, kind: str, section: str = "resource", **where: Any) -> Iterator[tuple[str, Json]]:
    """Yield the name and the body of each resource of a type whose arguments have some values."""
    for name, body in stack.get(section, {}).get(_full(kind), {}).items():
        if all(str(value) in str(body.get(argument)) for argument, value in where.items()):
            yield name, body


def first(stack: Json, kind: str, section: str = "resource", **where: Any) -> Json:
    """Return the first of them."""
    return next(bodies(stack, kind, section, **where))[1]


def put(at: Any, path: str, value: object) -> None:
    """Put a value to where a path of keys and positions leads, or take out the old value."""
    *parents, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    for key in parents:
        # cdktf writes a single block as a list here and as an object there.
        at = at[0] if isinstance(at, list) and isinstance(key, str) else at[key]
    if isinstance(at, list) and isinstance(last, str):
        at = at[0]
    if value is ABSENT:
        del at[last]
    else:
        at[last] = value


def one(
    kind: str, path: str, value: object, stack: str = STAGING, section: str = "resource", **where: Any
) -> Edit:
    """Change an argument of the first resource of a type."""
    return lambda stacks: put(first(stacks[stack], kind, section, **where), path, value)


def both(*edits: Edit) -> Edit:
    """Do more than one edit."""

    def edit(stacks: Stacks) -> None:
        for each in edits:
            each(stacks)

    return edit


def every(kind: str, path: str, value: object, stack: str = STAGING, **where: Any) -> Edit:
    """Change an argument of all resources of a type."""

    def edit(stacks: Stacks) -> None:
        for _, body in bodies(stacks[stack], kind, **where):
            put(body, path, value)

    return edit


def add(kind: str, body: Json, stack: str = STAGING, section: str = "resource") -> Edit:
    """Add a resource."""

    def edit(stacks: Stacks) -> None:
        stacks[stack].setdefault(section, {}).setdefault(_full(kind), {})["added"] = body

    return edit


def remove(kind: str, **where: Any) -> Edit:
    """Remove the first resource of a type."""

    def edit(stacks: Stacks) -> None:
        name, _ = next(bodies(stacks[STAGING], kind, **where))
        del stacks[STAGING]["resource"][_full(kind)][name]

    return edit


def twice(kind: str, **where: Any) -> Edit:
    """Make a resource a second time."""
    return lambda stacks: add(kind, dict(first(stacks[STAGING], kind, **where)))(stacks)


def also_in(other: str, kind: str, **changes: Any) -> Edit:
    """Make a resource of the environment in another stack too."""

    def edit(stacks: Stacks) -> None:
        add(kind, first(stacks[STAGING], kind) | changes, stack=other)(stacks)

    return edit


def top(path: str, value: object, stack: str = STAGING) -> Edit:
    """Change something that is no resource."""
    return lambda stacks: put(stacks[stack], path, value)


def in_user_data(old: str, new: str) -> Edit:
    """Change a line of the first droplet's user data."""

    def edit(stacks: Stacks) -> None:
        name = first(stacks[STAGING], "droplet")["user_data"].removeprefix("${local.").removesuffix("}")
        assert old in stacks[STAGING]["locals"][name]
        stacks[STAGING]["locals"][name] = stacks[STAGING]["locals"][name].replace(old, new)

    return edit


def in_tenants(change: Callable[[Json], Any], stack: str = STAGING) -> Edit:
    """Change the map of the tenants."""

    def edit(stacks: Stacks) -> None:
        change(
            next(
                table
                for table in stacks[stack]["locals"].values()
                if isinstance(table, dict) and table and all("slug" in str(entry) for entry in table.values())
            )
        )

    return edit


def in_generations(change: Callable[[Json], Any]) -> Edit:
    """Change the map of the tenants' users, which begins with an active tenant."""

    def edit(stacks: Stacks) -> None:
        change(
            next(
                table
                for table in stacks[STAGING]["locals"].values()
                if isinstance(table, dict) and table and all(key.endswith(("_g1", "_g2")) for key in table)
            )
        )

    return edit


def reference(kind: str, attribute: str, **where: Any) -> Callable[[Stacks], str]:
    """Refer to the first resource of a type."""
    return lambda stacks: f"${{{_full(kind)}.{next(bodies(stacks[STAGING], kind, **where))[0]}.{attribute}}}"


def to(kind: str, path: str, value: Callable[[Stacks], Any], **where: Any) -> Edit:
    """Change an argument to what depends on the stacks."""
    return lambda stacks: put(first(stacks[STAGING], kind, **where), path, value(stacks))


def record(**changes: Any) -> Edit:
    """Add a record to the zone."""

    def edit(stacks: Stacks) -> None:
        api = first(stacks[STAGING], "record", name="api")
        add("record", api | {"name": "added"} | changes)(stacks)

    return edit


LB, FW, DB, DBFW, BUCKET, KEY = (
    "loadbalancer", "firewall", "database_cluster", "database_firewall", "spaces_bucket", "spaces_key",
)  # fmt: skip
HTTP = {"protocol": "tcp", "port_range": "8080", "source_addresses": ["0.0.0.0/0"]}
TOKEN = "dop_v1_" + "0" * 64
PUBLIC = '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]}'

BROKEN = (
    Broken(1, every("database_db", "lifecycle", {}, name="control_plane"), "prevent_destroy"),
    Broken(2, one(DB, "private_network_uuid", ""), "private_network_uuid"),
    Broken(3, one(DBFW, "rule/0/type", "ip_addr"), "rule type is 'ip_addr'"),
    Broken(4, remove(DBFW), "has 0 firewall"),
    Broken(5, one(LB, "forwarding_rule/0/entry_protocol", "tcp"), "entry_protocol must be"),
    Broken(6, in_user_data("#cloud-config", f"#cloud-config\n# {TOKEN}"), "a DigitalOcean token", frozenset({93})),
    Broken(7, one(FW, "inbound_rule/1/source_addresses", ["10.0.0.0/8"]), "admit by source_load_balancer_uids"),
    Broken(8, one(BUCKET, "acl", "public-read"), "set acl = private"),
    Broken(9, one("certificate", "lifecycle", {}), "create_before_destroy"),
    Broken(10, top("output/host", {"value": "${digitalocean_database_user.control.password}"}), "shows password"),
    Broken(11, one(KEY, "grant/0/permission", "fullaccess"), "permission is 'fullaccess'", frozenset({118, 119})),
    Broken(
        12, one("spaces_bucket_object", "content", "KEY=${digitalocean_database_user.x.password}", key="settings.env"),
        "settings.env shows password",
    ),
    Broken(13, one("spaces_bucket_cors_configuration", "cors_rule/0/allowed_origins", ["*"]), "'*' is too wide"),
    Broken(14, one("monitor_alert", "tags", [], tags="$"), "name what it watches"),
    Broken(15, one(LB, "redirect_http_to_https", False), "redirect_http_to_https"),
    Broken(16, one(LB, "tls_cipher_policy", "DEFAULT"), "tls_cipher_policy"),
    Broken(17, one(LB, "forwarding_rule/0/target_protocol", "http"), "target_protocol is 'http'"),
    Broken(18, one(LB, "healthcheck/path", "/"), "healthcheck.path", frozenset({103})),
    Broken(19, one(LB, "forwarding_rule/0/certificate_id", "${x.y.id}"), "use certificate_name"),
    Broken(20, one(LB, "vpc_uuid", ABSENT), "set vpc_uuid"),
    Broken(21, one(LB, "droplet_ids", [1]), "by droplet_tag"),
    Broken(22, one(LB, "disable_lets_encrypt_dns_records", False), "Terraform owns the records"),
    Broken(23, one(LB, "healthcheck/check_interval_seconds", 60), "for 120 s"),
    Broken(24, one("certificate", "type", "custom"), "type is 'custom'"),
    Broken(25, one("certificate", "domains", ["*.x.staging.example.com"]), "beside", frozenset({26, 68})),
    Broken(26, one("domain", "name", "elsewhere.example.org"), "is in no zone", frozenset({68, 73})),
    Broken(27, one("droplet", "vpc_uuid", ABSENT), "set vpc_uuid"),
    Broken(28, one("droplet", "monitoring", False), "monitoring = true"),
    Broken(29, one("droplet", "ssh_keys", []), "ssh_keys"),
    Broken(30, in_user_data("ssh_pwauth: false", "ssh_pwauth: true"), "ssh_pwauth: true", frozenset({107})),
    Broken(31, one("droplet", "image", "ubuntu-18-04-x64"), "no supported distribution", frozenset({104})),
    Broken(32, remove(FW), "no digitalocean_firewall", frozenset({34, 41})),
    Broken(33, one("droplet", "lifecycle", {}), "create_before_destroy"),
    Broken(34, one("droplet", "depends_on", []), "depends_on names no firewall"),
    Broken(35, in_user_data("#cloud-config", "#cloud-config\n" + "# padding\n" * 7000), "65,536 at most"),
    Broken(36, one("droplet", "resize_disk", True), "resize_disk"),
    Broken(37, one(FW, "inbound_rule/0/source_addresses", ["0.0.0.0/0"]), "narrower than", frozenset({7})),
    Broken(
        38, one(FW, "inbound_rule/1", HTTP | {"port_range": "5432"}), "a database's port", frozenset({7, 42})
    ),
    Broken(39, one(FW, "outbound_rule/0/port_range", "1-65535"), "nearly all ports"),
    Broken(40, one(FW, "tags", ["nobody"]), "no droplet of this stack", frozenset({32, 34, 41, 82})),
    Broken(41, one(LB, "forwarding_rule/0/target_port", 8443), "admits it at port 8443"),
    Broken(42, one(FW, "inbound_rule/1", HTTP), "a service's port is open", frozenset({7})),
    Broken(43, one(DB, "lifecycle/ignore_changes", ["tags"]), "project_id"),
    Broken(44, one(DB, "maintenance_window", ABSENT), "maintenance_window"),
    Broken(45, one(DB, "version", "12", engine="pg"), "version is '12'"),
    Broken(46, one(DB, "eviction_policy", "allkeys_lru", engine="valkey"), "queues need noeviction"),
    Broken(47, one("database_valkey_config", "ssl", False), "ssl = true"),
    Broken(48, both(one(DB, "node_count", 1), one("project", "environment", "Production")), "production needs 2 or 3"),
    Broken(49, one("database_postgresql_config", "idle_in_transaction_session_timeout", 0), "idle_in_transaction"),
    Broken(50, one(DBFW, "rule/0/value", "nobody"), "neither made nor found"),
    Broken(51, one(DB, "project_id", ABSENT), "set project_id"),
    Broken(52, one("database_user", "count", 2, name="control_plane"), "instead of count"),
    Broken(53, one(BUCKET, "versioning/enabled", False), "versioning"),
    Broken(54, one(BUCKET, "lifecycle_rule/0/abort_incomplete_multipart_upload_days", 0), "abort_incomplete"),
    Broken(55, every(BUCKET, "lifecycle_rule/0/noncurrent_version_expiration", {}, name="credentials"), "noncurrent"),
    Broken(56, one(BUCKET, "force_destroy", True), "force_destroy"),
    Broken(57, one(BUCKET, "region", ABSENT), "write its region"),
    Broken(
        58,
        lambda stacks: add(
            "spaces_bucket_policy", {"bucket": reference(BUCKET, "name")(stacks), "policy": PUBLIC}
        )(stacks),
        "allows everyone",
    ),
    Broken(59, one("spaces_bucket_object", "acl", "public-read"), "acl is 'public-read'"),
    Broken(60, one(KEY, "grant/0/bucket", "somebody-s"), "grant of 'somebody-s'", frozenset({118})),
    Broken(61, one("spaces_bucket_object", "bucket", "somebody-s", key="settings.env"), "neither made nor found"),
    Broken(62, one("domain", "ip_address", "192.0.2.1"), "remove ip_address"),
    Broken(63, remove("record", tag="issuewild"), "tag issuewild"),
    Broken(64, one("record", "ttl", 10), "ttl is 10"),
    Broken(65, one("record", "value", "192.0.2.1", name="api"), "'192.0.2.1'"),
    Broken(66, twice("record", name="api"), "twice"),
    Broken(67, one("record", "value", "letsencrypt.org", tag="issue"), "write letsencrypt.org."),
    Broken(68, record(name="a.b"), "no certificate has a.b.", frozenset({73})),
    Broken(
        69, one("record", "domain", "example.net", tag="issue"), "'example.net' is no zone", frozenset({63})
    ),
    Broken(70, one("uptime_alert", "notifications", []), "name an e-mail address"),
    Broken(71, one("uptime_alert", "check_id", "123", type="ssl_expiry"), "name its check", frozenset({75})),
    Broken(72, one("uptime_check", "enabled", False), "enabled = true"),
    Broken(73, one("uptime_check", "target", "https://other.example.com/", name="api"), "no digitalocean_uptime_check"),
    Broken(74, remove("uptime_alert", type="down"), "type down"),
    Broken(75, remove("uptime_alert", type="ssl_expiry"), "ssl_expiry"),
    Broken(76, remove("monitor_alert", type="droplet/disk"), "no alert on disk_utilization_percent"),
    Broken(77, remove("monitor_alert", type="disk_utilization_alerts"), "no alert on disk_utilization_alerts"),
    Broken(78, remove("monitor_alert", type="5xx"), "no alert on 5xx"),
    Broken(79, one("project_resources", "resources", []), "lists its urn"),
    Broken(80, to("project_resources", "resources/0", reference(DB, "urn")), "remove", frozenset({79})),
    Broken(81, one("project", "environment", "Prod"), "environment is 'Prod'"),
    Broken(82, one("droplet", "tags/1", "written-out"), "refer to a digitalocean_tag"),
    Broken(83, one("vpc", "ip_range", "10.244.0.0/20"), "keeps for itself"),
    Broken(84, one("ssh_key", "public_key", "ssh-dss AAAA"), "kind 'ssh-dss'"),
    Broken(85, top("terraform/backend", {"local": {}}), "the backend is local"),
    Broken(86, top("terraform/backend/s3/use_lockfile", False), "use_lockfile"),
    Broken(87, top("terraform/backend/s3/secret_key", "x"), "remove secret_key"),
    Broken(88, top("terraform/backend/s3/key", "staging-cell-2.tfstate"), "has the same state"),
    Broken(89, top("terraform/required_providers/digitalocean/version", ">= 2.0"), "add an upper bound"),
    Broken(90, top("terraform/required_version", ABSENT), "required_version"),
    Broken(91, top("provider/digitalocean/0/token", "x"), "a credential is written out", frozenset({121})),
    Broken(92, top("provider/digitalocean/0/requests_per_second", 50), "requests_per_second is 50"),
    Broken(93, top("locals/added", f"TOKEN={TOKEN}"), "a DigitalOcean token"),
    Broken(94, top("variable/added_api_key", {"type": "string"}), "sensitive = true"),
    Broken(95, one("project", "description", f"x {TOKEN}"), "a DigitalOcean token"),
    Broken(
        96, one("uptime_alert", "notifications/0/slack", [{"channel": "#x", "url": "https://hooks.slack.com/x"}]),
        "webhook is written out",
    ),
    Broken(97, also_in(CELL, FW), "is also", frozenset({40, 82})),
    Broken(98, also_in(CELL, "vpc", name="staging-vpc-2"), "overlaps"),
    Broken(99, also_in(CELL, BUCKET), "is also", frozenset({101})),
    Broken(100, also_in(CELL, "domain"), "is also", frozenset({63})),
    Broken(101, also_in(CELL, "ssh_key", name="staging-other"), "is also"),
    Broken(102, one("vpc", "name", "other-vpc", CELL, "data"), "no stack here makes"),
    Broken(103, one(LB, "healthcheck/path", "/ready"), "set /healthz"),
    Broken(104, one("droplet", "image", "debian-12-x64"), "set debian-13-x64"),
    Broken(105, add("terraform_aws_instance", {}), "of another provider"),
    Broken(106, in_user_data("ip daddr 169.254.0.0/16", "ip daddr 169.254.0.0/32"), "drops what containers send"),
    Broken(107, in_user_data("PasswordAuthentication no", "UsePAM no"), "PasswordAuthentication no"),
    Broken(108, one(DB, "engine", "mysql", engine="valkey"), "use pg or valkey"),
    Broken(109, one("vpc", "name", "other-vpc"), "begin it with staging-", frozenset({102})),
    Broken(110, one("database_user", "name", "somebody", name="control_plane"), "there is no database somebody"),
    Broken(111, in_generations(lambda table: table.pop(next(iter(table)))), "has no user"),
    Broken(112, twice("database_user", name="control_plane"), "2 resources make this user"),
    Broken(113, in_tenants(lambda table: table.update({"grace": table.popitem()[1]}), CELL), "is no tenant's id"),
    Broken(114, in_tenants(lambda table: next(iter(table.values())).update(connections=0)), "connections is 0"),
    Broken(
        115, one("spaces_bucket_object", "key", "tenants/all.json", for_each="local", bucket="credentials"),
        "write tenants/",
    ),
    Broken(116, one(BUCKET, "lifecycle_rule/0/prefix", "video/"), "raw video"),
    Broken(117, one(BUCKET, "lifecycle_rule/1/enabled", False, name="exports"), "set expiration.days and enabled"),
    Broken(118, one(KEY, "grant/1/permission", "read", name="config-app"), "the table has no such grant"),
    Broken(
        119, one(KEY, "grant/0/permission", "readwrite", name="config-app"), "writes config-app", frozenset({118})
    ),
    Broken(120, one("uptime_alert", "comparison", ABSENT, type="down"), "comparison is None"),
    Broken(121, top("module", {"other": {"source": "./other"}}), "module: what is in it is not read"),
    Broken(122, one(LB, "type", "GLOBAL"), "its type is GLOBAL"),
    Broken(123, one("database_logsink_rsyslog", "tls", False), "tls is not true"),
)  # fmt: skip
