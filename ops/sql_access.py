"""Break-glass: ask for a login that reads one database, connect with it, and end it (docs/runbooks/break-glass.md)."""

import json
import os
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from model.contract import ContractError
from model.errors import shown, shown_recipient
from model.loader import Environment
from model.naming import CONTROL_PLANE_DATABASE
from model.plan import EnvironmentPlan
from model.secret_values import PRIVATE_HALF, is_private_half
from model.sql_access import (
    CLOSED,
    FRESH_SECONDS,
    MAX_MINUTES,
    MAX_REASON,
    OPEN,
    RECIPIENT,
    RECORD_DAYS,
    RECORDS,
    REFUSED,
    RUN_ID,
    SqlAnswer,
    SqlRequest,
    answer_key,
    parse_answer,
    parse_request,
    record_key,
    request_key,
    role_of,
)
from ops.arguments import told
from ops.bucket import Bucket
from ops.drill.signals import stopped_in_good_order
from ops.dump_file import NO_AGE
from ops.edits import find_tenant
from ops.errors import OperationError, UsageError
from ops.remote_run import PRODUCTION
from ops.restore_run import PROGRAMS, cluster_of, database_of
from ops.waiting import SYSTEM_CLOCK, Clock

POLL_SECONDS = 3.0
TAKE_BACK_SECONDS = 120
"""A droplet fetches its bucket every half minute, and what it is asked within two."""

APPROVED = "SQL_APPROVED_ENVIRONMENT"
"""Set by the workflow (sql.yml), whose job GitHub starts when somebody has approved it."""

_AGE, _KEYGEN = "age", "age-keygen"


@dataclass(frozen=True)
class Place:
    """An environment's control group, as operators reach its buckets.

    Attributes:
        environment: its name.
        config: where requests are written; droplets only read it.
        status: where a droplet answers.
        clock: the clock.
    """

    environment: str
    config: Bucket
    status: Bucket
    clock: Clock = SYSTEM_CLOCK

    @classmethod
    def of(cls, plan: EnvironmentPlan, environ: Mapping[str, str], clock: Clock = SYSTEM_CLOCK) -> Self:
        """Return an environment's.

        Raises:
            UsageError: there is no key.
            OperationError: the address of Spaces is none.
        """
        group = next(one for one in plan.groups if one.isolation)
        config, status = (
            Bucket.of(environ, plan.network.region, name)
            for name in (group.config.bucket, group.config.status_bucket)
        )
        return cls(plan.name, config, status, clock)

    def answer(self, run_id: str) -> SqlAnswer | None:
        """Return what a droplet said of a request; None if none said anything.

        Raises:
            OperationError: the bucket cannot be read.
        """
        content = self.status.read(answer_key(run_id))
        try:
            return None if content is None else parse_answer(content, run_id)
        except ContractError as error:
            raise OperationError(f"{run_id}: {error}") from None

    def record(self, run_id: str) -> SqlRequest:
        """Return what was asked for.

        Raises:
            UsageError: nothing is known of it.
            OperationError: the bucket cannot be read.
        """
        content = self.config.read(record_key(run_id))
        if content is None:
            raise UsageError(
                [
                    f"nothing is known of {run_id}: `presence360 sql list {self.environment}` has those of three days"
                ]
            )
        try:
            return parse_request(content)
        except ContractError as error:
            raise OperationError(f"{run_id}: {error}") from None

    def asked(self) -> list[tuple[str, SqlRequest, SqlAnswer | None]]:
        """Return what was asked for in the last days, the oldest first: its id, the request, and what was answered."""
        found = []
        for key in sorted(self.config.keys(f"{RECORDS}/")):
            run_id = key.removeprefix(f"{RECORDS}/").removesuffix(".json")
            request, answer = self.record(run_id), None
            # A droplet wrote it: what is none is as good as nothing.
            with suppress(OperationError):
                answer = self.answer(run_id)
            found.append((run_id, request, answer))
        return found

    def keep(self, run_id: str, request: SqlRequest) -> None:
        """Keep what is asked for, and forget what is older than the answers are kept.

        Raises:
            OperationError: the bucket does not take it.
        """
        oldest = record_key(f"{self.clock.time() - timedelta(days=RECORD_DAYS):%Y%m%d-%H%M%S}")
        for key in self.config.keys(f"{RECORDS}/"):
            if key < oldest:
                self.config.erase(key)
        self.config.write(record_key(run_id), request.as_json())


def check_call(reason: str, minutes: int, recipient: str | None) -> None:
    """Check what an operator asks for; `recipient` is None where that was refused already.

    Raises:
        UsageError: something is wrong with it.
    """
    problems = []
    if not reason.strip() or not reason.isprintable() or len(reason) > MAX_REASON:
        problems.append(
            f"--reason is one line of 1 to {MAX_REASON} characters: what is looked for, and for whom"
        )
    if not 1 <= minutes <= MAX_MINUTES:
        problems.append(f"--minutes is from 1 to {MAX_MINUTES}, not {minutes}")
    if recipient is not None and not RECIPIENT.fullmatch(recipient):
        why = f"{PRIVATE_HALF} " if is_private_half(recipient) else ""
        problems.append(
            f"{shown_recipient(recipient)} is no public key of age. {why}`presence360 sql key sql.key` makes a key and "
            "prints its public half"
        )
    if problems:
        raise UsageError(problems)


def where(environment: Environment, root: Path, wanted: str) -> tuple[str, str]:
    """Return the cluster and the database of a church, by slug or id, or of the control plane.

    Raises:
        RefusedError: there is no such church.
    """
    if wanted == CONTROL_PLANE_DATABASE:
        return environment.file.postgres.control_plane, wanted
    tenant = find_tenant(environment, wanted, root).tenant
    return cluster_of(environment, tenant), database_of(tenant, tenant.database.current)


def said(answer: SqlAnswer, request: SqlRequest, environment: str) -> list[str]:
    """Say what was made, and how to use it."""
    rows = "all rows" if answer.all_rows else "the rows that row level security shows to everybody"
    until = f"{answer.until:%H:%M} UTC" if answer.until else "?"
    return [
        f"{answer.id}: {role_of(request.database, answer.id)} reads {answer.tables} tables and views of "
        f"{request.database} until {until}, {rows}",
        f"presence360 sql connect {environment} {answer.id} --key KEY --droplet ADDRESS",
    ]


def check_id(run_id: str) -> None:
    """Check the name of a request.

    Raises:
        UsageError: it is none.
    """
    if not RUN_ID.fullmatch(run_id):
        raise UsageError([f"{shown(run_id)} is no request's id, such as 20261127-031500-4f0c92ab"])


def check_place(
    environment: str, environ: Mapping[str, str], tenant: str, reason: str, minutes: int, recipient: str
) -> None:
    """Check that a login may be asked for here: in production only by a workflow that somebody approved.

    Raises:
        UsageError: it may not.
    """
    if not PRODUCTION.match(environment):
        return
    if environ.get("GITHUB_ACTIONS") == "true" and environ.get(APPROVED) == environment:
        return
    inputs = {
        "environment": environment,
        "tenant": tenant,
        "reason": reason,
        "minutes": str(minutes),
        "recipient": recipient,
    }
    fields = [part for name, value in inputs.items() for part in ("-f", f"{name}={value}")]
    raise UsageError(
        [
            f"in {environment} this is asked for by the workflow `Read a database` alone, after somebody has approved "
            f"it (docs/runbooks/break-glass.md):\n    gh workflow run sql.yml {shlex.join(fields)}"
        ]
    )


def open_access(place: Place, request: SqlRequest, say: Callable[[str], None]) -> SqlAnswer:
    """Ask for a login, and wait until a droplet has made it.

    Args:
        place: where.
        request: what is asked for; its time is now.
        say: takes a line about what happens.

    Raises:
        OperationError: it was refused, or no droplet answered.
    """
    run_id = f"{request.time:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    place.keep(run_id, request)
    say(f"{run_id}: asked for; a droplet of the control group answers within two minutes")
    try:
        with stopped_in_good_order():
            answer = _ask(place, run_id, request, OPEN)
    except KeyboardInterrupt:
        _take_back(place, run_id, request, say)
        raise
    except OperationError:
        place.config.erase(request_key(run_id))
        raise
    place.config.erase(request_key(run_id))
    return answer


def _take_back(place: Place, run_id: str, request: SqlRequest, say: Callable[[str], None]) -> None:
    """End a login that nobody waits for any more: a droplet may be making it at this moment."""
    say(f"{run_id}: taking it back, within two minutes; Ctrl-C once more leaves at once")
    closed = replace(request, closed=True, minutes=1, time=place.clock.time())
    try:
        _ask(place, run_id, closed, CLOSED, before=place.answer(run_id), limit=TAKE_BACK_SECONDS)
    except OperationError as error:
        answer = place.answer(run_id)
        if answer is None or answer.state != REFUSED:
            # What was written last asks for the end. It stays, for a droplet to read.
            say(f"{error}\n{run_id}: the request to close it stays for {FRESH_SECONDS // 60} minutes")
            return
    place.config.erase(request_key(run_id))
    say(f"{run_id}: no login is left of it")


def close_access(place: Place, run_id: str, by: str) -> SqlAnswer:
    """Ask for the end of a login before its time, and wait until a droplet has ended it.

    Raises:
        UsageError: nothing is known of it.
        OperationError: it was refused, or no droplet answered.
    """
    record, known = place.record(run_id), place.answer(run_id)
    if known and known.state == CLOSED:
        return known
    # Nothing is encrypted for an end.
    nobody = f"age1{'q' * 58}"
    request = replace(record, recipient=nobody, by=by, time=place.clock.time(), minutes=1, closed=True)
    try:
        return _ask(place, run_id, request, CLOSED, before=known)
    finally:
        place.config.erase(request_key(run_id))


def _ask(
    place: Place,
    run_id: str,
    request: SqlRequest,
    wanted: str,
    *,
    before: SqlAnswer | None = None,
    limit: float = FRESH_SECONDS,
) -> SqlAnswer:
    """Write the request, and wait for another answer than the one that was there before."""
    place.config.write(request_key(run_id), request.as_json())
    began = place.clock.now()
    while True:
        answer = place.answer(run_id)
        if answer and answer.state == wanted:
            return answer
        if answer and answer.problem and answer != before:
            raise OperationError(f"{run_id}: {answer.droplet} refused: {answer.problem}")
        if place.clock.now() - began > limit:
            none_will = ", and none will" if limit >= FRESH_SECONDS else ""
            raise OperationError(
                f"{run_id}: no droplet of the control group answered within {limit / 60:.0f} minutes{none_will}: "
                f"presence360 status {place.environment}, and `journalctl -u presence360-sql` on a droplet of it"
            )
        place.clock.sleep(POLL_SECONDS)


def new_key(file: Path, keygen: str = _KEYGEN) -> str:
    """Make a key of age in a new file that only its owner reads; return its public half.

    Raises:
        UsageError: the file is there already, or cannot be written; or age is not installed.
        OperationError: age made no key.
    """
    try:
        done = subprocess.run([keygen], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError([NO_AGE]) from None
    public = next((line for line in done.stdout.splitlines() if line.startswith("# public key: ")), "")
    if done.returncode != 0 or not public:
        raise OperationError("age-keygen made no key")
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise UsageError(
            [f"{told(file)}: {error.strerror}. Name a new file: one key is for one look."]
        ) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(done.stdout)
    return public.removeprefix("# public key: ")


def public_half(file: Path, keygen: str = _KEYGEN) -> str:
    """Return the public half of a key.

    Raises:
        UsageError: there is no such file, or no key in it; or age is not installed.
    """
    if not file.exists():
        raise UsageError(
            [f"--key {told(file)}: there is no such file. `presence360 sql key {told(file)}` makes it"]
        )
    try:
        done = subprocess.run([keygen, "-y", str(file)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError([NO_AGE]) from None
    if done.returncode != 0:
        raise UsageError(
            [
                f"--key {told(file)}: this is no private key of age, or you may not read it. Name the file that "
                "`presence360 sql key` made, or another name and make a new one"
            ]
        )
    return done.stdout.strip()


def unsealed(answer: SqlAnswer, key: Path, age: str = _AGE) -> dict[str, Any]:
    """Decrypt how to connect.

    Raises:
        OperationError: there is nothing, or it is for another key.
    """
    if answer.state != OPEN or not answer.sealed:
        raise OperationError(f"{answer.id}: it is {answer.state}{answer.problem and ': '}{answer.problem}")
    try:
        done = subprocess.run(
            [age, "--decrypt", "--identity", str(key)],
            input=answer.sealed.encode(),
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise OperationError(NO_AGE) from None
    if done.returncode != 0:
        raise OperationError(f"{answer.id}: the answer is not encrypted for the key in {told(key)}")
    value: dict[str, Any] = json.loads(done.stdout)
    return value


@dataclass(frozen=True)
class Terminal:
    """psql on a droplet of the control group, by SSH: a cluster lets in nobody else, and no port is forwarded.

    Attributes:
        address: of the droplet.
        ssh: the program.
    """

    address: str
    ssh: str

    @classmethod
    def of(cls, address: str) -> Self:
        """Return it.

        Raises:
            UsageError: ssh is not installed.
        """
        ssh = shutil.which("ssh")
        if ssh is None:
            raise UsageError(["ssh is not installed: Debian's package `openssh-client`"])
        return cls(address, ssh)

    def start(self, run_id: str, connection: Mapping[str, Any], statement: str) -> int:
        """Start psql there; return its exit status. The password is sent as input, and is in no command.

        Raises:
            OperationError: the droplet did not take how to connect.
        """
        kept = subprocess.run(
            self._command("--keep", run_id), input=json.dumps(connection).encode(), check=False
        )
        if kept.returncode:
            raise OperationError(f"{run_id}: {self.address} did not take it (exit status {kept.returncode})")
        command = self._command("--psql", run_id, *(("--command", statement) if statement else ()))
        if not statement:
            command.insert(1, "-t")
        return subprocess.run(command, check=False).returncode

    def _command(self, *arguments: str) -> list[str]:
        # A shell there reads them.
        words: Sequence[str] = ("python3", "-I", "-B", PROGRAMS, "sql", *arguments)
        return [self.ssh, f"root@{self.address}", shlex.join(words)]
