"""The command: one run, from what the bucket and the receivers say to what nginx does."""

import argparse
import configparser
import hashlib
import ipaddress
import json
import re
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from droplet.converge.errors import CommandError
from droplet.converge.paths import write
from droplet.converge.processes import Run, run_program
from droplet.converge.store import BOUNDED, bound
from droplet.journal import ERROR, INFO, log
from droplet.logs.position import STATE
from droplet.telemetry.nginx import FILTER_PORT, PINNED, UPLOAD_PORT, Listener, Reception, render
from droplet.telemetry.receivers import Receiver, choose, read_statuses
from droplet.telemetry.report import report

SERVICE = "presence360-otlp.service"
SYSTEMCTL_SECONDS = 60
FETCH_SECONDS = 30
LIMITS = (*BOUNDED, "--retries", "2", "--contimeout", "5s", "--timeout", "10s")

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]+")
_TOKEN = re.compile(r"[0-9a-f]{64}")
_GROUP = re.compile(r"[a-z][a-z0-9-]*")


class TelemetryError(Exception):
    """A run cannot do all of its work. What nginx forwards already, it goes on forwarding."""


@dataclass(frozen=True)
class Folders:
    """Where a run reads and writes.

    Attributes:
        given: telemetry.json, as fetched from the group's bucket.
        etc: group.json and rclone.conf, and the droplet's certificate in `tls`.
        state: nginx's configuration; root's alone, because the token is in it.
        sent: how far the droplet's journal has been sent.
        run: the metrics, the private address, and what the status object says of a receiver.
        scratch: nginx's own, while it runs.
        bodies: where messages wait until all of them has come.
        credentials: what systemd hands nginx (systemd.exec(5), LoadCredential=).
    """

    given: Path = Path("/var/lib/presence360/incoming/telemetry.json")
    etc: Path = Path("/etc/presence360")
    state: Path = Path("/var/lib/presence360-telemetry")
    run: Path = Path("/run/presence360")
    sent: Path = STATE
    scratch: Path = Path("/run/presence360-otlp")
    bodies: Path = Path("/var/lib/presence360-otlp/body")
    credentials: Path = Path("/run/credentials/presence360-otlp.service")

    @property
    def said(self) -> Path:
        """What converge puts into the droplet's status object."""
        return self.run / "receiver.json"


@dataclass(frozen=True)
class Configuration:
    """What Terraform says in telemetry.json (constructs_lib/telemetry.py).

    Attributes:
        receivers: the status bucket of the observability group.
        port: at which its droplets receive.
        bridge: where this droplet's services send.
        senders: by group its token, on a droplet of the observability group; empty elsewhere.
        journals: by group the port that takes its logs, there; empty elsewhere.
        traces: whether they are kept.
    """

    receivers: str
    port: int
    bridge: Listener
    senders: Mapping[str, str]
    journals: Mapping[str, int]
    traces: bool


def local(address: str) -> bool:
    """Tell whether an address is one of this droplet's: Docker makes the bridge with the first release."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def answers(listener: Listener) -> bool:
    """Tell whether something listens."""
    try:
        socket.create_connection((listener.address, listener.port), 2).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Telemetry:
    """One run.

    Attributes:
        folders: where it reads and writes.
        run: runs a program.
        clock: seconds since 1970.
        local: tells whether an address is this droplet's.
        answers: tells whether a listener answers.
        upload_port: where nginx takes the droplet's own journal, and spans that may leave the droplet.
        filter_port: what spans go through before.
    """

    folders: Folders
    run: Run = run_program
    clock: Callable[[], float] = time.time
    local: Callable[[str], bool] = local
    answers: Callable[[Listener], bool] = answers
    upload_port: int = UPLOAD_PORT
    filter_port: int = FILTER_PORT

    def once(self) -> bool:
        """Do all of it, and write the metrics; whether all of it was done."""
        known = listening = traces = False
        problem = ""
        try:
            configuration = read_configuration(self.folders.given)
            traces = configuration.traces
            fetched = self._fetch(configuration)
            known, problem = self._configure(configuration, fetched)
            listening = self.answers(configuration.bridge)
        except (TelemetryError, CommandError) as error:
            problem = str(error)
        except Exception as error:
            # A file in a form of its own: no message quotes it. Whatever it is, the metrics say that it failed.
            problem = f"{type(error).__name__} in the droplet's own files"
        if problem:
            log(ERROR, problem)
        report(
            self.folders.run,
            now=self.clock(),
            success=not problem,
            known=known,
            listening=listening,
            sent=self.folders.sent,
            filter_port=self.filter_port if traces else None,
        )
        return not problem

    def _fetch(self, configuration: Configuration) -> str:
        """Fetch what receivers say of themselves; return why not."""
        folder = self.folders.state / "receivers"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        rclone = [
            "/usr/bin/rclone",
            "--config",
            str(self.folders.etc / "rclone.conf"),
            "--quiet",
            "--checksum",
        ]
        source = f"store:{configuration.receivers}/droplets"
        try:
            try:
                self.run([*rclone, *LIMITS, "sync", source, str(folder)], {}, FETCH_SECONDS)
            finally:
                bound(folder)
        except CommandError as error:
            return f"what receivers say was not fetched: {error}"
        return ""

    def _configure(self, configuration: Configuration, problem: str) -> tuple[bool, str]:
        """Write nginx's configuration, and have it run; whether a receiver is known, and what went wrong."""
        group = json.loads((self.folders.etc / "group.json").read_text())
        reception = self._reception(configuration, group) if configuration.senders else None
        self._say(reception)
        statuses = read_statuses(self.folders.state / "receivers")
        # Docker makes the bridge with the first container: before, there is nothing to listen on, and nobody who sends.
        listener = configuration.bridge if self.local(configuration.bridge.address) else None
        receiver = choose(statuses, group["vpc_range"], self.clock())
        text = render(
            listener,
            receiver,
            token_of(self.folders.etc / "rclone.conf"),
            reception,
            scratch=self.folders.scratch,
            bodies=self.folders.bodies,
            credentials=self.folders.credentials,
            upload_port=self.upload_port,
            filter_port=self.filter_port if configuration.traces else None,
        )
        pinned = _replace(self.folders.state / PINNED, receiver.certificate if receiver else "")
        changed = _replace(self.folders.state / "nginx.conf", text) or pinned
        ours = [Listener("127.0.0.1", self.upload_port), *([listener] if listener else [])]
        if reception:
            ours.append(Listener(reception.address, reception.port))
        if changed or not all(map(self.answers, ours)):
            # Its connections are messages of services, which come again.
            self.run(["systemctl", "restart", SERVICE], {}, SYSTEMCTL_SECONDS)
            log(
                INFO,
                f"forwards to {receiver.name} at {receiver.address}" if receiver else "knows no receiver",
            )
        return receiver is not None, problem

    def _reception(self, configuration: Configuration, group: Mapping[str, Any]) -> Reception:
        """Return what this droplet, one of the observability group, takes from others."""
        found = re.fullmatch(
            r"listen ([0-9.]+):\d+;\n", (self.folders.run / "metrics-listen.conf").read_text()
        )
        network = ipaddress.IPv4Network(group["vpc_range"])
        if not found or ipaddress.IPv4Address(found[1]) not in network:
            raise TelemetryError("this droplet has no private address to receive at")
        return Reception(
            found[1], configuration.port, group["vpc_range"], configuration.senders, configuration.journals
        )

    def _say(self, reception: Reception | None) -> None:
        """Tell converge what to say in the status object; a droplet of another group says nothing."""
        if reception is None:
            self.folders.said.unlink(missing_ok=True)
            return
        certificate = (self.folders.etc / "tls/droplet.crt").read_text()
        receiver = Receiver(socket.gethostname(), reception.address, reception.port, certificate)
        _replace(self.folders.said, json.dumps(receiver.says, indent=1) + "\n", mode=0o644)


def read_configuration(path: Path) -> Configuration:
    """Read telemetry.json.

    Raises:
        TelemetryError: it does not have the form that Terraform writes.
    """
    try:
        value = json.loads(path.read_bytes())
        bridge = Listener(str(value["bridge"]["address"]), int(value["bridge"]["port"]))
        senders = {str(group): str(token) for group, token in value.get("senders", {}).items()}
        journals = {str(group): int(port) for group, port in value.get("journals", {}).items()}
        traces = value.get("traces") is True
        found = Configuration(str(value["receivers"]), int(value["port"]), bridge, senders, journals, traces)
    except OSError as error:
        raise TelemetryError(f"telemetry.json cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TelemetryError(
            f"telemetry.json does not have the form that Terraform writes ({type(error).__name__})"
        ) from None
    usable = _BUCKET.fullmatch(found.receivers) and re.fullmatch(r"[0-9.]+", bridge.address)
    named = all(map(_GROUP.fullmatch, (*senders, *journals))) and all(map(_TOKEN.fullmatch, senders.values()))
    if not usable or not named:
        raise TelemetryError("telemetry.json names a bucket, an address, a group or a token that cannot be")
    return found


def token_of(rclone: Path) -> str:
    """Return the group's token: made from the secret of its key, so that nothing else has to carry it here.

    constructs_lib/telemetry.py makes the same, and gives it to the observability group.
    """
    # Values may hold a `%`.
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(rclone, encoding="utf-8")
    return token(parser["store"]["secret_access_key"])


def token(secret: str) -> str:
    """Return the token of a key's secret; nobody gets the secret from it."""
    return hashlib.sha256(f"telemetry:{secret}".encode()).hexdigest()


def _replace(path: Path, text: str, mode: int = 0o600) -> bool:
    """Write a file if it says something else; whether it did."""
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
    except OSError:
        pass
    write(path, text.encode(), mode=mode)
    return True


def main(arguments: Sequence[str]) -> int:
    """Run once; 1 if not all of it was done, which systemd shows as a failed unit."""
    parser = argparse.ArgumentParser(
        prog="telemetry", description="Find the receiver of telemetry, and have nginx forward to it."
    )
    parser.parse_args(arguments)
    return 0 if Telemetry(Folders()).once() else 1
