"""Wait until every droplet runs what a deploy wrote, after Terraform has ended and released its lock.

Droplets fetch what a deploy wrote, and change in turns. The wait ends when all of them say that they run it; at the
first that says that it failed or that it is held back, because then no other one follows; when another deploy has
written something newer; or when the time is up.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Self

from model.maintenance import MAINTENANCE_KEY
from model.status import DIGITS, Manifest, Phase, Result
from ops.errors import OperationError
from ops.fleet import Fleet, Report
from ops.progress import elapsed
from ops.waiting import CannotTellError, TryAgainError

# Three groups of three droplets make 18 requests a minute to the API, of the 250 that a token has (API
# documentation, "Rate Limit"); Spaces take 1,500 a second.
POLL_SECONDS = 10.0


class ReleaseError(OperationError):
    """A release did not arrive everywhere; the message has the droplets' reasons."""


class SupersededError(ReleaseError):
    """Another deploy wrote something newer while this one waited."""


@dataclass(frozen=True)
class Wanted:
    """What a group's droplets have to run, by the digests of its manifest; and who is to be in maintenance.

    ``manifest`` is the manifest's own digest. Two deploys that differ only in that ask for the same release.
    """

    release: str | None = None
    programs: str | None = None
    maintenance: str | None = None
    manifest: str | None = field(default=None, compare=False)

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Return what a manifest asks for."""
        told = manifest.objects.get(MAINTENANCE_KEY)
        return cls(manifest.release, manifest.programs, told and told[:DIGITS], manifest.digest)


Deployed = Mapping[str, Wanted]
"""By group, what a deploy wrote."""


def deployed(fleet: Fleet) -> Deployed:
    """Return what the buckets of an environment ask for now.

    Raises:
        ReleaseError: Terraform has not written it.
        CannotTellError: the key does not suffice.
        TryAgainError: Spaces did not answer.
    """
    found: dict[str, Wanted] = {}
    for group, manifest in fleet.manifests():
        if manifest is None:
            raise ReleaseError(
                f"{fleet.environment}: the bucket {group.config_bucket} does not say which release it holds: "
                f"deploy the stack {fleet.environment} first"
            )
        found[group.name] = Wanted.of(manifest)
    return found


def to_text(wanted: Deployed) -> str:
    """Write what was deployed as one line, for a step that waits elsewhere."""
    said = {
        group: {key: value for key, value in asdict(one).items() if value is not None and key != "manifest"}
        for group, one in sorted(wanted.items())
    }
    return json.dumps(said, separators=(",", ":"))


def from_text(text: str) -> Deployed:
    """Read what `to_text` wrote.

    Raises:
        ValueError: it did not write this.
    """
    try:
        return {group: Wanted(**one) for group, one in json.loads(text).items()}
    except (AttributeError, TypeError) as error:
        raise ValueError(f"not what an apply wrote: {error}") from None


@dataclass(frozen=True)
class Progress:
    """Where a release has got to: one line for each droplet that does not run it."""

    failed: tuple[str, ...]
    pending: tuple[str, ...]

    @classmethod
    def judge(cls, reports: list[Report], wanted: Deployed, now: datetime) -> Self:
        """Judge what the droplets say."""
        failed: list[str] = []
        pending = [
            f"{group}: it has no droplet" for group in wanted if group not in {r.group for r in reports}
        ]
        for report in reports:
            if report.group not in wanted:
                continue
            state, is_final = _state(report, wanted[report.group], now)
            if state:
                (failed if is_final else pending).append(f"{report.droplet.name}: {state}")
        return cls(tuple(failed), tuple(pending))


def _state(report: Report, wanted: Wanted, now: datetime) -> tuple[str | None, bool]:
    """Return what keeps a droplet from running the release, and whether it stays so."""
    status = report.status
    if (silence := report.silence(now)) or status is None:
        return silence, False
    said = f"{status.phase}: {status.reason}" if status.reason else str(status.phase)
    if status.wanted != wanted.release or status.manifest not in {None, wanted.manifest}:
        # What it says is about what it was asked for before. An edit may leave the release as it is and still be what
        # repairs it, such as another share of the churches. Programs before 2026-11-26 do not say the manifest.
        return f"it has not fetched this deploy yet ({said})", False
    if status.result is Result.FAILED or status.phase in {Phase.FAILED, Phase.HELD}:
        return said, True
    if status.result is not Result.OK or status.release != wanted.release:
        return said, False
    for asked, runs, what in (
        (wanted.programs, status.programs, "programs"),
        (wanted.maintenance, status.maintenance, "maintenance"),
    ):
        if asked not in {None, runs}:
            return f"{said}, with the {what} before", False
    return None, False


def wait(
    fleet: Fleet,
    wanted: Deployed,
    *,
    limit: float,
    say: Callable[[str], None],
    poll: float = POLL_SECONDS,
) -> None:
    """Wait until all droplets run what was deployed; say each change of what a droplet says.

    Args:
        fleet: the environment's droplets.
        wanted: what was deployed.
        limit: seconds to wait at most.
        say: takes one line.
        poll: seconds between two questions.

    Raises:
        SupersededError: another deploy wrote something newer.
        ReleaseError: a droplet failed, or the time is up.
    """
    environment, clock = fleet.environment, fleet.clock
    began = clock.now()
    told: set[str] = set()
    while True:
        pending = _look(fleet, wanted)
        took = clock.now() - began
        if not pending:
            say(f"{environment}: every droplet runs what was deployed, after {elapsed(took)}")
            return
        for line in pending:
            if line not in told:
                say(f"  {line}")
        told = set(pending)
        if took + poll > limit:
            raise ReleaseError(
                _told(
                    environment, f"not every droplet runs what was deployed after {elapsed(limit)}", pending
                )
                + f"\nDroplets go on by themselves: presence360 status {environment} --watch"
            )
        clock.sleep(poll)


def _look(fleet: Fleet, wanted: Deployed) -> tuple[str, ...]:
    """Return what is not there yet.

    Raises:
        ReleaseError: it will not be.
    """
    environment = fleet.environment
    try:
        now = deployed(fleet)
        # What was written before the reports are read: a droplet is judged by nothing newer than that.
        if now != wanted:
            raise SupersededError(
                f"{environment}: superseded: another deploy has written something newer, and its own wait says what "
                "becomes of it. Nothing is known of the release that this one waited for."
            )
        progress = Progress.judge(fleet.reports(), now, fleet.clock.time())
    except TryAgainError as error:
        return (str(error),)
    except CannotTellError as error:
        raise ReleaseError(f"{environment}: what the droplets say cannot be read: {error}") from error
    if progress.failed:
        raise ReleaseError(
            _told(environment, "the deploy is done, and its release failed", progress.failed)
            + _migrations(fleet, progress.failed)
            + "\nWhat ran before goes on there. Fix the cause, or take the edit back, and deploy again."
        )
    return progress.pending


def _migrations(fleet: Fleet, failed: tuple[str, ...]) -> str:
    """Return which churches' migrations failed and why, where droplets are held for them; or nothing."""
    if fleet.migrations is None or not any("held: migrations: " in line for line in failed):
        return ""
    try:
        lines = fleet.migrations.failures()
    except (CannotTellError, TryAgainError) as error:
        lines = [f"cannot be read: {error}"]
    text = "".join(f"\n  {line}" for line in lines)
    return (
        f"\nMigrations that failed:{text}\nAll of them: presence360 migrations {fleet.environment}"
        if lines
        else ""
    )


def _told(environment: str, what: str, lines: tuple[str, ...]) -> str:
    return "\n".join([f"{environment}: {what}:", *(f"  {line}" for line in lines)])
