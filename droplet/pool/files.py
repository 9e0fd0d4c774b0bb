"""PgBouncer's files, written from the tenants' places. Every number is explained in docs/connections.md."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from droplet.pool.credentials import Place

SOCKETS = Path("/run/presence360/postgres")
PORT = 6432
"""Where the socket is, and part of its name, `.s.PGSQL.6432`: as in model/pool.py, which services are told. Nothing
listens on TCP."""

CLIENTS_OF_A_TENANT = 50
"""Connections that services of this droplet may hold to one tenant's pool; a service needs a few for each process."""

QUERY_WAIT_SECONDS = 15
"""How long a query waits for a connection, until PgBouncer closes its connection: nobody waits longer for a page."""

IDLE_SECONDS = 2
"""After this long without a query a connection to the server is closed, and its place is free for other tenants."""

PREPARED_STATEMENTS = 200
"""Of a server's connection. Those that were not used for the longest time are prepared again when they are needed."""

_ACT_AS_OWNER = (
    "SELECT pg_catalog.set_config('role', "
    "pg_catalog.regexp_replace(session_user::pg_catalog.text, '_g[0-9]+$', '_owner'), false)"
)
"""A login role acts as the owner role (docs/isolation.md). Set after each transaction as well: what a client set before
(`SET ROLE NONE`, `DISCARD ALL`) would meet the next one."""

_SETTINGS: Mapping[str, object] = {
    "listen_addr": "",
    "listen_port": PORT,
    "unix_socket_mode": "0777",
    # A user of one tenant is refused at another's database before Postgres is asked: there, its attempts would take the
    # other's places.
    "auth_type": "hba",
    # Nobody but this droplet's own user of PgBouncer reaches the admin console: see console.py.
    "admin_users": "",
    "stats_users": "",
    "pool_mode": "transaction",
    # What one pool may hold is all that it may hold: capacity counts it (model/pool.py).
    "min_pool_size": 0,
    "reserve_pool_size": 0,
    "max_db_client_connections": CLIENTS_OF_A_TENANT,
    "query_wait_timeout": QUERY_WAIT_SECONDS,
    "server_idle_timeout": IDLE_SECONDS,
    "client_login_timeout": QUERY_WAIT_SECONDS,
    "server_connect_timeout": 5,
    # A user that the isolation job has not let in yet, a cluster that fails over: soon tried again.
    "server_login_retry": 1,
    # A standby that takes over is found within this, and not within the kernel's two hours (tcp(7)).
    "tcp_keepidle": 30,
    "tcp_keepintvl": 10,
    "tcp_keepcnt": 3,
    "tcp_user_timeout": 15_000,
    "server_tls_sslmode": "verify-full",
    "server_tls_protocols": "secure",
    "max_prepared_statements": PREPARED_STATEMENTS,
    "server_reset_query_always": 1,
    "server_reset_query": _ACT_AS_OWNER,
    # The role is set above, and clients name it for direct connections. Other options are refused, not ignored.
    "ignore_startup_parameters": "role, extra_float_digits",
    "log_connections": 0,
    "log_disconnections": 0,
    "log_stats": 0,
}


@dataclass(frozen=True)
class Sizes:
    """How many connections a droplet may hold to a tenant's database, for each of its users.

    Attributes:
        droplets: among which they are divided.
        connections: that a user may hold, where the tenant's object does not say it.
    """

    droplets: int
    connections: int

    def of(self, place: Place) -> int:
        """Return a place's: what its user may hold, divided, and at least one (model/pool.py)."""
        return max(1, (place.connections or self.connections) // self.droplets)


def render(places: Sequence[Place], sizes: Sizes, folder: Path, sockets: Path) -> dict[str, str]:
    """Return PgBouncer's files by name.

    Args:
        places: the tenants' databases.
        sizes: of the pools.
        folder: where the files will be.
        sockets: the folder of the socket.
    """
    settings = {
        **_SETTINGS,
        "unix_socket_dir": sockets,
        "auth_file": folder / "userlist.txt",
        "auth_hba_file": folder / "hba.conf",
        "server_tls_ca_file": folder / "ca.pem",
        # No tenant can take another's place among the clients, either. Ten are for the admin console.
        "max_client_conn": CLIENTS_OF_A_TENANT * len(places) + 10,
    }
    lines = [
        "; Written by presence360-pool.service (droplet/pool): an edit here lasts half a minute.",
        "[databases]",
        *(_database(place, sizes) for place in places),
        "[pgbouncer]",
        *(f"{name} = {value}" for name, value in settings.items()),
    ]
    users = [f"{_quoted(login.user)} {_quoted(login.password)}" for place in places for login in place.logins]
    doors = [_door(place) for place in places]
    authorities = sorted({place.ca for place in places if place.ca})
    return {
        "ca.pem": "".join(f"{authority}\n" for authority in authorities),
        "hba.conf": "".join(f"{door}\n" for door in doors),
        "userlist.txt": "".join(f"{user}\n" for user in users),
        "pgbouncer.ini": "".join(f"{line}\n" for line in lines),
    }


def digest_of(files: Mapping[str, str]) -> str:
    """Name a state of the files after their content."""
    text = "".join(f"{name}\0{content}\0" for name, content in sorted(files.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _database(place: Place, sizes: Sizes) -> str:
    size = sizes.of(place)
    values = {
        "host": place.host,
        "port": place.port,
        "dbname": place.database,
        "pool_size": size,
        # Of all its users together: during a rotation each generation has its own.
        "max_db_connections": size * len(place.logins),
        "connect_query": _ACT_AS_OWNER,
    }
    # In the file's own quotes, a quote is written twice (pgbouncer(5), "[databases]").
    parts = (f"{name}='{str(value).replace(chr(39), 2 * chr(39))}'" for name, value in values.items())
    # Without the quotes that pgbouncer(5) has for names with hyphens: 1.24.1 takes them for an error.
    return f"{place.database} = {' '.join(parts)}"


def _door(place: Place) -> str:
    users = ",".join(_quoted(login.user) for login in place.logins)
    return f"local {_quoted(place.database)} {users} scram-sha-256"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
