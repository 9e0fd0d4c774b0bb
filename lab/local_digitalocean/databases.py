"""Databases and users of a cluster."""

import re

from lab.local_digitalocean.cluster_model import (
    ADMINISTRATOR,
    CACHES,
    CLUSTER,
    cluster_of,
    online,
    password,
)
from lab.local_digitalocean.errors import CONFLICT, FORBIDDEN, ApiError, not_found, unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes
from lab.local_digitalocean.store import Record

routes = Routes()

_NAME = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_.-]{0,62}$")  # 63 bytes (PostgreSQL documentation, section 4.1.1)


def postgres_of(request: Request) -> Record:
    """Return the cluster in the path, which has to be one with users and databases."""
    cluster = cluster_of(request)
    if cluster["engine"] in CACHES:
        raise unprocessable("this engine has no users and databases")
    return cluster


def inside(found: Record | None) -> Record:
    """Return what was found in a cluster.

    Raises:
        ApiError: 404: nothing was found.
    """
    if found is None:
        raise not_found()
    return found


@routes.add("GET", CLUSTER + "/dbs")
def _list_databases(request: Request) -> Answer:
    # Databases, users and pools have no pages (OpenAPI document).
    return 200, {"dbs": list(postgres_of(request)["_databases"].values())}


@routes.add("POST", CLUSTER + "/dbs")
def _create_database(request: Request) -> Answer:
    account, cluster, name = request.account, postgres_of(request), _name(request)
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
    return 200, {"db": inside(postgres_of(request)["_databases"].get(request.parts["database_name"]))}


@routes.add("DELETE", CLUSTER + "/dbs/{database_name}")
def _delete_database(request: Request) -> Answer:
    account, cluster, name = request.account, postgres_of(request), request.parts["database_name"]
    inside(cluster["_databases"].get(name))
    if account.servers is not None:
        account.servers.drop_database(account, cluster, name)
    del cluster["_databases"][name]
    cluster["_pools"] = {key: pool for key, pool in cluster["_pools"].items() if pool["db"] != name}
    return 204, None


@routes.add("GET", CLUSTER + "/users")
def _list_users(request: Request) -> Answer:
    return 200, {"users": list(postgres_of(request)["_users"].values())}


@routes.add("POST", CLUSTER + "/users")
def _create_user(request: Request) -> Answer:
    account, cluster, name = request.account, postgres_of(request), _name(request)
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
    return 200, {"user": inside(postgres_of(request)["_users"].get(request.parts["username"]))}


@routes.add("DELETE", CLUSTER + "/users/{username}")
def _delete_user(request: Request) -> Answer:
    account, cluster, name = request.account, postgres_of(request), request.parts["username"]
    inside(cluster["_users"].get(name))
    if name == ADMINISTRATOR:
        raise ApiError(FORBIDDEN, "the primary user cannot be deleted")
    if account.servers is not None:
        account.servers.drop_user(account, cluster, name)
    del cluster["_users"][name]
    return 204, None


@routes.add("POST", CLUSTER + "/users/{username}/reset_auth")
def _reset_user(request: Request) -> Answer:
    account, cluster, name = request.account, postgres_of(request), request.parts["username"]
    user = inside(cluster["_users"].get(name))
    user["password"] = password()
    if account.servers is not None:
        account.servers.set_password(account, cluster, name, user["password"])
    return 200, {"user": user}
