"""The group's status bucket: what became of a request, with the login's password for the operator's key alone.

Every group's droplets read that bucket. Who reads which church, and why, stands in the journal and in the operators'
record of the request (model/sql_access.py).
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from droplet.configuration import Cluster
from droplet.converge.peers import write_time
from droplet.converge.processes import Run, run_program
from droplet.sql.reader import Reader
from droplet.sql.request import VERSION, Request, SqlError

FOLDER = "sql"
OPEN, CLOSED, REFUSED = "open", "closed", "refused"

_LARGEST_BYTES = 64 * 1024
_LIMITS = ("--retries", "2", "--low-level-retries", "3", "--contimeout", "10s", "--timeout", "30s")
_SECONDS = 60


@dataclass(frozen=True)
class Answers:
    """Reads and writes them.

    Attributes:
        droplet: this droplet's name.
        scratch: a folder in memory.
        configuration: rclone's, with the remote `status`.
        tools: the folder with `rclone` and `age`.
        run: runs rclone.
    """

    droplet: str
    scratch: Path
    configuration: Path
    tools: Path
    run: Run = run_program

    def state(self, request: Request) -> str:
        """Return what was said of a request; empty if nothing was.

        Raises:
            CommandError: the bucket does not say it.
        """
        # Of an object that is not there rclone prints nothing, and is content.
        found = self._rclone("cat", "--count", str(_LARGEST_BYTES), self._key(request))
        try:
            return str(json.loads(found)["state"]) if found else ""
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""

    def say(self, request: Request, state: str, now: float, **members: Any) -> None:
        """Say what became of a request.

        Raises:
            CommandError: the bucket does not take it.
        """
        said = {
            "version": VERSION,
            "id": request.id,
            "droplet": self.droplet,
            "state": state,
            "time": write_time(now),
            **members,
        }
        file = self.scratch / "said.json"
        file.write_text(json.dumps(said), encoding="utf-8")
        self._rclone("copyto", "--no-check-dest", str(file), self._key(request))

    def sealed(self, request: Request, cluster: Cluster, reader: Reader) -> str:
        """Encrypt for the operator's key how to connect.

        Raises:
            SqlError: it was not encrypted.
        """
        content: Mapping[str, object] = {
            "host": cluster.host,
            "port": cluster.port,
            "database": request.database,
            "user": reader.role,
            "password": reader.password,
            "sslmode": cluster.sslmode,
            "ca": cluster.ca,
            "until": reader.until,
        }
        done = subprocess.run(
            [str(self.tools / "age"), "--encrypt", "--armor", "--recipient", request.recipient],
            input=json.dumps(content).encode(),
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
        if done.returncode != 0:
            raise SqlError("age did not encrypt the answer")
        return done.stdout.decode()

    def _key(self, request: Request) -> str:
        return f"status:{FOLDER}/{request.id}.json"

    def _rclone(self, *arguments: str) -> str:
        command = (
            str(self.tools / "rclone"), "--config", str(self.configuration), "--quiet", *_LIMITS, *arguments
        )  # fmt: skip
        return self.run(command, {"HOME": str(self.scratch)}, _SECONDS)
