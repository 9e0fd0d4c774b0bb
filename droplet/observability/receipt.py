"""A test alert, from a metric to people, and the receipt that says which ways accepted it.

An operator asks for it (`presence360 alerts test`) by an object in the group's bucket, which the fetcher brings. This
program lets a metric be served on the private port, as every alert begins. Victoria Metrics collects it, vmalert's rule
fires, and Alertmanager hands the message to each way of its receiver `test`; whether that was accepted, its own metrics
say. The receipt is an object in the group's status bucket, which is written again each day: objects there expire.
"""

import json
import re
import socket
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from droplet.converge.errors import CommandError
from droplet.converge.paths import write
from droplet.converge.peers import read_time, write_time
from droplet.converge.processes import Run
from droplet.converge.store import FIRST
from droplet.journal import ERROR, INFO, WARNING, log

REQUESTS = Path("/var/lib/presence360/incoming/requests")
PREFIX = "alert-test-"
RECEIPT = "alert-test.json"
METRIC = "presence360_alert_test"
ALERT, RECEIVER = "AlertTest", "test"
PUBLISHED = Path("/run/presence360/alert-test.prom")
ALERTMANAGER = "http://127.0.0.1:9093"

FRESH_SECONDS = 600
"""An older request is ignored: who asked does not wait for it any more."""
WAIT_SECONDS = 360.0
"""Collecting, evaluating and late samples take half a minute each; a relay that stumbles is tried again meanwhile."""
LOOK_SECONDS = 2.0
RENEW_SECONDS = 20 * 3600
"""Objects of a status bucket expire after 3 days (constructs_lib/status_buckets.py)."""

_RCLONE = ("/usr/bin/rclone", "--config", "/etc/presence360/rclone.conf", "--quiet", "--retries", "2")
_LIMITS = ("--contimeout", "3s", "--timeout", "10s")
_SECONDS = 30
_REMEMBERED = 100
"""Requests that were answered; one that is not removed is ignored after FRESH_SECONDS, and a test takes minutes."""
_MAX_REQUEST_BYTES = 64 * 1024
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
_COUNTER = re.compile(r"alertmanager_notification_requests_(failed_)?total\{([^}]*)\} ([0-9.e+]+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Request:
    """A test that somebody asked for."""

    id: str
    by: str
    time: float


@dataclass(frozen=True)
class AlertTest:
    """What a test needs of its droplet.

    Attributes:
        run: runs rclone.
        configuration: Alertmanager's, which says which ways there are.
        state: a folder that stays.
        requests: what operators ask for.
        published: the file with the metric.
        ask: reads a path of Alertmanager's.
        clock: seconds since 1970.
        sleep: waits.
        wait_seconds: how long the alert may take.
    """

    run: Run
    configuration: Path
    state: Path
    requests: Path = REQUESTS
    published: Path = PUBLISHED
    ask: Callable[[str], str] = lambda path: read_from(ALERTMANAGER, path)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    wait_seconds: float = WAIT_SECONDS

    def look(self) -> int:
        """Do the newest test that is asked for; without one, keep the last receipt from expiring. 1 if that failed."""
        try:
            # Of a test that is done, or was interrupted: it is not done again.
            if self._waiting.exists():
                self._deliver()
            request = self._request()
            if request is None:
                self._renew()
                return 0
            self._answer(request)
        except (CommandError, OSError, ValueError) as error:
            log(ERROR, f"test alert: {error}")
            return 1
        return 0

    def _request(self) -> Request | None:
        answered = _text(self.state / "answered").split()
        found = (read_request(path) for path in self.requests.glob(f"{PREFIX}*.json"))
        wanted = [
            one
            for one in found
            if one and one.id not in answered and abs(self.clock() - one.time) <= FRESH_SECONDS
        ]
        return max(wanted, key=lambda one: (one.time, one.id), default=None)

    def _answer(self, request: Request) -> None:
        log(INFO, f"test alert {request.id}, asked for by {request.by}")
        ways = self._ways()
        # Before anything is sent: whatever ends this run, nobody is told of the same test again.
        known = [*_text(self.state / "answered").split(), request.id][-_REMEMBERED:]
        write(self.state / "answered", "\n".join(known).encode(), mode=0o600)
        self._write(request, dict.fromkeys(ways, False), "it was interrupted: ask for another one")
        try:
            accepted, reason = self._send(request, ways)
        finally:
            self.published.unlink(missing_ok=True)
        log(WARNING if reason else INFO, f"test alert {request.id}: {reason or 'accepted by every way'}")
        self._write(request, accepted, reason)
        self._deliver()

    def _write(self, request: Request, accepted: Mapping[str, bool], reason: str) -> None:
        receipt = {
            "version": 1,
            "id": request.id,
            "by": request.by,
            "asked": write_time(request.time),
            "time": write_time(self.clock()),
            "name": socket.gethostname(),
            "reason": reason,
            "ways": dict(accepted),
        }
        write(self._waiting, json.dumps(receipt, indent=1).encode(), mode=0o600)

    def _send(self, request: Request, ways: Sequence[str]) -> tuple[Mapping[str, bool], str]:
        """Let the alert fire; return which ways accepted it, and why not all of them did."""
        accepted = dict.fromkeys(ways, False)
        try:
            before = self._counters()
        except OSError as error:
            return accepted, f"Alertmanager does not answer: {error}"
        # An id that comes again, where a droplet was replaced, is another test for Alertmanager: it sends none twice.
        attempt = f"{request.id}-{self.clock():.0f}"
        sample = f'{METRIC}{{test="{attempt}",by="{_label(request.by)}"}} 1\n'
        write(self.published, sample.encode(), mode=0o644)
        end = self.clock() + self.wait_seconds
        tried, sent = dict.fromkeys(ways, 0), dict.fromkeys(ways, False)
        while not all(accepted.values()) and self.clock() < end:
            self.sleep(LOOK_SECONDS)
            try:
                now = self._counters()
            except OSError:
                continue
            # What was sent before this alert arrived is an earlier test's, tried again.
            if not any(tried.values()) and not self._arrived(attempt):
                before = now
            for way in ways:
                (made, refused), (made_before, refused_before) = (
                    known.get(way, (0, 0)) for known in (now, before)
                )
                tried[way] = made - made_before
                # Seen twice: a message is counted first, and then that it was refused.
                was_sent, sent[way] = sent[way], tried[way] > refused - refused_before
                accepted[way] = accepted[way] or (was_sent and sent[way])
        return accepted, self._reason(attempt, accepted, tried)

    def _reason(self, attempt: str, accepted: Mapping[str, bool], tried: Mapping[str, int]) -> str:
        if refused := [way for way, ok in accepted.items() if not ok]:
            if any(tried.values()):
                said = ", ".join(f"{way} ({tried[way]} tries)" for way in refused)
                return f"not accepted: {said}; journalctl -u prometheus-alertmanager has the answers"
            if self._arrived(attempt):
                return "Alertmanager has the alert, and sent no message"
            return (
                "the alert did not reach Alertmanager within "
                f"{self.wait_seconds / 60:.0f} minutes: see victoria-metrics and vmalert"
            )
        return "" if accepted else "no way is set up"

    def _arrived(self, attempt: str) -> bool:
        """Say whether Alertmanager has the alert."""
        try:
            known = json.loads(self.ask("/api/v2/alerts"))
            return any(one["labels"].get("test") == attempt for one in known)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _ways(self) -> list[str]:
        """Return the ways of the receiver in the configuration that is in force."""
        value = json.loads(self.configuration.read_text(encoding="utf-8"))
        (receiver,) = (one for one in value["receivers"] if one["name"] == RECEIVER)
        return [name.removesuffix("_configs") for name in receiver if name.endswith("_configs")]

    def _counters(self) -> dict[str, tuple[int, int]]:
        """Return by way how many messages the receiver was handed, and how many of them it did not accept."""
        found: dict[str, tuple[int, int]] = {}
        for failed, labels, value in _COUNTER.findall(self.ask("/metrics")):
            known = dict(_LABEL.findall(labels))
            if known.get("receiver_name") == RECEIVER:
                made, refused = found.get(known["integration"], (0, 0))
                found[known["integration"]] = (
                    (made, int(float(value))) if failed else (int(float(value)), refused)
                )
        return found

    @property
    def _waiting(self) -> Path:
        """A receipt that is not in the bucket yet."""
        return self.state / RECEIPT

    def _deliver(self) -> None:
        self._rclone("copyto", "--no-check-dest", str(self._waiting), f"status:{RECEIPT}")
        self._waiting.unlink()

    def _renew(self) -> None:
        """Write the receipt again; a droplet that has just taken over finds it in the bucket."""
        marker = self.state / "renewed"
        if marker.exists() and self.clock() - marker.stat().st_mtime < RENEW_SECONDS:
            return
        # Of an object that is not there rclone prints nothing, and is content.
        if found := self._rclone(*FIRST, f"status:{RECEIPT}"):
            write(self._waiting, found.encode(), mode=0o600)
            self._deliver()
        write(marker, b"", mode=0o600)

    def _rclone(self, *arguments: str) -> str:
        return self.run((*_RCLONE, *_LIMITS, *arguments), {}, _SECONDS)


def read_request(path: Path) -> Request | None:
    """Read a request; None if it is none."""
    try:
        content = path.read_bytes()
        test_id = path.stem.removeprefix(PREFIX)
        if len(content) > _MAX_REQUEST_BYTES or not _ID.fullmatch(test_id):
            return None
        value = json.loads(content)
        return Request(test_id, str(value["by"])[:200], read_time(value["time"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def read_from(address: str, path: str) -> str:
    """Read a page of a program on loopback."""
    with urllib.request.urlopen(f"{address}{path}", timeout=5) as answer:  # noqa: S310  (loopback)
        text: str = answer.read().decode()
        return text


def _label(text: str) -> str:
    """Return a label's value that needs no escaping."""
    return "".join(one if one.isalnum() or one in " @.,_:'-" else " " for one in text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
