"""Connection pools of Postgres clusters (PgBouncer)."""

from lab.local_digitalocean import catalogue
from lab.local_digitalocean.cluster_model import ADMINISTRATOR, CLUSTER, connection, online
from lab.local_digitalocean.databases import inside, postgres_of
from lab.local_digitalocean.errors import CONFLICT, ApiError, unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes, choice, within
from lab.local_digitalocean.store import Record

routes = Routes()

MOST_POOLS = 21  # of a cluster (product documentation, PostgreSQL, "Limits")
POOL_MODES = ("transaction", "session", "statement")


def connections(cluster: Record) -> int:
    """Return how many connections clients of a cluster have."""
    return catalogue.server_connections(cluster["size"]) - catalogue.KEPT_CONNECTIONS


@routes.add("GET", CLUSTER + "/pools")
def _list_pools(request: Request) -> Answer:
    cluster = postgres_of(request)
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
    cluster, body = postgres_of(request), request.body
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
    return inside(postgres_of(request)["_pools"].get(request.parts["pool_name"]))


@routes.add("GET", CLUSTER + "/pools/{pool_name}")
def _get_pool(request: Request) -> Answer:
    return 200, {"pool": _pool(postgres_of(request), _pool_of(request))}


@routes.add("PUT", CLUSTER + "/pools/{pool_name}")
def _update_pool(request: Request) -> Answer:
    pool = _pool_of(request)
    request.need("mode", "size", "db")
    pool.update(_pool_fields(postgres_of(request), request.body, pool["size"]))
    return 204, None


@routes.add("DELETE", CLUSTER + "/pools/{pool_name}")
def _delete_pool(request: Request) -> Answer:
    del postgres_of(request)["_pools"][_pool_of(request)["name"]]
    return 204, None
