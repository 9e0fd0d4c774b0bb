"""What is inside a database cluster: databases, users, pools, configuration, firewall rules."""

import re
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from tools.local_digitalocean import catalogue
from tools.local_digitalocean.clusters import (
    ADMINISTRATOR,
    CLUSTER,
    EVICTION_POLICIES,
    cluster_of,
    connection,
    online,
    password,
)
from tools.local_digitalocean.errors import CONFLICT, FORBIDDEN, ApiError, not_found, unprocessable
from tools.local_digitalocean.routes import Answer, Request, Routes, choice, within
from tools.local_digitalocean.store import Account, Record

routes = Routes()

_NAME = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_.-]{0,62}$")  # 63 bytes (PostgreSQL documentation, section 4.1.1)
# Connections of a node: 25 for a GiB of memory, of which DigitalOcean keeps 3, and no more than 1,000 (product
# documentation, PostgreSQL, "Limits"). Pools: 21 a cluster.
CONNECTIONS_PER_GIB, KEPT_CONNECTIONS, MOST_CONNECTIONS, MOST_POOLS = 25, 3, 1000, 21
POOL_MODES = ("transaction", "session", "statement")
MOST_RULES = 100
_RULE_KINDS = {"droplet": "droplets", "tag": "tags"}
_CACHES = ("valkey", "redis")


def _postgres(request: Request) -> Record:
    cluster = cluster_of(request)
    if cluster["engine"] in _CACHES:
        raise unprocessable("this engine has no users and databases")
    return cluster


def _inside(found: Record | None) -> Record:
    if found is None:
        raise not_found()
    return found


@routes.add("GET", CLUSTER + "/dbs")
def _list_databases(request: Request) -> Answer:
    # Neither databases nor users nor pools come in pages (OpenAPI document).
    return 200, {"dbs": list(_postgres(request)["_databases"].values())}


@routes.add("POST", CLUSTER + "/dbs")
def _create_database(request: Request) -> Answer:
    account, cluster, name = request.account, _postgres(request), _name(request)
    online(cluster)
    if name in cluster["_databases"]:
        raise ApiError(CONFLICT, "database name is not available")
    if account.servers is not None:
        account.servers.create_database(account, cluster, name)
    cluster["_databases"][name] = {"name": name}
    return 201, {"db": {"name": name}}


def _name(request: Request) -> str:
    request.need("name")
    name = str(request.body["name"])
    if not _NAME.match(name):
        raise unprocessable(f"invalid name: {name}")
    return name


@routes.add("GET", CLUSTER + "/dbs/{database_name}")
def _get_database(request: Request) -> Answer:
    return 200, {"db": _inside(_postgres(request)["_databases"].get(request.parts["database_name"]))}


@routes.add("DELETE", CLUSTER + "/dbs/{database_name}")
def _delete_database(request: Request) -> Answer:
    account, cluster, name = request.account, _postgres(request), request.parts["database_name"]
    _inside(cluster["_databases"].get(name))
    if account.servers is not None:
        account.servers.drop_database(account, cluster, name)
    del cluster["_databases"][name]
    cluster["_pools"] = {key: pool for key, pool in cluster["_pools"].items() if pool["db"] != name}
    return 204, None


@routes.add("GET", CLUSTER + "/users")
def _list_users(request: Request) -> Answer:
    return 200, {"users": list(_postgres(request)["_users"].values())}


@routes.add("POST", CLUSTER + "/users")
def _create_user(request: Request) -> Answer:
    account, cluster, name = request.account, _postgres(request), _name(request)
    online(cluster)
    if name in cluster["_users"]:
        raise ApiError(CONFLICT, "user name is not available")
    user = {"name": name, "role": "normal", "password": password()}
    if account.servers is not None:
        account.servers.create_user(account, cluster, name, user["password"])
    cluster["_users"][name] = user
    return 201, {"user": user}


@routes.add("GET", CLUSTER + "/users/{username}")
def _get_user(request: Request) -> Answer:
    return 200, {"user": _inside(_postgres(request)["_users"].get(request.parts["username"]))}


@routes.add("DELETE", CLUSTER + "/users/{username}")
def _delete_user(request: Request) -> Answer:
    account, cluster, name = request.account, _postgres(request), request.parts["username"]
    _inside(cluster["_users"].get(name))
    if name == ADMINISTRATOR:
        raise ApiError(FORBIDDEN, "the primary user cannot be deleted")
    if account.servers is not None:
        account.servers.drop_user(account, cluster, name)
    del cluster["_users"][name]
    return 204, None


@routes.add("POST", CLUSTER + "/users/{username}/reset_auth")
def _reset_user(request: Request) -> Answer:
    account, cluster, name = request.account, _postgres(request), request.parts["username"]
    user = _inside(cluster["_users"].get(name))
    user["password"] = password()
    if account.servers is not None:
        account.servers.set_password(account, cluster, name, user["password"])
    return 200, {"user": user}


def connections(cluster: Record) -> int:
    """Return how many connections clients of a cluster have."""
    memory = catalogue.cluster_memory(cluster["size"])
    return min(CONNECTIONS_PER_GIB * memory, MOST_CONNECTIONS) - KEPT_CONNECTIONS


@routes.add("GET", CLUSTER + "/pools")
def _list_pools(request: Request) -> Answer:
    cluster = _postgres(request)
    return 200, {"pools": [_pool(cluster, pool) for pool in cluster["_pools"].values()]}


def _pool(cluster: Record, pool: Record) -> Record:
    user = cluster["_users"].get(pool.get("user") or ADMINISTRATOR, {"name": pool.get("user", "")})
    return {
        **pool,
        "connection": connection(cluster, user, pool["name"], private=False),
        "private_connection": connection(cluster, user, pool["name"], private=True),
    }


@routes.add("POST", CLUSTER + "/pools")
def _create_pool(request: Request) -> Answer:
    request.need("name", "mode", "size", "db")
    cluster, body = _postgres(request), request.body
    online(cluster)
    if body["name"] in cluster["_pools"]:
        raise ApiError(CONFLICT, "pool name is not available")
    if len(cluster["_pools"]) >= MOST_POOLS:
        raise unprocessable(f"a cluster has at most {MOST_POOLS} connection pools")
    pool = {"name": body["name"], **_pool_fields(cluster, body, 0)}
    cluster["_pools"][pool["name"]] = pool
    return 201, {"pool": _pool(cluster, pool)}


def _pool_fields(cluster: Record, body: Record, freed: int) -> Record:
    choice(body, "mode", POOL_MODES)
    if body["db"] not in cluster["_databases"]:
        raise unprocessable("database does not exist")
    if body.get("user") and body["user"] not in cluster["_users"]:
        raise unprocessable("user does not exist")
    left = connections(cluster) - sum(pool["size"] for pool in cluster["_pools"].values()) + freed
    within(body, "size", 1, left)
    return {key: body[key] for key in ("mode", "size", "db", "user") if body.get(key)}


def _pool_of(request: Request) -> Record:
    return _inside(_postgres(request)["_pools"].get(request.parts["pool_name"]))


@routes.add("GET", CLUSTER + "/pools/{pool_name}")
def _get_pool(request: Request) -> Answer:
    return 200, {"pool": _pool(_postgres(request), _pool_of(request))}


@routes.add("PUT", CLUSTER + "/pools/{pool_name}")
def _update_pool(request: Request) -> Answer:
    pool = _pool_of(request)
    request.need("mode", "size", "db")
    pool.update(_pool_fields(_postgres(request), request.body, pool["size"]))
    return 204, None


@routes.add("DELETE", CLUSTER + "/pools/{pool_name}")
def _delete_pool(request: Request) -> Answer:
    del _postgres(request)["_pools"][_pool_of(request)["name"]]
    return 204, None


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
    if cluster["engine"] not in _CACHES:
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
