"""The Celery of lab/services as a droplet runs it, with tasks that say when they begin and end; and who gives work."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import valkey
from lab.local_digitalocean.tls import Authority
from tests.support import ROOT

BACKEND = ROOT / "lab/services/backend/church"
CA_FILE, HEARTBEAT, TOLD = "/etc/presence360/ca.pem", "/tmp/heartbeat", "/etc/presence360/maintenance.json"  # noqa: S108

# In place of the application's own, which want a Postgres.
TASKS = """
import os
import time
from pathlib import Path

from .celery_app import celery

JOURNAL = Path(os.environ["JOURNAL"])


def write(line):
    with JOURNAL.open("a") as file:
        file.write(line + "\\n")


@celery.task(ignore_result=False)
def work(name, seconds):
    write(f"began {name} {os.getpid()}")
    time.sleep(seconds)
    write(f"ended {name} {os.getpid()}")
    return name
"""

# Commands, a line each, so that sending starts no process.
SENDER = """
import json
import sys
import time

from church.celery_app import celery
from church.tasks import work

results = {}
for line in sys.stdin:
    command, *arguments = json.loads(line)
    began = time.monotonic()
    try:
        if command == "send":
            name, seconds, countdown = arguments
            results[name] = work.apply_async((name, seconds), countdown=countdown)
            answer = "sent"
        elif command == "result":
            answer = results[arguments[0]].get(timeout=arguments[1])
        elif command == "length":
            with celery.connection_for_read() as connection:
                answer = connection.default_channel.client.llen("celery")
    except Exception as error:
        answer = f"{type(error).__module__}.{type(error).__name__}"
    print(json.dumps({"answer": answer, "seconds": time.monotonic() - began}), flush=True)
"""


@dataclass
class Workers:
    """A Valkey, a worker and a sender, which share a folder.

    Attributes:
        folder: theirs.
        python: has Celery.
        address: where Valkey listens.
    """

    folder: Path
    python: Path
    address: str
    password: str = "the-password"
    authority: Authority = field(default_factory=lambda: Authority({}))
    server: valkey.Server | None = None
    _number: int = 0

    def __post_init__(self) -> None:
        package = self.folder / "church"
        package.mkdir()
        for name in ("__init__.py", "celery_app.py", "jobs.py", "logs.py", "maintenance.py", "telemetry.py"):
            text = (BACKEND / name).read_text(encoding="utf-8")
            for there, here in {
                CA_FILE: self.folder / "ca.pem",
                HEARTBEAT: self.folder / "heartbeat",
                TOLD: self.folder / "maintenance.json",
            }.items():
                text = text.replace(there, str(here))
            (package / name).write_text(text, encoding="utf-8")
        (package / "tasks.py").write_text(TASKS, encoding="utf-8")
        (self.folder / "ca.pem").write_text(self.authority.certificate, encoding="utf-8")
        self.journal = self.folder / "journal"
        self.journal.touch()

    def new_valkey(self) -> None:
        """Start an empty one, as the next apply makes it."""
        self._number += 1
        folder = self.folder / f"valkey-{self._number}"
        folder.mkdir()
        # As DigitalOcean has it, nothing is kept on a disk: what the last one had is gone.
        self.server = valkey.start(folder, self.authority, self.address, self.password, refuse=valkey.REFUSED)

    def lose_valkey(self) -> None:
        """Kill it: no connection is closed in order, and nothing is saved."""
        assert self.server
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait()
        self.server = None

    def stop(self) -> None:
        """End the server."""
        if self.server:
            self.server.stop()

    def environ(self) -> dict[str, str]:
        """The service's variables."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.folder),
            "PYTHONUNBUFFERED": "1",
            "JOURNAL": str(self.journal),
            "VALKEY_URL": f"rediss://{valkey.USER}:{self.password}@{self.address}:{valkey.PORT}/0",
            "PRESENCE360_STOP_SECONDS": "50",
            "REMAP_SIGTERM": "SIGQUIT",
            # As where the environment has no observability group.
            "OTEL_SDK_DISABLED": "true",
        }

    @contextmanager
    def worker(self) -> Iterator["Worker"]:
        """Start the worker as its Dockerfile does and again when it ends, as Docker does; and end it."""
        log = self.folder / f"worker-{time.time_ns()}.log"
        command = [str(self.python), "-m", "celery", "--app", "church.celery_app", "--quiet", "worker"]
        worker = Worker(
            [*command, "--concurrency", "2", "--loglevel", "INFO"], self.folder, self.environ(), log
        )
        docker = threading.Thread(target=worker.keep)
        docker.start()
        try:
            yield worker
        finally:
            worker.tell(signal.SIGKILL)
            docker.join()

    @contextmanager
    def sender(self) -> Iterator["Sender"]:
        """Start a process that gives work, as an API does, and end it."""
        with subprocess.Popen(
            [str(self.python), "-c", SENDER],
            cwd=self.folder,
            env=self.environ(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            try:
                yield Sender(process)
            finally:
                process.kill()

    def lines(self, word: str, name: str = "") -> list[str]:
        """The names of tasks that began or ended, in order; each as often as it did."""
        said = (line.split() for line in self.journal.read_text(encoding="utf-8").splitlines())
        return [task for did, task, _ in said if did == word and task.startswith(name)]


@dataclass
class Worker:
    """A worker that runs, and its container.

    Attributes:
        command: what starts it.
        folder: where.
        environ: its variables.
        log: what it writes.
        restarts: how often it ended by itself and was started again (`restart: unless-stopped`).
    """

    command: list[str]
    folder: Path
    environ: dict[str, str]
    log: Path
    restarts: int = 0
    _process: "subprocess.Popen[bytes] | None" = None
    _told: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self) -> None:
        """Start it, and again when it ends, until it is told to end."""
        while process := self._start():
            process.wait()
            # Docker waits 100 ms before the first start, and twice as long each time (Docker documentation, "Start
            # containers automatically").
            if not self._told.wait(min(0.1 * 2**self.restarts, 60)):
                self.restarts += 1

    def _start(self) -> "subprocess.Popen[bytes] | None":
        with self._lock, self.log.open("ab") as output:
            if self._told.is_set():
                return None
            self._process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environ,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            return self._process

    def tell(self, number: signal.Signals) -> None:
        """Send a signal, as `docker stop` does: it is not started again. SIGKILL is for all of its processes."""
        with self._lock:
            self._told.set()
            process = self._process
        with contextlib.suppress(ProcessLookupError):
            if process and number is signal.SIGKILL:
                os.killpg(process.pid, number)
            elif process:
                process.send_signal(number)

    @property
    def ended(self) -> bool:
        """Whether its main process has ended."""
        return self._process is not None and self._process.poll() is not None

    def said(self, words: str) -> int:
        """How often it wrote something."""
        return self.log.read_text(encoding="utf-8", errors="replace").count(words)


@dataclass(frozen=True)
class Sender:
    """A process that gives work."""

    process: "subprocess.Popen[str]"

    def ask(self, *command: Any) -> tuple[Any, float]:
        """Have it do one thing; its answer, and for how long it took."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        said = json.loads(self.process.stdout.readline())
        return said["answer"], said["seconds"]

    def send(self, name: str, seconds: float = 0.0, countdown: float = 0.0) -> None:
        """Give a task to the queue."""
        answer, _ = self.ask("send", name, seconds, countdown)
        assert answer == "sent", answer


def until(what: str, question: Callable[[], object], seconds: float = 120) -> float:
    """Wait until something is true; for how long it was not."""
    began = time.monotonic()
    while not question():
        assert time.monotonic() - began < seconds, f"after {seconds} s not yet: {what}"
        time.sleep(0.05)
    return time.monotonic() - began
