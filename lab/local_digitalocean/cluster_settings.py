"""Settings of a database cluster: its configuration, its eviction policy, its firewall."""

from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from lab.local_digitalocean.cluster_model import CACHES, CLUSTER, EVICTION_POLICIES, cluster_of, online
from lab.local_digitalocean.errors import unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes, choice
from lab.local_digitalocean.store import Account, Record

routes = Routes()

MOST_RULES = 100
_RULE_KINDS = {"droplet": "droplets", "tag": "tags"}


@routes.add("GET", CLUSTER + "/config")
def _get_config(request: Request) -> Answer:
    return 200, {"config": cluster_of(request)["_config"]}


@routes.add("PATCH", CLUSTER + "/config")
def _update_config(request: Request) -> Answer:
    cluster = cluster_of(request)
    request.need("config")
    online(cluster)
    cluster["_config"] |= request.body["config"]
    return 200, None


@routes.add("GET", CLUSTER + "/eviction_policy")
def _get_eviction_policy(request: Request) -> Answer:
    return 200, {"eviction_policy": _cache(request)["_eviction_policy"]}


@routes.add("PUT", CLUSTER + "/eviction_policy")
def _set_eviction_policy(request: Request) -> Answer:
    request.need("eviction_policy")
    choice(request.body, "eviction_policy", EVICTION_POLICIES)
    _cache(request)["_eviction_policy"] = request.body["eviction_policy"]
    return 204, None


def _cache(request: Request) -> Record:
    cluster = cluster_of(request)
    if cluster["engine"] not in CACHES:
        raise unprocessable("this engine has no eviction policy")
    return cluster


@routes.add("GET", CLUSTER + "/firewall")
def _get_firewall(request: Request) -> Answer:
    return 200, {"rules": cluster_of(request)["rules"]}


@routes.add("PUT", CLUSTER + "/firewall")
def _set_firewall(request: Request) -> Answer:
    account, cluster = request.account, cluster_of(request)
    wanted = request.body.get("rules") or []
    if len(wanted) > MOST_RULES:
        raise unprocessable(f"a cluster has at most {MOST_RULES} firewall rules")
    for rule in wanted:
        _check_rule(account, rule)
    known = {(rule["type"], rule["value"]): rule for rule in cluster["rules"]}
    cluster["rules"] = [
        known.get((rule["type"], rule["value"]))
        or {
            "uuid": account.uuid(),
            "cluster_uuid": cluster["id"],
            "type": rule["type"],
            "value": rule["value"],
            "created_at": account.clock.stamp(),
        }
        for rule in wanted
    ]
    return 204, None


def _check_rule(account: Account, rule: Record) -> None:
    choice(rule, "type", ("droplet", "k8s", "ip_addr", "tag", "app"))
    kind, value = rule.get("type"), str(rule.get("value") or "")
    if kind in _RULE_KINDS:
        account.referred(_RULE_KINDS[str(kind)], value, f"{kind} {value} not found")
    elif kind == "ip_addr":
        try:
            IPv4Network(value, strict=False)
        except (AddressValueError, NetmaskValueError, ValueError):
            raise unprocessable(f"invalid IP address: {value}") from None
