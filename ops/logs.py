"""Read an environment's log lines where they are kept: `presence360 logs` (docs/logs.md).

They are on the observability group's droplet, in files of systemd's journal; journalctl there looks for them, by SSH
with the operator's own key. Nothing runs on that droplet for this.
"""

import difflib
import ipaddress
import json
import os
import re
import shlex
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

from model.errors import did_you_mean, printable, shown
from model.logs import FOLDER
from model.plan import EnvironmentPlan
from model.services import CATALOGUE
from model.tenants import Tenant
from ops.digitalocean import Api
from ops.errors import OperationError, UsageError
from ops.waiting import LOOK_AT_THE_NETWORK, CannotTellError, TryAgainError

LINES = 10_000
"""At most, the last ones, where no pattern says which."""

EXIT_UNREACHED = 255
"""Of ssh, where it did not get as far as the command (ssh(1), "EXIT STATUS")."""

LONGEST_REASON = 1000
"""Bytes of what ssh says of errors that a message may repeat."""

NGINX = "nginx"

_AGO = re.compile(r"[0-9]{1,5}(s|m|h|d|w)")
_AT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}(:[0-9]{2})?)?")
_REQUEST = re.compile(r"[0-9A-Za-z-]{8,64}")
_UNIT = re.compile(r"@|\.(service|timer|socket|mount|path|scope|slice|target)$")
_WHAT = re.compile(r"[a-z0-9][a-z0-9@._-]{0,99}")
_BROKEN = frozenset(
    {
        "missing ), unterminated subpattern",
        "unbalanced parenthesis",
        "unterminated character set",
        "bad escape (end of pattern)",
    }
)
"""What Python's `re` says of a pattern that PCRE refuses as well."""
_NEAR = 0.75
"""How like a service's name a word is that is not taken for a unit's (difflib, `ratio`)."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which lines.

    Attributes:
        what: a service, `nginx`, or a systemd unit; None for all.
        since: how long ago, such as ``1h``, or a time in UTC; None: an hour, or a minute where lines are followed.
        church: a slug or an id.
        request: the id of a request, which is that of its trace.
        grep: a regular expression (PCRE).
        droplet: the name of one.
        follow: whether new lines are waited for.
    """

    what: str | None = None
    since: str | None = None
    church: str | None = None
    request: str | None = None
    grep: str | None = None
    droplet: str | None = None
    follow: bool = False


def remote_command(query: Query, plan: EnvironmentPlan, tenants: Sequence[Tenant]) -> list[str]:
    """Return the journalctl that finds the lines.

    Raises:
        UsageError: something in the query is wrong; all of it is said.
    """
    problems = list(_problems(query, tenants, plan.name))
    if problems:
        raise UsageError(problems)
    folder = next(
        (
            group.group
            for group in plan.groups
            if query.what in {service.name for service in group.placement.services}
        ),
        "*",
    )
    since = _since(query)
    command = [
        "journalctl", "--quiet", "--utc", "--output=json", f"--file={FOLDER}/{folder}/*.journal",
        # journald's words: "m" is minutes, and a time without a zone is the machine's, which is UTC.
        f"--since={'-' if _AGO.fullmatch(since) else ''}{since}",
    ]  # fmt: skip
    if patterns := _patterns(query, tenants):
        command.append(f"--grep=(?s)^{''.join(f'(?=.*{one})' for one in patterns)}")
    if query.follow:
        command += ["--follow", "--no-tail"]
    elif not patterns:
        # With a pattern it would turn the order of lines round (journalctl(1), --grep).
        command.append(f"--lines={LINES}")
    if query.what in CATALOGUE:
        command.append(f"CONTAINER_TAG={query.what}")
    elif query.what == NGINX:
        command.append(f"SYSLOG_IDENTIFIER={NGINX}")
    elif query.what:
        command.append(f"--unit={query.what}")
    if query.droplet:
        command.append(f"_HOSTNAME={query.droplet}")
    return command


def _problems(query: Query, tenants: Sequence[Tenant], environment: str = "") -> Iterator[str]:
    if query.what and not _WHAT.fullmatch(query.what):
        yield f"there is no service and no unit {shown(query.what)}. Services: {', '.join(CATALOGUE)}; and nginx"
    elif query.what and (meant := _meant(query.what)):
        yield (
            f"there is no service {shown(query.what)}. Did you mean {meant!r}? A unit with such a name is "
            "written with its kind, such as presence360-converge.service"
        )
    at = _moment(_since(query))
    if at and at > datetime.now(UTC):
        yield (
            f"--since {shown(_since(query))} is in the future: it is {datetime.now(UTC):%Y-%m-%d %H:%M} UTC now, and "
            "times are in UTC"
        )
    if not (_AGO.fullmatch(_since(query)) or at):
        yield (
            f"--since {shown(_since(query))} is no time: write how long ago, such as 30m, 2h or 3d, or a time in UTC, "
            'such as "2026-11-27 03:00"'
        )
    if query.church and not _church(query.church, tenants):
        known = {tenant.slug for tenant in tenants}
        yield (
            f"--church {shown(query.church)}: there is no such church. {did_you_mean(query.church, known)}Write a slug "
            "or an id of tenants.yaml"
        )
    if query.request and not _REQUEST.fullmatch(query.request):
        yield f"--request {shown(query.request)} is no request's id: it has 32 hexadecimal digits, as in X-Request-ID"
    if query.droplet and not _WHAT.fullmatch(query.droplet):
        yield f"--droplet {shown(query.droplet)} is no droplet's name: `presence360 status` lists them"
    elif query.droplet and not query.droplet.startswith(f"{environment}-"):
        # One that is gone is in no list, and its lines are there.
        yield (
            f"--droplet {shown(query.droplet)}: no droplet of {environment} has or had this name: all begin with "
            f"`{environment}-`. `presence360 status {environment}` lists those that run"
        )
    if query.grep and (why := _unreadable(query.grep)):
        yield (
            f"--grep {shown(query.grep)} is no regular expression: {why}. Write \\ before a character that "
            "means itself, such as \\("
        )


def _moment(since: str) -> datetime | None:
    """Return a time that was written in full; None for a duration, and for a day that there is not."""
    if not _AT.fullmatch(since):
        return None
    try:
        return datetime.fromisoformat(since).replace(tzinfo=UTC)
    except ValueError:
        return None


def _unreadable(pattern: str) -> str:
    """Return why a pattern can be none in any dialect; journalctl's knows more than Python's."""
    try:
        with warnings.catch_warnings():
            # Of [[:alpha:]], which is right in PCRE.
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except re.error as error:
        return str(error) if error.msg in _BROKEN else ""
    return ""


def _meant(what: str) -> str:
    """Return the service that is likely meant; empty for one, and for what may be a unit."""
    known = (*CATALOGUE, NGINX)
    if what in known or _UNIT.search(what):
        return ""
    return next(iter(difflib.get_close_matches(what, known, n=1, cutoff=_NEAR)), "")


def _since(query: Query) -> str:
    return query.since or ("1m" if query.follow else "1h")


def _church(named: str, tenants: Sequence[Tenant]) -> Tenant | None:
    return next((tenant for tenant in tenants if named in {tenant.slug, str(tenant.id)}), None)


def _patterns(query: Query, tenants: Sequence[Tenant]) -> list[str]:
    """Return what a message has to have: lines of services are JSON, with or without spaces."""
    found = []
    if query.church and (church := _church(query.church, tenants)):
        # nginx and web front ends write the slug, the others the id (docs/services.md, "Logs").
        found.append(f'"tenant": ?"({re.escape(church.slug)}|{re.escape(str(church.id))})"')
    if query.request:
        found.append(f'"request_id": ?"{query.request}"')
    if query.grep:
        found.append(f"({query.grep})")
    return found


def keeper(plan: EnvironmentPlan, api: Api) -> str:
    """Return the public address of the droplet that keeps the lines: of several the newest.

    Raises:
        UsageError: the environment has no observability group.
        OperationError: there is no such droplet, or DigitalOcean's API did not tell.
    """
    group = next((group.group for group in plan.groups if group.observability), None)
    if group is None:
        raise UsageError(
            [
                f"{plan.name} has no observability group, so no lines are kept but on each droplet. Add "
                "`observability:` to its environment.yaml (docs/observability.md)"
            ]
        )
    try:
        droplets = api.tagged(plan.network.group_tags[group])
    except CannotTellError as error:
        raise OperationError(str(error)) from error
    except TryAgainError as error:
        raise OperationError(f"{error}. {LOOK_AT_THE_NETWORK}") from error
    private = ipaddress.IPv4Network(str(plan.network.ip_range))
    for droplet in sorted(droplets, key=lambda one: (len(one.id), one.id), reverse=True):
        for address in droplet.addresses:
            if droplet.status == "active" and ipaddress.IPv4Address(address) not in private:
                return address
    raise OperationError(f"no droplet of the group {group} of {plan.name} is running")


def read(
    command: Sequence[str], *, ssh: Sequence[str], out: Callable[[str], None], as_json: bool = False
) -> None:
    """Have a droplet find lines, and pass them on as they come.

    Args:
        command: what runs there.
        ssh: what runs a command there.
        out: takes the lines.
        as_json: whether they are passed on as they are, with all of their fields.

    Raises:
        OperationError: the droplet was not reached, or did not do it.
    """
    # A file: who reads one pipe to its end, while the other is full, waits for ever.
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [*ssh, shlex.join(command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        ) as process,
    ):
        for line in process.stdout or ():
            text = line.decode(errors="replace")
            out(text if as_json else f"{readable(text)}\n")
        process.wait()
        said = _last_line(errors)
    if process.returncode == 0:
        return
    if process.returncode == EXIT_UNREACHED:
        raise OperationError(
            f"the droplet was not reached: {said or 'ssh says nothing'}. Is your address in `network.admin_cidrs`, and "
            "your key in `network.ssh_keys`?"
        )
    # journalctl says nothing, and ends with 1, where a pattern is found in no line.
    if said:
        raise OperationError(f"the droplet did not find lines: {said}")


def _last_line(errors: IO[bytes]) -> str:
    """Return the last line of what ssh or journalctl said of errors: it has the reason, after banners and warnings."""
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - LONGEST_REASON))
    lines = [line.strip() for line in errors.read().decode(errors="replace").splitlines()]
    return printable(next((line for line in reversed(lines) if line), ""))


def ssh_to(address: str) -> list[str]:
    """Return what runs a command on a droplet, as root. A droplet that is new is believed, and later no other key."""
    options = {"BatchMode": "yes", "ConnectTimeout": "15", "StrictHostKeyChecking": "accept-new"}
    return [
        "ssh",
        *(part for name, value in options.items() for part in ("-o", f"{name}={value}")),
        f"root@{address}",
    ]


def readable(line: str) -> str:
    """Return a line for people: when, where, who and what."""
    try:
        fields: Mapping[str, Any] = json.loads(line)
        when = datetime.fromtimestamp(int(fields["__REALTIME_TIMESTAMP"]) / 1e6, UTC)
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
        return line.rstrip("\n")
    who = fields.get("SYSLOG_IDENTIFIER") or fields.get("_COMM") or "?"
    where = printable(str(fields.get("_HOSTNAME", "?")))
    # Further lines are indented: at the left edge, a message could show lines of another service or droplet.
    message = "\n    ".join(_message(fields.get("MESSAGE")).splitlines())
    return f"{when:%Y-%m-%d %H:%M:%S} {where} {printable(str(who))}: {message}"


def _message(value: Any) -> str:
    # Bytes that are no text come as numbers (systemd.io/JOURNAL_EXPORT_FORMATS, "Journal JSON Format").
    if isinstance(value, list):
        return bytes(one for one in value if isinstance(one, int) and 0 <= one < 256).decode(errors="replace")  # noqa: PLR2004  a byte
    return "" if value is None else str(value)
