"""The server on loopback, and the variables for its clients."""

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from lab.local_digitalocean.app import App
from lab.local_digitalocean.calls import CallLog
from lab.local_digitalocean.clock import Clock, Durations
from lab.local_digitalocean.faults import Faults
from lab.local_digitalocean.spaces import DOMAIN, Spaces
from lab.local_digitalocean.store import Account, Quotas

if TYPE_CHECKING:
    from lab.local_digitalocean.postgres import PostgresServers

HOST = "127.0.0.1"
STATE_FILE, SPACES_FILE, CALLS_FILE = "account.json", "spaces.pickle", "calls.jsonl"


class _Handler(WSGIRequestHandler):
    """Logs nothing: the log of calls has every request."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  (werkzeug's name)
        """Log nothing."""


@dataclass
class Server:
    """A stand-in on a port of loopback.

    Attributes:
        folder: where state and log are kept; None keeps them in memory.
        port: 0 takes any that is free.
        token: the only accepted token; None accepts any.
        postgres: a folder for real Postgres servers behind the clusters; None makes none. The user of Postgres needs
            access to its parent folders.
    """

    folder: Path | None = None
    port: int = 0
    token: str | None = None
    clock: Clock = field(default_factory=Clock)
    durations: Durations = field(default_factory=Durations)
    quotas: Quotas = field(default_factory=Quotas)
    postgres: Path | None = None

    def __post_init__(self) -> None:
        self.account = Account(self._file(STATE_FILE), self.clock, self.durations, self.quotas)
        self._servers = None if self.postgres is None else self._start_postgres(self.postgres)
        self.spaces = Spaces(self.account, self._file(SPACES_FILE))
        self.faults = Faults(self.clock)
        self.calls = CallLog(self._file(CALLS_FILE))
        known = self.account.secrets
        known.setdefault("spaces_access_key", "LOCALADMIN")
        known.setdefault("spaces_secret_key", secrets.token_urlsafe(24))
        _ = self.account.authority.certificate  # made now, so that it is saved
        app = App(self.account, self.spaces, self.faults, self.calls, token=self.token)
        self._server: BaseWSGIServer = make_server(
            HOST, self.port, app, threaded=True, request_handler=_Handler
        )
        self.port = self._server.port
        self.account.save()

    def _file(self, name: str) -> Path | None:
        if self.folder is None:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / name

    def _start_postgres(self, folder: Path) -> "PostgresServers":
        from lab.local_digitalocean.postgres import PostgresServers  # noqa: PLC0415  (needs psycopg)

        servers = PostgresServers(folder)
        self.account.servers = servers
        for cluster in self.account.all("clusters"):
            if "_server" in cluster:
                servers.resume(self.account, cluster)
        return servers

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http://{HOST}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return the variables with which Terraform, the provider and our programs use this server."""
        return environment(self.port, self.account.secrets, self.token)

    def serve(self) -> None:
        """Serve until shut down."""
        self._server.serve_forever()

    def start(self) -> "Server":
        """Serve in a thread."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self.close()

    def close(self) -> None:
        """Write the state, and stop the Postgres servers."""
        with self.account.lock:
            self.account.save()
        if self._servers is not None:
            self._servers.stop()


def environment(port: int, known: Mapping[str, str], token: str | None = None) -> dict[str, str]:
    """Return the variables for clients.

    The provider asks for a bucket by its host name, and its S3 client takes the proxy of HTTP_PROXY for it. It takes no
    proxy for loopback addresses, where the API is.
    """
    address = f"http://{HOST}:{port}"
    return {
        "DIGITALOCEAN_API_URL": address,
        "DIGITALOCEAN_TOKEN": token or "local-digitalocean",
        "SPACES_ENDPOINT_URL": f"http://{{{{.Region}}}}.{DOMAIN}",
        "SPACES_ACCESS_KEY_ID": known["spaces_access_key"],
        "SPACES_SECRET_ACCESS_KEY": known["spaces_secret_key"],
        # Of the state. Bootstrap makes a key for each environment; this one opens every bucket.
        "AWS_ACCESS_KEY_ID": known["spaces_access_key"],
        "AWS_SECRET_ACCESS_KEY": known["spaces_secret_key"],
        "HTTP_PROXY": address,
        "http_proxy": address,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
