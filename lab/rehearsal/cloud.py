"""A local DigitalOcean in a process of its own."""

import json
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.local_digitalocean import calls
from lab.local_digitalocean.server import CALLS_FILE
from lab.local_digitalocean.spaces import DOMAIN
from lab.rehearsal.errors import CannotRehearseError
from ops.paths import ROOT

END_SECONDS = 15


class Cloud:
    """A local DigitalOcean that keeps its state in a folder, and can be started and stopped.

    Attributes:
        folder: where the state is.
        environment: the variables with which programs use it.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.environment: dict[str, str] = {}

    def start(self) -> "Cloud":
        """Start it with the state that it kept."""
        command = [
            sys.executable,
            "-m",
            "lab.local_digitalocean",
            "--folder",
            str(self.folder),
            *self._options,
        ]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if self._process.stdout is None:
            raise CannotRehearseError("the local DigitalOcean prints nothing")
        for line in self._process.stdout:
            if line.startswith("#"):
                return self
            name, _, value = shlex.split(line)[1].partition("=")
            self.environment[name] = value
        raise CannotRehearseError(
            f"the local DigitalOcean ended with {self._process.wait()} before it served"
        )

    def stop(self) -> None:
        """Stop it, and wait until its state is written."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to the API or to a switch; return the answer's JSON."""
        request = urllib.request.Request(  # noqa: S310  (an address of loopback)
            self.environment["DIGITALOCEAN_API_URL"] + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.environment['DIGITALOCEAN_TOKEN']}"},
        )
        # The caller's HTTP_PROXY must not be used.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as response:
            content = response.read()
        return json.loads(content) if content else None

    def read_object(self, bucket: str, key: str, access_key: str) -> bytes:
        """Read an object with a key. The local DigitalOcean knows keys by name and checks no signature."""
        (region,) = (str(one["region"]) for one in self.state()["buckets"] if one["name"] == bucket)
        scope = f"{access_key}/20260101/us-east-1/s3/aws4_request"
        request = urllib.request.Request(
            f"http://{bucket}.{region}.{DOMAIN}/{key}",  # only the proxy on loopback resolves that name
            headers={
                "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"
            },
        )
        proxy = urllib.request.ProxyHandler({"http": self.environment["HTTP_PROXY"]})
        with urllib.request.build_opener(proxy).open(request, timeout=30) as response:
            content: bytes = response.read()
        return content

    def faults(self, *written: str, **switches: Any) -> None:
        """Turn these faults on, and all others off."""
        self.ask("PUT", "/_local/faults", {"faults": list(written), **switches})

    def limit(self, **limits: int) -> None:
        """Set what the account allows: droplets, load_balancers."""
        self.ask("PUT", "/_local/limits", limits)

    def droplets_serve(self, serve: bool) -> None:
        """Set whether new droplets will pass their health checks."""
        self.ask("PUT", "/_local/droplets", {"serve": serve})

    def releases_work(self, work: bool) -> None:
        """Set whether droplets will succeed with new releases."""
        self.ask("PUT", "/_local/releases", {"work": work})

    def state(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return everything that exists, by kind."""
        found: dict[str, list[dict[str, Any]]] = self.ask("GET", "/_local/state")
        return found

    def names(self, kind: str) -> list[str]:
        """Return the names of all of a kind, sorted."""
        return sorted(str(one["name"]) for one in self.state()[kind])

    def calls(self, since: int = 0) -> list[calls.Call]:
        """Return the calls in the log, from an index on."""
        return calls.read(self.folder / CALLS_FILE)[since:]

    def __enter__(self) -> "Cloud":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
