"""Database clusters: what is created, resized, upgraded, restored and deleted as a whole."""

import re

from lab.local_digitalocean import backups, catalogue, projects
from lab.local_digitalocean.cluster_model import (
    ADMINISTRATOR,
    CLUSTER,
    DAYS,
    ENGINES,
    FIRST_DATABASE,
    METRICS_PORT,
    MOST_NODES,
    NAME,
    USUAL_CONFIG,
    VERSIONS,
    address,
    cluster_of,
    connection,
    online,
    password,
    storage,
)  # fmt: skip
from lab.local_digitalocean.errors import CONFLICT, unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes, choice, within
from lab.local_digitalocean.store import Account, Record, public

routes = Routes()


def _shown(account: Account, cluster: Record) -> Record:
    administrator = cluster["_users"][cluster["_administrator"]]
    database = FIRST_DATABASE if cluster["engine"] == "pg" else ""
    host, _ = address(cluster, private=True)
    return {
        **public(cluster),
        "project_id": projects.project_of(account, f"do:dbaas:{cluster['id']}"),
        "users": list(cluster["_users"].values()) if cluster["engine"] == "pg" else None,
        "db_names": list(cluster["_databases"]) or None,
        "connection": connection(cluster, administrator, database, private=False),
        "private_connection": connection(cluster, administrator, database, private=True),
        "metrics_endpoints": [{"host": host, "port": METRICS_PORT}],
    }


@routes.add("GET", "/v2/databases")
def _list(request: Request) -> Answer:
    account, tag = request.account, request.query.get("tag_name")
    found = list(account.tagged("clusters", tag)) if tag else account.all("clusters")
    answer = request.page("databases", [_shown(account, cluster) for cluster in found])
    return 200, answer


@routes.add("POST", "/v2/databases")
def _create(request: Request) -> Answer:
    request.need("name", "engine", "size", "region", "num_nodes")
    account, body = request.account, request.body
    if body["engine"] not in ENGINES:
        raise unprocessable(f"invalid engine: {body['engine']}")
    if not NAME.match(body["name"]):
        raise unprocessable("invalid cluster name: lowercase letters, digits and hyphens only")
    account.unique("clusters", body["name"], CONFLICT, "cluster name is not available")
    _check_shape(body["engine"], body)
    catalogue.region(body["region"])
    projects.check(account, body.get("project_id"))
    restored = backups.restored(account, body)
    cluster = _new(account, body, restored)
    if account.servers is not None and cluster["engine"] == "pg":
        account.servers.create(account, cluster, restored)
    account.tables["clusters"][cluster["id"]] = cluster
    projects.assign(account, f"do:dbaas:{cluster['id']}", body.get("project_id"))
    account.schedule(account.durations.cluster, "clusters", cluster["id"], status="online")
    if cluster["engine"] == "pg":
        backups.backup(account, cluster, account.durations.cluster)
    return 201, {"database": _shown(account, cluster)}


def _new(account: Account, body: Record, restored: Record | None) -> Record:
    return {
        "id": account.uuid(),
        "name": body["name"],
        "engine": body["engine"],
        "version": _version(body),
        "semantic_version": f"{_version(body)}.0",
        "num_nodes": body["num_nodes"],
        "size": body["size"],
        "region": body["region"],
        "status": "forking" if restored else "creating",
        "created_at": account.clock.stamp(),
        "private_network_uuid": _vpc(account, body),
        "tags": account.tag_all(body.get("tags") or []),
        "maintenance_window": {"day": "monday", "hour": "03:00", "pending": False, "description": []},
        "storage_size_mib": body.get("storage_size_mib") or storage(body["size"]),
        "rules": [],
        "_config": dict(USUAL_CONFIG.get(body["engine"], {})),
        "_eviction_policy": "noeviction",
        "_pools": {},
        "_backups": [],
        **_inhabitants(body["engine"], restored),
    }


def _check_shape(engine: str, body: Record) -> None:
    within(body, "num_nodes", 1, MOST_NODES)
    catalogue.check_cluster_size(engine, body["size"], body["num_nodes"])


def _version(body: Record) -> str:
    known = VERSIONS.get(body["engine"], ())
    version = str(body.get("version") or (known[-1] if known else "1"))
    if known and version not in known:
        raise unprocessable(f"invalid version: {version}")
    return version


def _vpc(account: Account, body: Record) -> str:
    if not body.get("private_network_uuid"):
        default = (one for one in account.all("vpcs") if one["region"] == body["region"] and one["default"])
        return str(next(default, {"id": ""})["id"])
    vpc = account.referred("vpcs", body["private_network_uuid"], "private network not found")
    if vpc["region"] != body["region"]:
        raise unprocessable("the private network is in another region")
    return str(vpc["id"])


def _inhabitants(engine: str, restored: Record | None) -> Record:
    """Return users and databases of a new cluster; a restored one brings its source's, with new passwords."""
    if restored is not None:
        users = {name: {**user, "password": password()} for name, user in restored["_users"].items()}
        return {
            "_users": users,
            "_databases": dict(restored["_databases"]),
            "_administrator": restored["_administrator"],
        }
    name = "default" if engine == "valkey" else ADMINISTRATOR
    administrator = {"name": name, "role": "primary", "password": password()}
    databases = {FIRST_DATABASE: {"name": FIRST_DATABASE}} if engine == "pg" else {}
    return {"_users": {name: administrator}, "_databases": databases, "_administrator": name}


@routes.add("GET", CLUSTER)
def _get(request: Request) -> Answer:
    return 200, {"database": _shown(request.account, cluster_of(request))}


@routes.add("DELETE", CLUSTER)
def _delete(request: Request) -> Answer:
    account, cluster = request.account, cluster_of(request)
    if account.servers is not None:
        account.servers.delete(account, cluster)
    del account.tables["clusters"][cluster["id"]]
    return 204, None


@routes.add("PUT", CLUSTER + "/resize")
def _resize(request: Request) -> Answer:
    account, cluster, body = request.account, cluster_of(request), request.body
    request.need("size", "num_nodes")
    online(cluster)
    _check_shape(cluster["engine"], body)
    asked = max(body.get("storage_size_mib") or 0, storage(body["size"]))
    if asked < cluster["storage_size_mib"]:
        raise unprocessable("a cluster's disk cannot shrink")
    cluster.update(size=body["size"], num_nodes=body["num_nodes"], storage_size_mib=asked, status="resizing")
    account.schedule(account.durations.cluster, "clusters", cluster["id"], status="online")
    return 202, None


@routes.add("PUT", CLUSTER + "/maintenance")
def _maintain(request: Request) -> Answer:
    cluster = cluster_of(request)
    request.need("day", "hour")
    choice(request.body, "day", DAYS)
    if not re.match(r"^([01]\d|2[0-3]):[0-5]\d(:00)?$", request.body["hour"]):
        raise unprocessable("invalid hour")
    cluster["maintenance_window"] |= {"day": request.body["day"], "hour": request.body["hour"]}
    return 204, None


@routes.add("PUT", CLUSTER + "/upgrade")
def _upgrade(request: Request) -> Answer:
    account, cluster = request.account, cluster_of(request)
    request.need("version")
    online(cluster)
    known = VERSIONS.get(cluster["engine"], ())
    version = str(request.body["version"])
    if version not in known or int(version) <= int(cluster["version"]):
        raise unprocessable(f"cannot upgrade from {cluster['version']} to {version}")
    if account.servers is not None:
        raise unprocessable("a real server behind a cluster is not upgraded here")
    cluster.update(version=version, semantic_version=f"{version}.0")
    return 204, None


@routes.add("GET", CLUSTER + "/ca")
def _ca(request: Request) -> Answer:
    cluster_of(request)
    return 200, {"ca": {"certificate": request.account.authority.encoded()}}


@routes.add("GET", "/v2/databases/metrics/credentials")
def _metrics_credentials(request: Request) -> Answer:
    secret = request.account.secrets.setdefault("metrics", password())
    return 200, {"credentials": {"basic_auth_username": "metrics", "basic_auth_password": secret}}
