"""The command line: one request, one droplet, and an end that leaves nothing behind."""

import argparse
import json
import os
import shutil
import signal
import socket
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from droplet import database_lock, journal, postgres
from droplet.backup.store import Store
from droplet.backup.wanted import read_wanted
from droplet.begun import Begun
from droplet.configuration import ConfigurationError
from droplet.converge.errors import CommandError
from droplet.converge.paths import write
from droplet.drill.checks import meaning, one_line
from droplet.drill.dumps import Dumps
from droplet.drill.errors import DrillError, StoppedError
from droplet.drill.exchange import Exchange
from droplet.drill.fork import Fork
from droplet.drill.keys import Identity
from droplet.drill.report import FOLDER, Report
from droplet.drill.request import FRESH_SECONDS, Request, Secrets, read_request
from droplet.drill.run import Drill
from droplet.isolation.folders import Folders
from droplet.names import DRILL_LOCK
from droplet.postgres import Client
from droplet.session import Session, SessionError

REQUEST, RCLONE = "request.json", "rclone.conf"
DONE = "done"
SENT_SECONDS = 10 * 60
"""How long the run waits for what is sent to its key: shorter than who asks next waits for a droplet (BEGIN_SECONDS of
ops/drill/asking.py), because one run is done at a time."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    """Try what is asked for, once; 1 if something is wrong."""
    parser = argparse.ArgumentParser(
        prog="drill", description="Try what a cluster's backup and our dumps are worth."
    )
    parser.add_argument("--programs", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--pgbouncer", type=Path, default=Path("/usr/sbin/pgbouncer"), help=argparse.SUPPRESS)
    parser.add_argument("--tools", type=Path, default=Path("/usr/bin"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    given, scratch, state = (
        Path(os.environ[name]) for name in ("CREDENTIALS_DIRECTORY", "RUNTIME_DIRECTORY", "STATE_DIRECTORY")
    )
    run = _Run(
        given, scratch, state, options.tools, options.programs, socket.gethostname(), options.pgbouncer
    )
    for number in _SIGNALS:
        signal.signal(number, lambda *_: run.stopping.set())
    try:
        return run.once()
    except (DrillError, ConfigurationError, CommandError) as error:
        journal.log(journal.ERROR, str(error))
    except SessionError as error:
        # Its text may quote a database; what it means does not.
        journal.log(journal.ERROR, meaning(str(error)))
    return 1


@dataclass
class _Run:
    given: Path
    scratch: Path
    state: Path
    tools: Path
    programs: Path | None
    droplet: str
    pgbouncer: Path = Path("/usr/sbin/pgbouncer")
    stopping: threading.Event = field(default_factory=threading.Event)

    def once(self) -> int:
        request = read_request((self.given / REQUEST).read_bytes())
        if self._is_done(request) or abs(time.time() - request.time) > FRESH_SECONDS:
            return 0
        with self._alone() as alone:
            if not alone:
                return 0
            return self._drill(request)

    def _drill(self, request: Request) -> int:
        exchange = Exchange(
            request.id, self.droplet, self.scratch, self.given / RCLONE, self.tools / "rclone"
        )
        if exchange.has_ended():
            return 0
        report = Report(request, self.droplet, started=time.time())
        try:
            earlier = _earlier(Store(read_wanted(self.given), self.scratch, str(self.tools / "rclone")))
            # Also a drill that fails at once carries on what earlier ones looked through.
            report.remember(earlier)
            own, recipient = Identity.new(self.tools)
            exchange.say(state="waiting", recipient=recipient)
            secrets = exchange.receive(own, recipient, SENT_SECONDS, self.stopping.is_set)
            exchange.say(state="running", recipient=None)
            self._try(request, secrets, report, exchange, earlier)
        except StoppedError as error:
            # Not done: the next start of the unit begins it again, with another key.
            exchange.say(state="interrupted", recipient=None, reason=str(error))
            journal.log(journal.WARNING, f"{request.id}: {error}; it begins again")
            return 1
        except (DrillError, CommandError) as error:
            report.problems.append(one_line(str(error)))
        except SessionError as error:
            report.problems.append(meaning(str(error)))
        except Exception as error:
            # What nobody thought of ends this drill too: it is not begun again each minute. The text may quote rows.
            report.problems.append(f"the drill ended with {type(error).__name__}")
            journal.log(journal.ERROR, _where(error))
        finally:
            for left in self.scratch.iterdir():
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
        report.finished = report.finished or time.time()
        try:
            self._store(report, exchange)
        finally:
            write(self.state / DONE, request.id.encode(), mode=0o600)
        return 0 if report.passed else 1

    def _try(
        self,
        request: Request,
        secrets: Secrets,
        report: Report,
        exchange: Exchange,
        earlier: Mapping[str, Any],
    ) -> None:
        store = Store(read_wanted(self.given), self.scratch, str(self.tools / "rclone"))
        programs = self.programs or postgres.newest_programs("pg_dump")
        if programs is None:
            raise DrillError("pg_dump is not installed (Debian: postgresql-client)")
        pooler = self.pgbouncer if self.pgbouncer.exists() else None
        if pooler is None:
            report.notes.append(
                "nothing was tried through PgBouncer, as services connect: the droplet has none"
            )
        fork = Fork.reach(secrets.cluster, self.scratch, programs, pooler)
        dumps = Dumps(store, Identity(secrets.identity, self.tools), request.source)

        def progress(done: int, of: int, database: str) -> None:
            failed = sum(not one.passed for one in report.tried)
            exchange.say(now=done in {0, of}, done=done, of=of, failed=failed, last=database)
            if database:
                journal.log(journal.INFO, f"{request.id}: {done} of {of}: {database}")

        Drill(
            request=request,
            secrets=secrets,
            fork=fork,
            dumps=dumps,
            earlier=earlier,
            report=report,
            stopping=self.stopping,
            begun=Begun(self.state / "begun.json", request.id),
            progress=progress,
        ).run()

    def _store(self, report: Report, exchange: Exchange) -> None:
        """Write the report where it is kept, and say where."""
        try:
            store = Store(read_wanted(self.given), self.scratch, str(self.tools / "rclone"))
            file = self.scratch / "report.json"
            file.write_bytes(report.as_json())
            store.put(file, f"{FOLDER}/{report.stamp}.json")
        except CommandError as error:
            report.problems.append(one_line(f"the report was not stored: {error}"))
            journal.log(journal.ERROR, report.problems[-1])
        except Exception as error:
            # Who asked is told the end, whatever it is.
            report.problems.append(f"the report was not stored: {type(error).__name__}")
            journal.log(journal.ERROR, _where(error))
        for problem in report.all_problems():
            journal.log(journal.ERROR, f"{report.request.id}: {problem}")
        exchange.say(
            state="ended",
            passed=report.passed,
            problems=report.all_problems()[:20],
            report=f"{FOLDER}/{report.stamp}.json",
        )

    def _is_done(self, request: Request) -> bool:
        try:
            return (self.state / DONE).read_text() == request.id
        except OSError:
            return False

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Hold the lock of the environment's one drill, where `control_plane` is: the one use of a live cluster."""
        folders = Folders(configurations=self.given, scratch=self.scratch, state=self.state)
        configurations, _ = folders.read_configurations()
        with ExitStack() as stack:
            for configuration in configurations:
                for cluster in configuration.clusters:
                    client = Client.prepare(
                        cluster,
                        self.scratch / cluster.name,
                        self.programs or postgres.newest_programs("psql"),
                        application="presence360-drill",
                        settings={"idle_session_timeout": "0"},
                    )
                    try:
                        session = stack.enter_context(Session(client, client.database, self.scratch))
                        alone = database_lock.take_run(session, DRILL_LOCK)
                    except SessionError as error:
                        journal.log(journal.ERROR, str(error))
                        continue
                    if alone is not None:
                        yield alone
                        return
            journal.log(journal.ERROR, "no cluster with control_plane answers")
            yield False


def _where(error: BaseException) -> str:
    """Say where an error comes from, without its text."""
    lines = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at " + ", ".join(
        f"{Path(one.filename).name}:{one.lineno}" for one in lines
    )


def _earlier(store: Store) -> Mapping[str, Any]:
    """Return what earlier drills looked through, as the newest report says it."""
    try:
        names = sorted(store.names(FOLDER, "*.json"))
        value = json.loads(store.read(f"{FOLDER}/{names[-1]}")) if names else {}
        known = value.get("known")
    except (CommandError, ValueError, AttributeError) as error:
        journal.log(journal.WARNING, f"earlier reports cannot be read: {type(error).__name__}")
        return {}
    return known if isinstance(known, Mapping) else {}
