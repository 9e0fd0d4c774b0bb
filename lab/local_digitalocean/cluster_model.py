"""What a database cluster is to all who ask for one: its path, its limits, where it listens, who connects."""

import re
import secrets
from urllib.parse import quote

from lab.local_digitalocean import catalogue
from lab.local_digitalocean.errors import PRECONDITION_FAILED, ApiError
from lab.local_digitalocean.routes import Request
from lab.local_digitalocean.store import Record

CLUSTER = "/v2/databases/{database_cluster_uuid}"

# OpenAPI document, schema "database_cluster". Redis can no longer be created; Valkey took its place.
ENGINES = ("pg", "mysql", "valkey", "mongodb", "kafka", "opensearch", "advanced_pg", "advanced_mysql")
VERSIONS = {"pg": ("13", "14", "15", "16", "17", "18"), "valkey": ("8",)}
PORTS = {"pg": 25060, "valkey": 25061}
ADMINISTRATOR, FIRST_DATABASE = "doadmin", "defaultdb"
METRICS_PORT = 9273
MOST_NODES = 3
MIB_PER_GIB = 1024
NAME = re.compile(
    r"^[a-z][a-z0-9-]{1,61}[a-z0-9]$"
)  # underscores are refused (digitalocean/api-v2 issue 194)

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CACHES = ("valkey", "redis")
EVICTION_POLICIES = (
    "noeviction", "allkeys_lru", "allkeys_random", "volatile_lru", "volatile_random", "volatile_ttl",
)  # fmt: skip
# Settings of a new cluster, as far as the stacks read them.
USUAL_CONFIG: dict[str, Record] = {
    "pg": {"timezone": "UTC", "idle_in_transaction_session_timeout": 0},
    "valkey": {"valkey_ssl": True, "valkey_persistence": "rdb", "valkey_timeout": 300},
}


def cluster_of(request: Request) -> Record:
    """Return the cluster in the path."""
    identifier = request.parts["database_cluster_uuid"]
    return request.account.get("clusters", identifier, "cluster not found")


def online(cluster: Record) -> None:
    """Refuse to change what is not ready.

    Raises:
        ApiError: 412.
    """
    if cluster["status"] != "online":
        raise ApiError(PRECONDITION_FAILED, f"cluster is {cluster['status']}; it must be online")


def password() -> str:
    """Make a password as DigitalOcean does, obviously not one of theirs."""
    return f"local_{secrets.token_urlsafe(16)}"


def address(cluster: Record, *, private: bool) -> tuple[str, int]:
    """Return where a cluster listens: a real server's address if one is behind it."""
    if cluster.get("_server"):
        return cluster["_server"]["host"], cluster["_server"]["port"]
    prefix = "private-" if private else ""
    return f"{prefix}{cluster['name']}-do-user-1-0.db.digitalocean.test", PORTS.get(cluster["engine"], 25060)


def connection(cluster: Record, user: Record, database: str, *, private: bool) -> Record:
    """Describe how a user reaches a database."""
    host, port = address(cluster, private=private)
    protocol = {"pg": "postgresql", "valkey": "rediss"}.get(cluster["engine"], cluster["engine"])
    who = f"{user['name']}:{quote(user.get('password', ''), safe='')}"
    tail = f"/{database}?sslmode=require" if database else ""
    return {
        "protocol": protocol,
        "uri": f"{protocol}://{who}@{host}:{port}{tail}",
        "database": database,
        "host": host,
        "port": port,
        "user": user["name"],
        "password": user.get("password", ""),
        "ssl": True,
    }


def storage(size: str) -> int:
    """Return what a size comes with, in MiB: 10 GiB with 1 GiB of memory, else 30 for every 2."""
    memory = catalogue.cluster_memory(size)
    return (10 if memory == 1 else 15 * memory) * MIB_PER_GIB
