"""A church's dump as an operator opens it on their own machine: what `presence360 backups open` writes."""

import hashlib
import json
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from droplet.by_hand import SETTINGS, find_cluster
from droplet.move_tenant.inventory import inventory
from droplet.move_tenant.look import look
from droplet.move_tenant.pipe import DUMP
from droplet.names import Place
from droplet.postgres import Client
from droplet.session import Session
from droplet.work_login import Rights, login_within
from lab.managed_cluster import Cluster
from tests.isolation.clients import clients


def opened_dump(cluster: Cluster, database: str) -> bytes:
    """Dump a database of a cluster: the line that says what it is, and the archive."""
    with tempfile.TemporaryDirectory(prefix="presence360-dump-") as scratch:
        folder = Path(scratch)
        (folder / "environment.json").write_text(json.dumps(cluster.configuration({})), encoding="utf-8")
        found = find_cluster(folder, "shared")
        client = Client.prepare(found, folder / "client", clients(), application="test", settings=SETTINGS)
        with (
            Session(client, client.database, folder) as session,
            login_within(session, Rights(database)) as login,
            client.as_user(login.name, login.password, folder) as environment,
        ):
            reader = replace(client, environment=environment)
            with Session(client, database, folder) as looking, Session(reader, database, folder) as reading:
                seen = look(looking, Place(database))
                reading.ask("BEGIN READ ONLY")
                lines = inventory(reading)
            command = reader.pg_dump(database, *DUMP)
            archive = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    said = {
        "version": 1,
        "database": database,
        "cluster": "shared",
        "time": "2026-11-20T01:00:03Z",
        "server": seen.version,
        "encoding": seen.encoding,
        "extensions": dict(seen.extensions),
        "archive": {"bytes": len(archive), "sha256": hashlib.sha256(archive).hexdigest()},
        "lines": [list(line) for line in lines],
    }
    return json.dumps(said).encode() + b"\n" + archive
