"""What Terraform would make of an environment, made by requests to the local DigitalOcean."""

import hashlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from cloud_init.compose import render_compose
from cloud_init.nginx import render_nginx
from cloud_init.programs import render_programs
from lab.checked.estate import Estate
from model.access import HEALTH_PATH
from model.droplets import DropletGroupPlan
from model.migrations import MIGRATIONS_KEY
from model.naming import (
    ENVIRONMENT_ISOLATION,
    credentials_key,
    directory_key,
    isolation_key,
    secrets_key,
    tenant_database,
    tenant_user_of,
)
from model.outside_alerts import DOWN, RESOURCE_ALERTS, UPTIME_ALERTS, Kind
from model.reach.facts import Direction, PeerKind, Rule
from model.reach.planned import facts_of
from model.service_variables import service_secrets
from model.services import WATCHDOG_PATH, Store
from model.status import ENVIRONMENT_MANIFEST, manifest_key

TOLD = {"email": ["operations@presence360.app"]}


def make(estate: Estate) -> None:
    """Make everything."""
    plan = estate.plan
    for region in {plan.network.region}:
        estate.ask("POST", "/v2/vpcs", {"name": f"default-{region}", "region": region})
    vpc = estate.ask(
        "POST", "/v2/vpcs",
        {"name": plan.network.name, "region": plan.network.region, "ip_range": plan.network.ip_range},
    )["vpc"]["id"]  # fmt: skip
    for tag in (
        plan.network.environment_tag,
        *plan.network.group_tags.values(),
        *plan.network.plane_tags.values(),
    ):
        estate.ask("POST", "/v2/tags", {"name": tag})
    for bucket in _buckets(estate):
        _make_bucket(estate, bucket, plan.network.region)
    if plan.backups:
        _make_bucket(estate, plan.backups.copy_bucket, plan.backups.copy_region)
    balancers = _make_edge(estate, vpc)
    ports = _make_clusters(estate, vpc)
    _make_firewalls(estate, balancers, ports)
    for group in plan.groups:
        _make_group(estate, group, vpc)
    for tenant in plan.tenants:
        estate.put(plan.tenant_plane.credentials.name, credentials_key(tenant.id), {})
        estate.put(plan.control_plane.directory.name, directory_key(tenant.id), {})
    _make_alerts(estate, list(balancers.values()))


def _buckets(estate: Estate) -> Iterator[str]:
    plan = estate.plan
    for group in plan.groups:
        yield from (group.config.bucket, group.config.status_bucket)
    yield from (plan.tenant_plane.credentials.name, plan.control_plane.directory.name)
    if plan.backups:
        yield plan.backups.bucket


def _make_bucket(estate: Estate, name: str, region: str) -> None:
    credential = f"Credential={estate.environ['SPACES_ACCESS_KEY_ID']}/20260101/us-east-1/s3/aws4_request"
    request = urllib.request.Request(
        f"http://{name}.{region}.digitaloceanspaces.test/",
        method="PUT",
        headers={"Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=none"},
    )
    urllib.request.build_opener().open(request, timeout=30).close()


def _make_edge(estate: Estate, vpc: str) -> dict[str, str]:
    """Make zone, certificate and load balancers; return the ids of the latter by name."""
    edge = estate.plan.edge
    estate.ask("POST", "/v2/domains", {"name": edge.base_domain})
    records = f"/v2/domains/{edge.base_domain}/records"
    for tag in ("issue", "issuewild"):
        caa = {"type": "CAA", "name": "@", "data": "letsencrypt.org.", "flags": 0, "tag": tag}
        estate.ask("POST", records, caa)
    for label in edge.delegations:
        for server in ("ns1", "ns2", "ns3"):
            estate.ask("POST", records, {"type": "NS", "name": label, "data": f"{server}.digitalocean.com."})
    wanted = {
        "name": edge.certificate_name,
        "type": "lets_encrypt",
        "dns_names": list(edge.certificate_domains),
    }
    certificate = estate.ask("POST", "/v2/certificates", wanted)["certificate"]["id"]
    made = {}
    for balancer in edge.load_balancers:
        rule = {"entry_protocol": "https", "entry_port": 443, "target_protocol": "https", "target_port": 443,
                "certificate_id": certificate}  # fmt: skip
        body = {"name": balancer.name, "region": edge.region, "vpc_uuid": vpc, "tag": _tag(estate, balancer.group),
                "forwarding_rules": [rule], "redirect_http_to_https": True, "tls_cipher_policy": "STRONG",
                "health_check": {"protocol": "https", "port": 443, "path": HEALTH_PATH}}  # fmt: skip
        made[balancer.name] = str(estate.ask("POST", "/v2/load_balancers", body)["load_balancer"]["id"])
        found = estate.ask("GET", f"/v2/load_balancers/{made[balancer.name]}")["load_balancer"]
        for label in balancer.labels:
            estate.ask("POST", records, {"type": "A", "name": label, "data": found["ip"], "ttl": 300})
    return made


def _tag(estate: Estate, group: str) -> str:
    return estate.plan.network.group_tags[group]


def _make_clusters(estate: Estate, vpc: str) -> dict[Store, str]:
    """Make clusters with what is in them; return each store's port."""
    plan, ports = estate.plan, {}
    for cluster in (*plan.data.postgres, plan.data.valkey):
        store = Store.VALKEY if cluster is plan.data.valkey else Store.POSTGRES
        body = {"name": cluster.name, "engine": "valkey" if store is Store.VALKEY else "pg", "region": cluster.region,
                "version": cluster.version, "size": cluster.size, "num_nodes": cluster.nodes,
                "private_network_uuid": vpc}  # fmt: skip
        path = f"/v2/databases/{estate.ask('POST', '/v2/databases', body)['database']['id']}"
        found = estate.ask("GET", path)["database"]
        ports[store] = str(found["private_connection"]["port"])
        rules = [{"type": "tag", "value": _tag(estate, group)} for group in cluster.client_groups]
        estate.ask("PUT", f"{path}/firewall", {"rules": rules})
        if store is Store.POSTGRES:
            names = [plan.control_plane.database, *(tenant_database(one.id) for one in plan.tenants)]
            users = [
                plan.control_plane.user,
                *(tenant_user_of(key) for one in plan.tenants for key in one.users),
            ]
            for name in names:
                estate.ask("POST", f"{path}/dbs", {"name": name})
            for name in users:
                estate.ask("POST", f"{path}/users", {"name": name})
            estate.ask("POST", f"/_local/backups/{cluster.name}")
    return ports


def _make_firewalls(estate: Estate, balancers: dict[str, str], ports: dict[Store, str]) -> None:
    for firewall in facts_of(estate.plan).firewalls:
        rules = {
            direction: [
                _rule(rule, balancers, ports)
                for rule in sorted(firewall.rules)
                if rule.direction is direction
            ]
            for direction in Direction
        }
        body = {"name": firewall.name, "tags": sorted(firewall.tags), "inbound_rules": rules[Direction.IN],
                "outbound_rules": rules[Direction.OUT]}  # fmt: skip
        estate.ask("POST", "/v2/firewalls", body)


def _rule(rule: Rule, balancers: dict[str, str], ports: dict[Store, str]) -> dict[str, Any]:
    ends = "sources" if rule.direction is Direction.IN else "destinations"
    peer = {
        PeerKind.ADDRESS: {"addresses": [rule.peer.value]},
        PeerKind.TAG: {"tags": [rule.peer.value]},
        PeerKind.LOAD_BALANCER: {"load_balancer_uids": [balancers.get(rule.peer.value)]},
    }[rule.peer.kind]
    port = ports[Store(rule.ports.store)] if rule.ports.store else str(rule.ports)
    return {"protocol": rule.protocol, "ports": port, ends: peer}


def _make_group(estate: Estate, group: DropletGroupPlan, vpc: str) -> None:
    config = group.config
    texts = {
        "programs.json": render_programs(group),
        "compose.yaml": render_compose(group),
        "nginx.conf": render_nginx(group),
        "release.json": json.dumps({"images": dict(config.images)}, indent=2, sort_keys=True) + "\n",
    }
    if group.migrations:
        texts[MIGRATIONS_KEY] = json.dumps(asdict(group.migrations))
    for service in group.placement.services:
        names = sorted({*service_secrets(service), *config.secrets.get(service.name, {})})
        texts[secrets_key(service.name)] = "# Written\n" + "".join(f'{name}="value"\n' for name in names)
    digests = {key: hashlib.sha256(text.encode()).hexdigest() for key, text in texts.items()}
    for key, text in texts.items():
        if key != "programs.json":
            estate.put(config.bucket, key, text)
    if group.isolation:
        clusters = [{"name": key} for key in group.isolation.clusters]
        estate.put(config.bucket, isolation_key(ENVIRONMENT_ISOLATION), {"clusters": clusters})
    manifest = {"objects": digests, "release": "0f343b0931126a20", "programs": "5feceb66ffc86f38"}
    estate.put(config.bucket, manifest_key(ENVIRONMENT_MANIFEST), manifest)
    network = estate.plan.network
    tags = [network.environment_tag, _tag(estate, group.group)]
    tags += [network.plane_tags[plane] for plane in group.placement.planes]
    for name in group.droplet_names:
        body = {"name": name, "region": group.region, "size": group.size, "image": "debian-13-x64", "tags": tags,
                "vpc_uuid": vpc}  # fmt: skip
        estate.ask("POST", "/v2/droplets", body)


def _make_alerts(estate: Estate, balancers: list[str]) -> None:
    plan = estate.plan.observability
    if plan is None:
        return
    clusters = [str(one["id"]) for one in estate.all("/v2/databases", "databases")]
    watched: dict[Kind, dict[str, list[str]]] = {
        Kind.DROPLETS: {"tags": [plan.environment_tag]},
        Kind.LOAD_BALANCERS: {"entities": balancers},
        Kind.DATABASES: {"entities": clusters},
    }
    for alert in RESOURCE_ALERTS:
        body = {"type": alert.measure, "description": f"{plan.environment}: {alert.words}", "compare": "GreaterThan",
                "value": alert.above, "window": alert.window, "alerts": TOLD, "enabled": True}  # fmt: skip
        estate.ask("POST", "/v2/monitoring/alerts", {**body, **watched[alert.kind]})
    asked = {name: (f"https://{host}{HEALTH_PATH}", UPTIME_ALERTS) for name, host in plan.uptime.values()}
    name, host = plan.watchdog
    asked[name] = (f"https://{host}{WATCHDOG_PATH}", (DOWN,))
    for name, (target, alerts) in asked.items():
        body = {"name": name, "type": "https", "target": target, "enabled": True}
        check = estate.ask("POST", "/v2/uptime/checks", body)["check"]["id"]
        for one in alerts:
            rule = {"name": f"{name}-{one.key}", "type": one.type, "period": one.period, "threshold": one.threshold,
                    "comparison": one.comparison, "notifications": TOLD}  # fmt: skip
            estate.ask("POST", f"/v2/uptime/checks/{check}/alerts", rule)
