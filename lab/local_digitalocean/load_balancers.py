"""Load balancers."""

from typing import Any

from lab.local_digitalocean import catalogue, projects
from lab.local_digitalocean.errors import CONFLICT, unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes, choice, within
from lab.local_digitalocean.store import Account, Record, public

routes = Routes()

MOST_RULES, MOST_DROPLETS = 40, 10  # documentation, Load Balancers, "Limits"
# OpenAPI document, schemas "forwarding_rule" and "health_check".
ENTRY_PROTOCOLS = ("http", "https", "http2", "http3", "tcp", "udp")
TARGET_PROTOCOLS = ("http", "https", "http2", "tcp", "udp")
TLS_PROTOCOLS = ("https", "http2", "http3")
RESERVED_PORTS = range(50053, 50056)
HEALTH_RANGES = {
    "check_interval_seconds": (3, 300),
    "response_timeout_seconds": (3, 300),
    "unhealthy_threshold": (2, 10),
    "healthy_threshold": (2, 10),
}
USUAL_HEALTH_CHECK = {
    "protocol": "http",
    "port": 80,
    "path": "/",
    "check_interval_seconds": 10,
    "response_timeout_seconds": 5,
    "unhealthy_threshold": 3,
    "healthy_threshold": 5,
}
# What the API answers for what a request leaves out.
USUAL: Record = {
    "algorithm": "round_robin",
    "redirect_http_to_https": False,
    "enable_proxy_protocol": False,
    "enable_backend_keepalive": False,
    "http_idle_timeout_seconds": 60,
    "disable_lets_encrypt_dns_records": False,
    "network": "EXTERNAL",
    "network_stack": "IPV4",
    "type": "REGIONAL",
    "tls_cipher_policy": "DEFAULT",
    "size_unit": 1,
}
# Documentation addresses (RFC 5737), one block for load balancers.
ADDRESSES = "198.51.100."
HOSTS = 254


@routes.add("GET", "/v2/load_balancers")
def _list_balancers(request: Request) -> Answer:
    account = request.account
    shown = [_balancer(account, one) for one in account.all("load_balancers")]
    return 200, request.page("load_balancers", shown)


@routes.add("POST", "/v2/load_balancers")
def _create_balancer(request: Request) -> Answer:
    request.need("name", "forwarding_rules", "region")
    account, body = request.account, request.body
    account.unique("load_balancers", body["name"], CONFLICT, "load balancer with this name already exists")
    if len(account.tables["load_balancers"]) >= account.quotas.load_balancers:
        raise unprocessable("this would exceed your account's load balancer limit")
    projects.check(account, body.get("project_id"))
    identifier = account.uuid()
    taken = {one["_ip"] for one in account.all("load_balancers")}
    address = next(one for one in (f"{ADDRESSES}{host}" for host in range(1, HOSTS)) if one not in taken)
    balancer = {
        **_wanted(account, body),
        "id": identifier,
        "ip": "",
        "status": "new",
        "created_at": account.clock.stamp(),
        "_ip": address,
    }
    account.tables["load_balancers"][identifier] = balancer
    projects.assign(account, f"do:loadbalancer:{identifier}", body.get("project_id"))
    seconds = account.durations.load_balancer
    account.schedule(seconds, "load_balancers", identifier, status="active", ip=address)
    return 202, {"load_balancer": _balancer(account, balancer)}


def _wanted(account: Account, body: Record) -> Record:
    """Check a load balancer; return it as the API stores it."""
    rules = [_forwarding_rule(account, rule) for rule in body["forwarding_rules"]]
    if len(rules) > MOST_RULES:
        raise unprocessable(f"a load balancer has at most {MOST_RULES} forwarding rules")
    if len({(rule["entry_port"], rule["entry_protocol"] in ("udp", "http3")) for rule in rules}) < len(rules):
        raise unprocessable("forwarding rules must have unique entry ports")
    choice(body, "algorithm", ("round_robin", "least_connections"))
    choice(body, "type", ("REGIONAL", "REGIONAL_NETWORK", "GLOBAL"))
    choice(body, "tls_cipher_policy", ("DEFAULT", "STRONG"))
    within(body, "size_unit", 1, 100)
    if body.get("tag") and body.get("droplet_ids"):
        raise unprocessable("specify either tag or droplet_ids, not both")
    if len(body.get("droplet_ids") or []) > MOST_DROPLETS:
        raise unprocessable(f"a load balancer takes at most {MOST_DROPLETS} droplet_ids; use a tag")
    for droplet in body.get("droplet_ids") or []:
        account.referred("droplets", droplet, f"droplet {droplet} not found")
    if body.get("tag"):
        account.tag_all([body["tag"]])
    health = {**USUAL_HEALTH_CHECK, **(body.get("health_check") or {})}
    for name, (low, high) in HEALTH_RANGES.items():
        within(health, name, low, high)
    region = catalogue.region(body["region"])
    given = {key: body[key] for key in USUAL if body.get(key) not in (None, "")}
    optional: dict[str, Any] = {key: body[key] for key in ("sticky_sessions", "firewall") if body.get(key)}
    return {
        **USUAL,
        **given,
        "sticky_sessions": {"type": "none"},
        **optional,
        "name": body["name"],
        "region": region,
        "forwarding_rules": rules,
        "health_check": health,
        "tag": body.get("tag") or "",
        "droplet_ids": body.get("droplet_ids") or [],
        "vpc_uuid": _vpc(account, body),
    }


def _vpc(account: Account, body: Record) -> str:
    if body.get("vpc_uuid"):
        vpc = account.referred("vpcs", body["vpc_uuid"], "vpc not found")
        if vpc["region"] != body["region"]:
            raise unprocessable("the VPC is in another region")
        return str(vpc["id"])
    default = next(
        (one for one in account.all("vpcs") if one["region"] == body["region"] and one["default"]), None
    )
    return str(default["id"]) if default else ""


def _forwarding_rule(account: Account, rule: Record) -> Record:
    choice(rule, "entry_protocol", ENTRY_PROTOCOLS)
    choice(rule, "target_protocol", TARGET_PROTOCOLS)
    for port in ("entry_port", "target_port"):
        within(rule, port, 1, 65535)
    if rule.get("entry_port") in RESERVED_PORTS:
        raise unprocessable(f"port {rule['entry_port']} is reserved")
    passthrough = rule.get("tls_passthrough") or False
    certificate = rule.get("certificate_id") or ""
    if certificate:
        found = account.referred("certificates", certificate, f"certificate {certificate} not found")
        if found["state"] != "verified":
            raise unprocessable(f"certificate {certificate} is {found['state']}")
    elif rule.get("entry_protocol") in TLS_PROTOCOLS and not passthrough:
        raise unprocessable("a forwarding rule that terminates TLS needs a certificate_id")
    kept = ("entry_protocol", "entry_port", "target_protocol", "target_port")
    return {**{key: rule[key] for key in kept}, "certificate_id": certificate, "tls_passthrough": passthrough}


def droplets_behind(account: Account, balancer: Record) -> list[Record]:
    """Return the droplets that a load balancer sends requests to."""
    if balancer["tag"]:
        return list(account.tagged("droplets", balancer["tag"]))
    return [account.tables["droplets"][str(one)] for one in balancer["droplet_ids"]
            if str(one) in account.tables["droplets"]]  # fmt: skip


def _balancer(account: Account, balancer: Record) -> Record:
    return {
        **public(balancer),
        "droplet_ids": [droplet["id"] for droplet in droplets_behind(account, balancer)],
        "project_id": projects.project_of(account, f"do:loadbalancer:{balancer['id']}"),
    }


@routes.add("GET", "/v2/load_balancers/{lb_id}")
def _get_balancer(request: Request) -> Answer:
    balancer = request.account.get("load_balancers", request.parts["lb_id"])
    return 200, {"load_balancer": _balancer(request.account, balancer)}


@routes.add("PUT", "/v2/load_balancers/{lb_id}")
def _update_balancer(request: Request) -> Answer:
    account, body = request.account, request.body
    balancer = account.get("load_balancers", request.parts["lb_id"])
    body.setdefault("region", balancer["region"]["slug"])
    request.need("name", "forwarding_rules")
    taken = "load balancer with this name already exists"
    account.unique("load_balancers", body["name"], CONFLICT, taken, but=balancer["id"])
    if body["region"] != balancer["region"]["slug"] or body.get("type", balancer["type"]) != balancer["type"]:
        raise unprocessable("region and type of a load balancer cannot change")
    wanted = _wanted(account, body)
    if body.get("vpc_uuid") and wanted["vpc_uuid"] != balancer["vpc_uuid"]:
        raise unprocessable("the VPC of a load balancer cannot change")
    balancer.update({**wanted, "vpc_uuid": balancer["vpc_uuid"]})
    if body.get("project_id"):
        projects.assign(account, f"do:loadbalancer:{balancer['id']}", body["project_id"])
    return 200, {"load_balancer": _balancer(account, balancer)}


@routes.add("DELETE", "/v2/load_balancers/{lb_id}")
def _delete_balancer(request: Request) -> Answer:
    balancer = request.account.get("load_balancers", request.parts["lb_id"])
    del request.account.tables["load_balancers"][balancer["id"]]
    return 204, None
