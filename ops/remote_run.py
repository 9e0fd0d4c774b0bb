"""Run a command in a service's image on a droplet, without SSH: `presence360 run` (docs/jobs.md).

What is asked for is an object in the configuration bucket of the service's group, and what becomes of it one in the
group's status bucket (model/runs.py).
"""

import getpass
import re
import secrets
import shlex
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from pydantic import TypeAdapter, ValidationError

from model.contract import ContractError
from model.environment import CommandWord
from model.errors import did_you_mean, shown
from model.plan import EnvironmentPlan
from model.runs import (
    FRESH_SECONDS,
    MAX_MINUTES,
    RunRequest,
    RunStatus,
    parse_run,
    request_key,
    run_key,
)
from model.services import CATALOGUE
from ops.credentials import check_spaces
from ops.digitalocean import MaybeWrittenError, Spaces
from ops.errors import OperationError, UsageError
from ops.foreign_output import no_commands
from ops.waiting import SYSTEM_CLOCK, CannotTellError, Clock, TryAgainError

POLL_SECONDS = 2.0
"""As often as a droplet writes while a command prints something (droplet/jobs/command.py)."""

LATE_SECONDS = 300
"""A droplet ends a run at its time limit, and tells it within this; later nobody will."""

CANCEL_SECONDS = 90
"""A droplet looks every few seconds while something runs, and gives the command time to end by itself."""

PRODUCTION = re.compile(r"production(-|\Z)")
APPROVED = "RUN_APPROVED_ENVIRONMENT"
"""Set by the workflow (run.yml), whose job GitHub starts when somebody has approved it."""

EXIT_CANCELLED = 130
"""As a shell does: 128 and the number of SIGINT."""

_OVERLAP = 4096
_WORD = TypeAdapter[str](CommandWord)


@dataclass(frozen=True)
class Remote:
    """A service's group, and how its buckets are reached.

    Attributes:
        environment: its environment.
        group: its name.
        service: whose image the command runs in.
        config_bucket: where a request is written.
        status_bucket: where a droplet answers.
        spaces: the Spaces of the environment's region.
        clock: the clock.
    """

    environment: str
    group: str
    service: str
    config_bucket: str
    status_bucket: str
    spaces: Spaces
    clock: Clock

    @classmethod
    def of(
        cls, plan: EnvironmentPlan, service: str, environ: Mapping[str, str], clock: Clock = SYSTEM_CLOCK
    ) -> Self:
        """Return the group that runs a service.

        Raises:
            UsageError: no group does, or a key is missing.
            OperationError: the address of Spaces is none.
        """
        for group in plan.groups:
            if service in {one.name for one in group.placement.services}:
                check_spaces(environ)
                try:
                    spaces = Spaces.of(environ, plan.network.region, clock)
                except CannotTellError as error:
                    raise OperationError(str(error)) from error
                config = group.config
                return cls(
                    plan.name, group.group, service, config.bucket, config.status_bucket, spaces, clock
                )
        raise UsageError(
            [
                f"{plan.name} runs no service {shown(service)}. {did_you_mean(service, CATALOGUE)}"
                f"It runs: {', '.join(sorted(one.name for group in plan.groups for one in group.placement.services))}"
            ]
        )


def check_call(command: Sequence[str], minutes: int) -> None:
    """Check a command's words and its time limit, as those of a scheduled job are.

    Raises:
        UsageError: something is wrong with them.
    """
    problems = [] if command else ["no command: presence360 run staging worker -- python -m reports"]
    for number, word in enumerate(command, start=1):
        try:
            _WORD.validate_python(word)
        except ValidationError:
            what = (
                "is empty" if not word else f"({shown(word)}) is longer than 4,096, or has control characters"
            )
            problems.append(
                f"word {number} of the command {what}: a word is 1 to 4,096 characters of one line"
            )
    if not 1 <= minutes <= MAX_MINUTES:
        problems.append(f"--timeout-minutes is from 1 to {MAX_MINUTES}, not {minutes}")
    if problems:
        raise UsageError(problems)


def check_place(
    environment: str,
    environ: Mapping[str, str],
    service: str = "SERVICE",
    command: Sequence[str] = ("COMMAND",),
    minutes: int = 30,
) -> None:
    """Check that a command may be run here: in production only by a workflow that somebody approved.

    Raises:
        UsageError: it may not.
    """
    if not PRODUCTION.match(environment):
        return
    if environ.get("GITHUB_ACTIONS") == "true" and environ.get(APPROVED) == environment:
        return
    inputs = {
        "environment": environment,
        "service": service,
        "command": shlex.join(command),
        "minutes": str(minutes),
    }
    fields = [part for name, value in inputs.items() for part in ("-f", f"{name}={value}")]
    raise UsageError(
        [
            f"in {environment} a command is run by the workflow `Run a command` alone, after somebody has approved it "
            f"(docs/jobs.md):\n    gh workflow run run.yml {shlex.join(fields)}"
        ]
    )


def who(environ: Mapping[str, str]) -> str:
    """Say who asks, for the droplet's journal."""
    if actor := environ.get("GITHUB_ACTOR"):
        return f"{actor}, by GitHub's run {environ.get('GITHUB_RUN_ID', '?')}"
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def run(
    remote: Remote,
    command: Sequence[str],
    *,
    by: str,
    minutes: int,
    out: Callable[[str], None],
    say: Callable[[str], None],
) -> int:
    """Run a command, pass its output on as it comes, and return its exit status.

    Args:
        remote: where.
        command: program and arguments.
        by: who asks.
        minutes: how long it may take.
        out: takes what the command prints.
        say: takes a line about what happens.

    Raises:
        UsageError: the command or the time limit is none.
        OperationError: it did not run to its end.
    """
    check_call(command, minutes)
    now = remote.clock.time()
    run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    request = RunRequest(
        service=remote.service, command=command, by=by, time=now, timeout_seconds=minutes * 60
    )
    following = _Following(remote, request, run_id, out, say)
    try:
        with no_commands():
            following.ask()
            return following.follow()
    except CannotTellError as error:
        raise OperationError(f"{run_id}: {error}") from error
    finally:
        following.forget()


@dataclass
class _Following:
    """A request, and how far its output was passed on."""

    remote: Remote
    request: RunRequest
    run_id: str
    out: Callable[[str], None]
    say: Callable[[str], None]
    seen: str = ""
    told: str = ""
    begun: bool = False
    """Whether a droplet has said that it runs; an answer of Spaces that fails later changes nothing of it."""
    cancelled: bool = False
    ended: bool = False
    is_there: bool = False
    """Whether the request is in the bucket, or may be."""

    def ask(self) -> None:
        self.is_there = True
        try:
            self._write(self.request)
        except MaybeWrittenError as error:
            raise OperationError(
                f"{self.run_id}: nobody knows whether the request was written: {error}. If it was, a droplet of "
                f"{self.remote.group} may have begun it; its output is then in {self.remote.status_bucket}, under "
                f"{run_key(self.run_id)}"
            ) from error
        except (CannotTellError, TryAgainError) as error:
            self.is_there = False
            raise OperationError(f"{self.run_id}: the request was not written: {error}") from error
        self.say(f"{self.run_id}: asked for; a droplet of {self.remote.group} begins it within half a minute")

    def follow(self) -> int:
        began = self.remote.clock.now()
        try:
            return self._until_ended(began)
        except KeyboardInterrupt:
            self.say(f"{self.run_id}: cancelling; Ctrl-C once more leaves at once")
            try:
                self.cancelled = True
                self._write(replace(self.request, cancelled=True))
                self._until_ended(began, stop_at=self.remote.clock.now() + CANCEL_SECONDS)
            except (OperationError, TryAgainError) as error:
                self.say(str(error))
            return EXIT_CANCELLED

    def forget(self) -> None:
        """Remove the request: it expires, but a bucket that is looked into should show what is asked for now.

        One that was cancelled stays until the droplet says that it ended: it has to read that.
        """
        if not self.is_there or (self.cancelled and not self.ended):
            return
        try:
            self.remote.spaces.delete(self.remote.config_bucket, request_key(self.run_id))
        except (CannotTellError, TryAgainError):
            self.say(f"{self.run_id}: the request was not removed; if it is there, it expires by itself")

    def _until_ended(self, began: float, stop_at: float | None = None) -> int:
        remote, clock = self.remote, self.remote.clock
        while True:
            status = self._status()
            if status is not None:
                self.begun = True
                self._pass_on(status)
                if status.state == "ended":
                    self.ended = True
                    return self._ended(status)
            waited = clock.now() - began
            if stop_at is not None and clock.now() > stop_at:
                raise OperationError(f"{self.run_id}: nobody said that it has ended")
            if status is None and not self.begun and waited > FRESH_SECONDS + POLL_SECONDS:
                raise OperationError(
                    f"{self.run_id}: no droplet of {remote.group} began it within {FRESH_SECONDS // 60} minutes, "
                    f"and none will: presence360 status {remote.environment}"
                )
            if waited > FRESH_SECONDS + self.request.timeout_seconds + LATE_SECONDS:
                raise OperationError(
                    f"{self.run_id}: the droplet has said nothing since its time limit: nobody knows how it ended"
                )
            clock.sleep(POLL_SECONDS)

    def _status(self) -> RunStatus | None:
        try:
            content = self.remote.spaces.read(self.remote.status_bucket, run_key(self.run_id))
            return None if content is None else parse_run(content)
        except (TryAgainError, ContractError) as error:
            self._tell(f"{error}; asking again")
            return None

    def _pass_on(self, status: RunStatus) -> None:
        if status.state == "running":
            self._tell(f"{self.run_id}: runs on {status.name}")
        new, seen = status.output, self.seen
        if new.startswith(seen):
            more = new[len(seen) :]
        elif (at := new.find(seen[-_OVERLAP:])) >= 0:
            more = new[at + len(seen[-_OVERLAP:]) :]
        else:
            more = f"\n[something was cut here]\n{new}"
        if more:
            self.out(more)
        self.seen = new

    def _ended(self, status: RunStatus) -> int:
        if status.result == "ok":
            self.say(f"{self.run_id}: ended well")
            return 0
        reason = f": {status.reason}" if status.reason else ""
        if status.result == "failed" and status.exit_status:
            self.say(f"{self.run_id}: exit status {status.exit_status}{reason}")
            return status.exit_status
        raise OperationError(f"{self.run_id}: {status.result}{reason}")

    def _tell(self, line: str) -> None:
        if line != self.told:
            self.told = line
            self.say(line)

    def _write(self, request: RunRequest) -> None:
        self.remote.spaces.write(self.remote.config_bucket, request_key(self.run_id), request.as_json())
