"""How many connections a cluster has, whose they are, and how many it takes.

The limit is the server's own, not the number that the size stands for (model/sizes.py): it is the one at which Postgres
refuses, tenants' own clusters included, and it follows a change of size by itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from droplet.journal import ERROR, log
from droplet.postgres import Client

_SCRIPT = Path(__file__).parent / "connections.sql"
_TIMEOUT_SECONDS = 15.0
_LINE = re.compile(r"connections\|([a-z0-9_-]+)\|([a-z() _-]+)\|([0-9]+)|limit\|([0-9]+)")


@dataclass(frozen=True)
class Connections:
    """Of one cluster.

    Attributes:
        used: by role and state.
        limit: how many it takes beside those that are reserved.
    """

    used: Mapping[tuple[str, str], int]
    limit: int


def count(client: Client) -> Connections | None:
    """Count the connections of a cluster; None if it does not say."""
    code, output, messages = client.run_script(client.database, _SCRIPT, {}, _TIMEOUT_SECONDS)
    used: dict[tuple[str, str], int] = {}
    limit = 0
    for line in output.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            code = code or 1
        elif match[4]:
            limit = int(match[4])
        else:
            used[match[1], match[2]] = int(match[3])
    if code != 0 or not limit:
        log(ERROR, f"{client.cluster}: connections cannot be counted: {messages.strip()[-300:]}")
        return None
    return Connections(used, limit)


def metrics(found: Mapping[str, Connections]) -> str:
    """Write them in Prometheus's text format, by cluster."""
    lines = [
        "# HELP presence360_postgres_connections Connections to a cluster, by whose they are and what they do.",
        "# TYPE presence360_postgres_connections gauge",
    ]
    for cluster, connections in sorted(found.items()):
        lines += [
            f'presence360_postgres_connections{{cluster="{cluster}",role="{role}",state="{state}"}} {number}'
            for (role, state), number in sorted(connections.used.items())
        ]
    lines += [
        "# HELP presence360_postgres_connections_limit Connections that a cluster takes.",
        "# TYPE presence360_postgres_connections_limit gauge",
        *(
            f'presence360_postgres_connections_limit{{cluster="{cluster}"}} {connections.limit}'
            for cluster, connections in sorted(found.items())
        ),
    ]
    return "\n".join(lines) + "\n"
