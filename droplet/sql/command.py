"""The command line: what is asked for (the unit), and a terminal with psql (an operator, by SSH)."""

import argparse
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from droplet import database_lock, journal, postgres
from droplet.configuration import Cluster
from droplet.converge.errors import CommandError
from droplet.isolation.folders import Folders
from droplet.names import SQL_LOCK
from droplet.postgres import Client
from droplet.session import Session, SessionError
from droplet.sql import terminal
from droplet.sql.answer import CLOSED, OPEN, REFUSED, Answers
from droplet.sql.reader import close_reader, open_reader
from droplet.sql.request import Request, SqlError, read_request

PREFIX = "sql_"
"""Of the requests' files: systemd joins folder and name with `_` (systemd.exec(5), LoadCredential=)."""

RCLONE = "rclone.conf"

SETTINGS = {
    # A church that holds a lock on one of its tables has the request refused, and soon.
    "lock_timeout": "5s",
    # While one session waits, the others are idle: the one that holds the lock of the one droplet, and the one that
    # ends a login which could not be made.
    "idle_session_timeout": "0",
}
"""Of its sessions."""


def main(arguments: Sequence[str]) -> int:
    """Answer what is asked for, or open a terminal; 1 if something was not done."""
    parser = argparse.ArgumentParser(
        prog="sql", description="Make logins that read one database for a while, and end them."
    )
    terminal.add_arguments(parser)
    parser.add_argument("--programs", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tools", type=Path, default=Path("/usr/bin"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.keep or options.psql:
        return terminal.run(options)
    given, scratch, state = (
        Path(os.environ[name]) for name in ("CREDENTIALS_DIRECTORY", "RUNTIME_DIRECTORY", "STATE_DIRECTORY")
    )
    answers = Answers(socket.gethostname(), scratch, given / RCLONE, options.tools)
    return Run(Folders(given, scratch, state), answers, options.programs).once()


@dataclass(frozen=True)
class Run:
    """One start of the unit.

    Attributes:
        folders: where systemd puts configurations and requests, and what is in memory.
        answers: where what became of a request is said.
        programs: the folder with psql; None for Debian's newest.
    """

    folders: Folders
    answers: Answers
    programs: Path | None

    def once(self) -> int:
        """Answer every request that is fresh and was not answered yet."""
        requests = list(self._requests())
        if not requests:
            return 0
        configurations, broken = self.folders.read_configurations()
        for name, problem in sorted(broken.items()):
            journal.log(journal.ERROR, f"configuration {name} {problem}")
        clusters = {one.name: one for configuration in configurations for one in configuration.clusters}
        with self._alone(clusters) as alone:
            # Where another droplet is at work, it answers them all.
            if not alone:
                return 0
            done = [self._answer(one, clusters) for one in requests]
        return 0 if all(done) else 1

    def _requests(self) -> Iterator[Request]:
        for path in sorted(self.folders.configurations.glob(f"{PREFIX}*.json")):
            name = path.name.removeprefix(PREFIX).removesuffix(".json")
            try:
                request = read_request(name, path.read_bytes())
            except SqlError as error:
                journal.log(journal.ERROR, f"{name}: {error}")
                continue
            if request.fresh(time.time()):
                yield request

    def _answer(self, request: Request, clusters: dict[str, Cluster]) -> bool:
        """Do what is asked for and say what became of it; False if that is not known."""
        try:
            said = self.answers.state(request)
            # One that was refused may be there all the same, where the cluster was lost in between.
            if said in ({CLOSED} if request.closed else {OPEN, CLOSED, REFUSED}):
                return True
            try:
                self._do(request, clusters)
            except (SqlError, SessionError, OSError) as error:
                # What Postgres says may quote a name in the church's database, which is of the church's choosing.
                reason = (
                    str(error)
                    if isinstance(error, SqlError)
                    else "a statement failed: the journal says which"
                )
                journal.log(
                    journal.ERROR, f"{request.id}: {request.by} does not read {request.database}: {error}"
                )
                self.answers.say(request, REFUSED, time.time(), problem=reason)
        except CommandError as error:
            journal.log(journal.ERROR, f"{request.id}: {error}")
            return False
        return True

    def _do(self, request: Request, clusters: dict[str, Cluster]) -> None:
        cluster = clusters.get(request.cluster)
        if cluster is None:
            # A church's own cluster has the church's id as its name, and every group reads the answer.
            journal.log(
                journal.ERROR,
                f"there is no cluster {request.cluster}; there are: {', '.join(sorted(clusters))}",
            )
            raise SqlError("there is no cluster of that name: the journal has the names")
        client = self._client(cluster)
        private = self.folders.scratch / cluster.name
        if request.closed:
            if close_reader(client, request, private):
                journal.log(journal.WARNING, f"{request.id}: {request.by} ends {request.role}")
            self.answers.say(request, CLOSED, time.time())
            return
        reader = open_reader(client, request, private)
        journal.log(
            journal.WARNING,
            f"{request.id}: {request.by} reads {request.database} as {reader.role} until {reader.until}: "
            f"{request.reason}",
        )
        try:
            self.answers.say(
                request,
                OPEN,
                time.time(),
                until=reader.until,
                tables=reader.tables,
                all_rows=reader.all_rows,
                sealed=self.answers.sealed(request, cluster, reader),
            )
        except SqlError:
            close_reader(client, request, private)
            raise

    def _client(self, cluster: Cluster) -> Client:
        return Client.prepare(
            cluster,
            self.folders.scratch / cluster.name,
            self.programs or postgres.newest_programs("psql"),
            application="presence360-sql",
            settings=SETTINGS,
        )

    @contextmanager
    def _alone(self, clusters: dict[str, Cluster]) -> Iterator[bool]:
        """Hold the lock of the environment's one droplet that makes readers, where `control_plane` is."""
        with ExitStack() as stack:
            for cluster in clusters.values():
                try:
                    client = self._client(cluster)
                    session = stack.enter_context(Session(client, client.database, self.folders.scratch))
                    alone = database_lock.take_run(session, SQL_LOCK)
                except SessionError as error:
                    journal.log(journal.ERROR, str(error))
                    continue
                if alone is not None:
                    yield alone
                    return
            journal.log(journal.ERROR, "no cluster with control_plane answers")
            yield False
