"""Every clause of the longer policies is seen to fail, with its reason."""

import base64
import copy
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from policies.judge import broken, judge
from policies.pack import PACK
from policies.stack import make_stack

FIXTURES = Path(__file__).parent / "fixtures"
ABSENT = object()

CLUSTER, FIREWALL = "digitalocean_database_cluster", "digitalocean_database_firewall"
DATABASE, BUCKET = "digitalocean_database_db", "digitalocean_spaces_bucket"
EACH = "${each.value.anything}"


POLICIES_OF = {
    "alerts": {14, 70, 71},
    "bucket_pages": {13},
    "buckets": {8, 53, 54, 56, 57, 116, 117},
    "certificates": {9, 24, 25},
    "cloud_firewalls": {7, 37, 38, 39, 42},
    "data_is_protected": {1},
    "database_cluster_has_firewall": {4},
    "database_clusters": {2, 43, 44, 45, 46, 108},
    "database_firewalls": {3},
    "droplets": {6, 27, 28, 29, 30, 33, 35},
    "load_balancers": {5, 15, 16, 17, 18, 19, 20, 21, 22, 103},
    "outputs": {10},
    "service_secrets": {12},
    "spaces_keys": {11},
}
"""What each fixture is for."""


@dataclass(frozen=True)
class Case:
    """A passing fixture with one value changed, and words of the reason it must then fail for."""

    policy: str
    path: str  # keys and indices from the top of the stack, by slashes
    value: object
    reason: str

    def __str__(self) -> str:
        return f"{self.policy}: {self.path} = {'absent' if self.value is ABSENT else str(self.value)[:60]!r}"


def cases(policy: str, root: str, *changes: tuple[str, object, str]) -> list[Case]:
    return [Case(policy, f"{root}/{path}".strip("/"), value, reason) for path, value, reason in changes]


def user_data(line: str) -> tuple[str, str]:
    return "user_data", f"#cloud-config\nruncmd:\n  - {line}\n"


MOVED = {"from": f'{DATABASE}.live["t-9"]', "to": f'{DATABASE}.retired["t-9"]'}
PROTECT = "lifecycle.prevent_destroy"
DATA = [
    *[
        change
        for resource in (
            f"{CLUSTER}/pg",
            f"{BUCKET}/exports",
            "digitalocean_volume/disk",
            "digitalocean_domain/zone",
        )
        for change in (
            (f"resource/{resource}/lifecycle", ABSENT, PROTECT),
            (f"resource/{resource}/lifecycle/prevent_destroy", False, PROTECT),
            (f"resource/{resource}/lifecycle/prevent_destroy", EACH, PROTECT),
        )
    ],
    (f"resource/{DATABASE}/live/lifecycle", ABSENT, f"t-1: set {PROTECT}"),
    # retired databases: unprotected only where a moved block brought each of them from a protected resource
    ("moved", ABSENT, f"t-9: set {PROTECT}"),
    ("moved/0/from", f'{DATABASE}.live["t-1"]', f"t-9: set {PROTECT}"),
    ("moved/0/from", f'{DATABASE}.elsewhere["t-9"]', f"t-9: set {PROTECT}"),
    ("moved/0/to", f'{DATABASE}.elsewhere["t-9"]', f"t-9: set {PROTECT}"),
    ("locals/retired/t-8", {"database": "tenant_8"}, f"t-8: set {PROTECT}"),
    (f"resource/{DATABASE}/retired/for_each", ABSENT, f"set {PROTECT}"),
    (f"resource/{DATABASE}/retired/for_each", "${toset(var.retired)}", f"set {PROTECT}"),
    # clusters of retired tenants: the same
    (f"resource/{CLUSTER}/own/lifecycle", ABSENT, f"t-2: set {PROTECT}"),
    ("moved/1", ABSENT, f"t-9: set {PROTECT}"),
    ("moved/1/from", f'{DATABASE}.live["t-9"]', f"t-9: set {PROTECT}"),
    ("moved/1/from", f'{CLUSTER}.elsewhere["t-9"]', f"t-9: set {PROTECT}"),
    ("locals/retired_own/t-8", {}, f"t-8: set {PROTECT}"),
    # a cluster restored for a drill: unprotected only with every mark, and each is the drill's
    (f"resource/{CLUSTER}/drill/tags", ABSENT, PROTECT),
    (f"resource/{CLUSTER}/drill/tags", ["staging-restore-drill"], PROTECT),
    (f"resource/{CLUSTER}/drill/backup_restore", ABSENT, PROTECT),
    (f"resource/{CLUSTER}/drill/name", "staging-pg-2", PROTECT),
    # all the same, and not a drill's
    (
        f"resource/{CLUSTER}/drill",
        {
            "name": "staging",
            "backup_restore": {"database_name": "staging-pg"},
            "project_id": "${digitalocean_project.live.id}",
            "tags": ["staging"],
        },
        PROTECT,
    ),
    (f"resource/{CLUSTER}/drill/name", "staging-restore-drill", PROTECT),
    (f"resource/{CLUSTER}/drill/project_id", ABSENT, PROTECT),
    (f"resource/{CLUSTER}/drill/project_id", "${digitalocean_project.live.id}", PROTECT),
    (f"resource/{CLUSTER}/drill_again/name", "staging-pg-2", PROTECT),
    ("resource/digitalocean_project/drill_again/name", "staging", PROTECT),
    ("resource/digitalocean_tag/drill/name", "staging", PROTECT),
]
CLUSTERS = [
    ("pg/private_network_uuid", ABSENT, "private_network_uuid"),
    ("pg/private_network_uuid", "", "private_network_uuid"),
    ("pg/lifecycle", ABSENT, "ignore_changes"),
    ("pg/lifecycle/ignore_changes", ["tags"], "ignore_changes"),
    ("pg/maintenance_window", ABSENT, "maintenance_window"),
    ("pg/maintenance_window/0/hour", ABSENT, "maintenance_window"),
    ("pg/maintenance_window", "${local.window}", "maintenance_window is an expression"),
    ("pg/engine", ABSENT, "engine is None"),
    ("pg/engine", "redis", "engine is 'redis'"),
    ("pg/engine", "mysql", "engine is 'mysql'"),
    ("pg/engine", EACH, "engine is"),
    ("pg", {"count": 0}, "set private_network_uuid"),  # checkov alone: UNKNOWN, which does not fail
    ("valkey/eviction_policy", ABSENT, "eviction_policy is None"),
    ("valkey/eviction_policy", "allkeys_lru", "eviction_policy is 'allkeys_lru'"),
    ("valkey/eviction_policy", EACH, "eviction_policy is"),
]
DATABASE_FIREWALLS = [
    ("rule", ABSENT, "has no rule"),
    ("rule", [], "has no rule"),
    ("rule", "${local.rules}", "rule is an expression"),
    (
        "dynamic",
        {"rule": {"for_each": "${local.rules}", "content": {"type": "tag", "value": "x"}}},
        "dynamic",
    ),
    *[("rule/0/type", kind, f"rule type is '{kind}'") for kind in ("ip_addr", "droplet", "app", "k8s")],
    ("rule/0/type", ABSENT, "rule type is None"),
    ("rule/0/type", EACH, "rule type is"),
    ("rule/0/value", ABSENT, "a rule has no value"),
]
ONE_RULE = [{"type": "tag", "value": "staging-app"}]
SECOND = {"cluster_id": f"${{{CLUSTER}.pg.id}}", "rule": ONE_RULE}
CLUSTER_HAS_FIREWALL = [
    (f"{FIREWALL}", ABSENT, "has 0 firewall"),
    (f"{FIREWALL}/pg/cluster_id", "${data.digitalocean_database_cluster.pg.id}", "has 0 firewall"),
    (f"{FIREWALL}/pg/count", 0, "has 0 firewall"),
    (f"{FIREWALL}/pg/for_each", "${local.tags}", "has 0 firewall"),
    (f"{FIREWALL}/second", SECOND, f"${{{CLUSTER}.pg.id}} has 2 firewall resources"),
    (f"{FIREWALL}/cells", ABSENT, "has 0 firewall"),
    (f"{FIREWALL}/cells/for_each", "${local.some_cells}", "has 0 firewall"),
    (f"{FIREWALL}/cells/for_each", ABSENT, "has 0 firewall"),
    (f"{FIREWALL}/cells/cluster_id", f'${{{CLUSTER}.cells["one"].id}}', "has 0 firewall"),
]
HTTP_TARGET = {"entry_protocol": "http", "entry_port": 80, "target_protocol": "http", "target_port": 80}
LOAD_BALANCERS = [
    ("vpc_uuid", ABSENT, "set vpc_uuid"),
    ("redirect_http_to_https", ABSENT, "redirect_http_to_https"),
    ("redirect_http_to_https", False, "redirect_http_to_https"),
    ("redirect_http_to_https", EACH, "redirect_http_to_https"),
    ("tls_cipher_policy", ABSENT, "tls_cipher_policy"),
    ("tls_cipher_policy", "DEFAULT", "tls_cipher_policy"),
    ("disable_lets_encrypt_dns_records", ABSENT, "disable_lets_encrypt_dns_records"),
    ("disable_lets_encrypt_dns_records", False, "disable_lets_encrypt_dns_records"),
    ("droplet_tag", ABSENT, "by droplet_tag"),
    ("droplet_ids", ["${digitalocean_droplet.app.id}"], "by droplet_tag"),
    ("healthcheck", ABSENT, "healthcheck"),
    ("healthcheck/protocol", "http", "healthcheck"),
    ("healthcheck/path", "/", "healthcheck"),
    ("forwarding_rule", ABSENT, "no https forwarding_rule"),
    ("forwarding_rule", [HTTP_TARGET], "http:80: target_protocol is 'http'"),
    ("forwarding_rule/0/entry_protocol", "tcp", "entry_protocol must be"),
    ("forwarding_rule/0/entry_protocol", EACH, "entry_protocol must be"),
    ("forwarding_rule/0/target_protocol", "http", "target_protocol is 'http'"),
    ("forwarding_rule/0/target_protocol", ABSENT, "target_protocol is None"),
    ("forwarding_rule/0/certificate_name", ABSENT, "set certificate_name"),
    ("forwarding_rule/0/certificate_id", "${digitalocean_certificate.edge.uuid}", "certificate_id changes"),
]
SECRET = "".join(["wJalrXUtnFEMIK7MDENG", "bPxRfiCYEXAMPLEKEY00"])
PRIVATE_KEY = "-----BEGIN OPENSSH " + "PRIVATE KEY-----"
ENCODED = base64.b64encode(b"#!/bin/sh\nexport PASSWORD=not-a-real-one\n").decode()
PACKED = base64.b64encode(gzip.compress(b"PASSWORD=not-a-real-one\n", mtime=0)).decode()
USER_DATA = [
    ("user_data", ABSENT, "set user_data"),
    ("user_data", "", "set user_data"),
    ("user_data", "${local.user_data}", "user_data is an expression"),
    (*user_data("echo dop_v1_" + "0" * 64), "a DigitalOcean token in line 3"),
    (*user_data("echo DO801" + "A1" * 7 + "B"), "a Spaces access key in line 3"),
    (*user_data("echo AKIA" + "A1" * 8), "an AWS access key in line 3"),
    (*user_data(f"echo {SECRET}"), "a secret key in line 3"),
    (*user_data(f"KEY={SECRET}"), "a secret key in line 3"),
    (*user_data(PRIVATE_KEY), "a private key in line 3"),
    (*user_data("postgres://app:hunter22@db/app"), "a password inside an address in line 3"),
    (*user_data("password: hunter22"), "a password or secret in line 3"),
    (*user_data("export DB_PASSWORD='hunter22'"), "a password or secret in line 3"),
    (*user_data('{\\"client_secret\\": \\"hunter22\\"}'.replace("\\", "")), "a password or secret in line 3"),
    (*user_data("API_TOKEN=hunter22"), "a password or secret in line 3"),
    (
        *user_data("PGPASSWORD=${digitalocean_database_user.app.password}"),
        "a reference to a secret in line 3",
    ),
    (*user_data('x ${digitalocean_database_user.app["a"].password}'), "a reference to a secret in line 3"),
    (
        *user_data("x ${join(digitalocean_spaces_key.a.id, digitalocean_database_cluster.pg.uri)}"),
        "a reference",
    ),
    (*user_data(f"content: {ENCODED}"), "a password or secret, in base64, in line 3"),
    (*user_data(f"content: {PACKED}"), "a password or secret, in base64, in line 3"),
]
MACHINES = [
    ("vpc_uuid", ABSENT, "set vpc_uuid"),
    ("ssh_keys", ABSENT, "ssh_keys"),
    ("ssh_keys", [], "ssh_keys"),
    ("ssh_keys", EACH, "ssh_keys"),
    ("tags", ABSENT, "list at least one of tags"),
    ("tags", [], "list at least one of tags"),
]
DROPLETS = [
    ("monitoring", ABSENT, "monitoring"),
    ("monitoring", False, "monitoring"),
    ("monitoring", EACH, "monitoring"),
    ("lifecycle", ABSENT, "create_before_destroy"),
    ("lifecycle/create_before_destroy", False, "create_before_destroy"),
]
POOLS = [
    ("with_droplet_agent", ABSENT, "with_droplet_agent"),
    ("with_droplet_agent", False, "with_droplet_agent"),
]
OPEN_TO_LOAD_BALANCER = ["${digitalocean_loadbalancer.app.id}"]
SSH_ONLY = "SSH is for source_addresses only"
INBOUND_TCP = "admit by source_load_balancer_uids or source_tags only"
CLOUD_FIREWALLS = [
    ("droplet_ids", ["${digitalocean_droplet.app.id}"], "names droplet_ids"),
    ("tags", ABSENT, "has no tags"),
    ("tags", [], "has no tags"),
    ("inbound_rule/0/source_addresses", ["0.0.0.0/0"], "is open to everywhere"),
    ("inbound_rule/0/source_addresses", ["::/0"], "is open to everywhere"),
    ("inbound_rule/0/source_addresses", ["0.0.0.0/1", "128.0.0.0/1"], "is open to everywhere"),
    ("inbound_rule/3/source_addresses", ["0.0.0.0/0"], "icmp: is open to everywhere"),
    ("inbound_rule/0/source_addresses", ["198.51.0.0/16"], "narrower than /16"),
    ("inbound_rule/0/source_addresses", ["198.51.100.7/32", "198.51.0.0/16"], "narrower than /16"),
    ("inbound_rule/0/source_addresses", ["2001:db8::/32"], "narrower than /16"),
    ("inbound_rule/0/source_addresses", [EACH], "cannot be read"),
    ("inbound_rule/0/source_addresses", "${local.admins}", "source_addresses is an expression"),
    ("inbound_rule/0/source_addresses", ABSENT, SSH_ONLY),
    ("inbound_rule/0/source_load_balancer_uids", OPEN_TO_LOAD_BALANCER, SSH_ONLY),
    ("inbound_rule/0/source_tags", ["staging-app"], SSH_ONLY),
    ("inbound_rule/0/protocol", "any", "protocol must be"),
    ("inbound_rule/1/port_range", "1-1024", "holds port 22"),
    ("inbound_rule/1/port_range", "1-22", "holds port 22"),
    ("inbound_rule/1/port_range", "22-30", "holds port 22"),
    ("inbound_rule/1/port_range", "all", "holds port 22"),
    ("inbound_rule/1/port_range", ABSENT, "holds port 22"),
    ("inbound_rule/1/port_range", EACH, "cannot be read"),
    ("inbound_rule/1/source_load_balancer_uids", ABSENT, "names no source"),
    ("inbound_rule/1/source_addresses", ["10.60.0.0/20"], INBOUND_TCP),
    ("inbound_rule/1/source_droplet_ids", [1], INBOUND_TCP),
    ("inbound_rule/1/source_kubernetes_ids", ["x"], INBOUND_TCP),
    ("inbound_rule", "${local.rules}", "inbound_rule is an expression"),
    ("dynamic", {"inbound_rule": {"for_each": "${local.x}", "content": {"protocol": "tcp"}}}, "dynamic"),
    ("outbound_rule", ABSENT, "has no outbound_rule"),
    ("outbound_rule/0/port_range", "all", "nearly all ports"),
    ("outbound_rule/0/port_range", "1-65535", "nearly all ports"),
    ("outbound_rule/0/port_range", "0", "nearly all ports"),
    ("outbound_rule/0/port_range", ABSENT, "nearly all ports"),
    ("outbound_rule/0/port_range", "2-65534", "nearly all ports"),
    ("outbound_rule/1/port_range", "all", "nearly all ports"),
    ("outbound_rule/2/destination_addresses", ["0.0.0.0/1", "128.0.0.0/1"], "nearly all ports"),
    ("outbound_rule/2/destination_addresses", ["10.60.0.0/20", "::/0"], "nearly all ports"),
    ("outbound_rule/2/destination_addresses", "${local.all}", "destination_addresses is an expression"),
    ("outbound_rule/0/protocol", EACH, "protocol must be"),
]
BUCKETS = [
    ("config/acl", ABSENT, "acl"),
    ("config/acl", "public-read", "acl"),
    ("config/acl", "${each.value.acl}", "acl"),
    ("config/versioning", ABSENT, "versioning"),
    ("config/versioning/enabled", False, "versioning"),
    ("config/versioning/enabled", EACH, "versioning"),
    ("config/force_destroy", True, "force_destroy"),
    ("config/force_destroy", EACH, "force_destroy"),
    ("config/lifecycle_rule", ABSENT, "abort_incomplete"),
    ("config/lifecycle_rule/0/enabled", False, "abort_incomplete"),
    ("config/lifecycle_rule/0/abort_incomplete_multipart_upload_days", ABSENT, "abort_incomplete"),
    ("config/lifecycle_rule/0/abort_incomplete_multipart_upload_days", 0, "abort_incomplete"),
    ("config/name", ABSENT, "write its name out"),
    ("config/name", "${each.value.name}", "write its name out"),
    *[
        ("config/name", f"staging-{word}", "suggests raw video")
        for word in ("video", "raw", "recordings", "footage", "livestream", "mp4")
    ],
    ("exports/lifecycle_rule/1/prefix", "raw/", "suggests raw video"),
    ("exports/lifecycle_rule/1/expiration", ABSENT, "exports/: set expiration.days"),
    ("exports/lifecycle_rule/1/expiration/days", 0, "exports/: set expiration.days"),
    ("exports/lifecycle_rule/1/enabled", False, "exports/: set expiration.days"),
    ("exports/lifecycle_rule/2/expiration", ABSENT, "snapshots/: set expiration.days"),
    ("exports/lifecycle_rule/1/noncurrent_version_expiration", ABSENT, "noncurrent_version_expiration"),
    ("exports/lifecycle_rule/1/noncurrent_version_expiration/days", EACH, "noncurrent_version_expiration"),
    (
        "exports/lifecycle_rule",
        [{"id": "uploads", "enabled": True, "abort_incomplete_multipart_upload_days": 1}],
        "exports must expire",
    ),
]
PAGES = [
    *[
        ("allowed_origins/0", origin, f"{origin!r} is too wide")
        for origin in (
            "*", "https://*", "https://*.app", "http://*.presence360.app", "https://*presence360.app",
            "https://app.*.presence360.app", "https://*.*.presence360.app", "https://app.presence360.app/", EACH,
        )
    ],
    ("allowed_origins", [], "name the origins"),
    ("allowed_origins", ABSENT, "name the origins"),
    ("allowed_origins", "${var.origins}", "name the origins"),
    ("allowed_methods", ["GET", "DELETE"], "remove DELETE"),
    ("allowed_headers", ["*"], "name the headers"),
]  # fmt: skip
CERTIFICATES = [
    ("lifecycle", ABSENT, "create_before_destroy"),
    ("lifecycle/create_before_destroy", False, "create_before_destroy"),
    ("type", ABSENT, "type is None"),
    ("type", "custom", "type is 'custom'"),
    ("type", EACH, "type is"),
    ("domains", ABSENT, "list its domains"),
    ("domains", [], "list its domains"),
    ("domains", "${local.domains}", "list its domains"),
    ("domains", ["*.staging.example.com", "example.com"], "list staging.example.com beside"),
]
OUTPUTS = [
    ("output/login/sensitive", ABSENT, "shows password"),
    ("output/login/sensitive", False, "shows password"),
    ("output/login/sensitive", "${local.hidden}", "shows password"),
    ("output/host/value", "${digitalocean_database_cluster.pg.uri}", "shows uri"),
    ("output/host/value", {"a": ["x ${digitalocean_spaces_key.a.secret_key}"]}, "shows secret_key"),
    ("output/host/value", '${digitalocean_database_cluster.pg["private_uri"]}', "shows private_uri"),
    ("output/host/value", "${digitalocean_database_cluster.pg}", "shows digitalocean_database_cluster.pg"),
    ("output/host/value", "${digitalocean_database_user.a[each.key]}", "shows digitalocean_database_user.a"),
    (
        "output/users/value",
        "${{ for k, v in digitalocean_database_user.a : k => v.password }}",
        "shows password",
    ),
    ("locals/address", "${local.login}", "shows password"),
]
SPACES_KEYS = [
    ("grant", [], "add a grant"),
    ("grant", EACH, "is an expression"),
    ("grant/0/bucket", "", "name the bucket of each grant"),
    ("grant/0/bucket", ABSENT, "name the bucket of each grant"),
    ("grant/1/permission", "fullaccess", "permission is 'fullaccess'"),
    ("grant/1/permission", EACH, "write read or readwrite"),
]
SERVICE_SECRETS = [
    # Of a whole group, as they were.
    ("secrets/key", "secrets.env", "secrets.env shows var.staging_api_key"),
    ("secrets/key", "secrets.env", "secrets.env shows password"),
    ("settings/content", "KEY=${var.staging_api_key}", "settings.env shows var.staging_api_key"),
    (
        "settings/content",
        "URL=${digitalocean_database_cluster.pg.private_uri}",
        "settings.env shows private_uri",
    ),
    ("manifest/content", "${local.secrets}", "manifests/environment.json shows password"),
    ("registry/key", "compose.yaml", "compose.yaml shows var.staging_api_key"),
]
ALERTS = [
    ("digitalocean_monitor_alert/cpu/tags", ABSENT, "name what it watches: entities or tags"),
    ("digitalocean_monitor_alert/cpu/tags", [], "name what it watches: entities or tags"),
    ("digitalocean_monitor_alert/cpu/enabled", False, "set enabled = true"),
    ("digitalocean_monitor_alert/cpu/alerts/email", [], "name an e-mail address or a Slack channel"),
    ("digitalocean_uptime_alert/down/check_id", "", "name its check"),
    ("digitalocean_uptime_alert/down/notifications/0/email", [], "name an e-mail address or a Slack channel"),
]
POOL = "resource/digitalocean_droplet_autoscale/app/droplet_template"
CASES = [
    *cases("data_is_protected", "", *DATA),
    *cases("database_clusters", f"resource/{CLUSTER}", *CLUSTERS),
    *cases("database_firewalls", f"resource/{FIREWALL}/pg", *DATABASE_FIREWALLS),
    *cases("database_cluster_has_firewall", "resource", *CLUSTER_HAS_FIREWALL),
    # Of an empty map there is no cluster; of one entry there is.
    *cases("database_cluster_has_firewall", "", ("locals/own/t-1", {}, "has 0 firewall")),
    *cases("database_cluster_has_firewall", "", ("locals", ABSENT, "has 0 firewall")),
    *cases("load_balancers", "resource/digitalocean_loadbalancer/app", *LOAD_BALANCERS),
    *cases("droplets", "resource/digitalocean_droplet/app", *DROPLETS, *MACHINES, *USER_DATA),
    *cases("droplets", POOL, *POOLS, *MACHINES, USER_DATA[0], USER_DATA[3]),
    *cases("droplets", POOL.rpartition("/")[0], ("droplet_template", ABSENT, "set vpc_uuid")),
    *cases("cloud_firewalls", "resource/digitalocean_firewall/app", *CLOUD_FIREWALLS),
    *cases("buckets", f"resource/{BUCKET}", *BUCKETS),
    *cases("certificates", "resource/digitalocean_certificate/edge", *CERTIFICATES),
    *cases("outputs", "", *OUTPUTS),
    *cases(
        "bucket_pages", "resource/digitalocean_spaces_bucket_cors_configuration/exports/cors_rule/0", *PAGES
    ),
    *cases("spaces_keys", "resource/digitalocean_spaces_key/app", *SPACES_KEYS),
    *cases("alerts", "resource", *ALERTS),
    *cases("service_secrets", "resource/digitalocean_spaces_bucket_object", *SERVICE_SECRETS),
]


def changed(stack: dict[str, Any], case: Case) -> dict[str, Any]:
    """The stack with the case's value put in or taken out; KeyError if there is nothing to take out."""
    stack = copy.deepcopy(stack)
    *parents, last = [int(key) if key.isdigit() else key for key in case.path.split("/")]
    at: Any = stack
    for key in parents:
        at = at[key]
    if case.value is ABSENT:
        del at[last]
    else:
        at[last] = case.value
    return stack


def problems(stack: dict[str, Any]) -> set[tuple[int, str]]:
    """What is wrong, with the policy's number."""
    found = judge([make_stack(stack, "fixture/cdk.tf.json")])
    return {(finding.policy.number, problem) for finding in broken(found) for problem in finding.problems}


def passing(policy: str) -> dict[str, Any]:
    stack: dict[str, Any] = json.loads((FIXTURES / f"{policy}.tf.json").read_text("utf-8"))
    return stack


@pytest.mark.parametrize("fixture", POLICIES_OF)
def test_a_fixture_keeps_what_it_is_for(fixture: str) -> None:
    found = problems(passing(fixture))
    assert {one for one in found if one[0] in POLICIES_OF[fixture]} == set()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_clause_fails_and_says_why(case: Case) -> None:
    before = passing(case.policy)
    new = problems(changed(before, case)) - problems(before)
    assert any(case.reason in problem for _, problem in new), new


def test_the_fixtures_are_those_of_the_table() -> None:
    assert {file.name.removesuffix(".tf.json") for file in FIXTURES.iterdir()} == set(POLICIES_OF)
    assert {number for numbers in POLICIES_OF.values() for number in numbers} <= {
        policy.number for policy in PACK.values()
    }
