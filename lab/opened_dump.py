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
from lab.postgres_clients import clients


def opened_dump(configurations: Path, cluster: str, database: str) -> bytes:
    """Dump a database: the line that says what it is, and the archive.

    Args:
        configurations: the folder of the isolation job's, as a droplet of the control group has them.
        cluster: the name of the cluster in them.
        database: its name.
    """
    with tempfile.TemporaryDirectory(prefix="presence360-dump-") as scratch:
        folder = Path(scratch)
        found = find_cluster(configurations, cluster)
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
        "cluster": cluster,
        "time": "2026-11-20T01:00:03Z",
        "server": seen.version,
        "encoding": seen.encoding,
        "extensions": dict(seen.extensions),
        "archive": {"bytes": len(archive), "sha256": hashlib.sha256(archive).hexdigest()},
        "lines": [list(line) for line in lines],
    }
    return json.dumps(said).encode() + b"\n" + archive
