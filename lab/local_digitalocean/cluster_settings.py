"""Settings of a database cluster: its configuration, its eviction policy, its firewall, where its logs are sent."""

from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from lab.local_digitalocean.cluster_model import CACHES, CLUSTER, EVICTION_POLICIES, cluster_of, online
from lab.local_digitalocean.errors import not_found, unprocessable
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


_SINK = f"{CLUSTER}/logsink/{{logsink_id}}"
_SINKS = {"rsyslog": ("server", "port", "format"), "opensearch": ("url", "index_prefix")}
"""Kinds that the provider makes, and what each needs (OpenAPI document, "Create Logsink")."""


@routes.add("GET", CLUSTER + "/logsink")
def _list_sinks(request: Request) -> Answer:
    return 200, {"sinks": list(_sinks(request).values())}


@routes.add("POST", CLUSTER + "/logsink")
def _create_sink(request: Request) -> Answer:
    sinks = _sinks(request)
    request.need("sink_name", "sink_type", "config")
    choice(request.body, "sink_type", _SINKS)
    name, kind, config = (request.body[each] for each in ("sink_name", "sink_type", "config"))
    if any(sink["sink_name"] == name for sink in sinks.values()):
        raise unprocessable("a sink of this name exists")
    identifier = request.account.uuid()
    sinks[identifier] = {
        "sink_id": identifier,
        "sink_name": name,
        "sink_type": kind,
        "config": _config(kind, config),
    }
    return 201, {"sink": sinks[identifier]}


@routes.add("GET", _SINK)
def _get_sink(request: Request) -> Answer:
    # Without a name around it (godo 1.202, Databases.GetLogsink).
    return 200, _sink(request)


@routes.add("PUT", _SINK)
def _update_sink(request: Request) -> Answer:
    sink = _sink(request)
    sink["config"] = _config(sink["sink_type"], request.body.get("config") or {})
    return 200, None


@routes.add("DELETE", _SINK)
def _delete_sink(request: Request) -> Answer:
    del _sinks(request)[_sink(request)["sink_id"]]
    return 200, None


def _sinks(request: Request) -> dict[str, Record]:
    sinks: dict[str, Record] = cluster_of(request).setdefault("_sinks", {})
    return sinks


def _sink(request: Request) -> Record:
    found = _sinks(request).get(request.last_id)
    if found is None:
        raise not_found()
    return found


def _config(kind: str, config: Record) -> Record:
    if missing := [name for name in _SINKS[kind] if config.get(name) in (None, "", 0)]:
        raise unprocessable(f"config.{missing[0]} can't be blank")
    return config
