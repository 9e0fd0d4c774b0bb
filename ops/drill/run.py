"""A drill from its beginning to its end: a fork, what is tried on it, the report, and nothing left of it."""

import json
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, Self

from model.bucket_access import Bucket as Kind
from model.contract import TIME, ContractError
from model.drill_status import DrillReport, DrillStatus, is_report, parse_report
from model.naming import Names, is_disposable, tenant_database
from model.plan import EnvironmentPlan
from model.prices import POSTGRES_NODES, UNKNOWN_CLUSTER
from model.restore_drill import BACKUP, FORKED, REPORTS, DrillSource, RestoreDrillPlan
from model.sanity import SanityQuery
from ops.bucket import Bucket
from ops.drill import directory
from ops.drill.asking import Asking, run_id
from ops.drill.forks import Forks
from ops.errors import OperationError, UsageError
from ops.plan_json import Plan, parse_plan
from ops.waiting import SYSTEM_CLOCK, Clock

AGE_KEYGEN = "age-keygen"
_HOURS_OF_A_MONTH = 672
"""By which DigitalOcean divides a month's price (its documentation, "Billing": 28 days)."""
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Terraform(Protocol):
    """Terraform in the drill's folder."""

    def plan(self, file: Path, *options: str) -> bool:
        """Write a plan file; return whether it changes anything."""

    def show(self, file: Path) -> str:
        """Return a plan file as JSON."""

    def apply(self, file: Path) -> None:
        """Apply a plan file."""

    def must(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command that has to succeed."""


@dataclass(frozen=True)
class Place:
    """What a drill works with.

    Attributes:
        plan: the environment's.
        drill: the drill's.
        forks: DigitalOcean.
        open_stack: opens Terraform in the drill's folder; called when it is needed.
        buckets: opens a bucket by its name.
        clock: the clock.
        age: the program that encrypts.
    """

    plan: EnvironmentPlan
    drill: RestoreDrillPlan
    forks: Forks
    open_stack: Callable[[], Terraform]
    buckets: Callable[[str], Bucket]
    clock: Clock = SYSTEM_CLOCK
    age: str = "age"

    @classmethod
    def of(
        cls, plan: EnvironmentPlan, environ: Mapping[str, str], open_stack: Callable[[str], Terraform]
    ) -> Self:
        """Return an environment's.

        Raises:
            UsageError: its file asks for no drill, or there is no key.
            OperationError: the address of the API is none.
        """
        drill = plan.drill
        if drill is None:
            raise UsageError([f"{plan.name}: environment.yaml has no `backups.drill:` (docs/drill.md)"])
        return cls(
            plan=plan,
            drill=drill,
            forks=Forks.of(drill, environ),
            open_stack=lambda: open_stack(drill.name),
            buckets=lambda name: Bucket.of(environ, plan.network.region, name),
        )

    def bucket(self, kind: Kind) -> Bucket:
        """Open one of the environment's."""
        return self.buckets(Names(self.plan.name).bucket(kind))

    def asking(self, name: str) -> Asking:
        """Return how a run is asked for and followed."""
        (group,) = (one for one in self.plan.groups if one.group == self.drill.group)
        config, status = (self.buckets(one) for one in (group.config.bucket, group.config.status_bucket))
        return Asking(name, config, status, self.age, self.clock)

    def reports(self) -> list[str]:
        """Return the keys of the reports, the newest last."""
        return [key for key in self.bucket(Kind.BACKUPS).keys(f"{REPORTS}/") if is_report(key)]

    def newest(self) -> DrillReport | None:
        """Return the newest report; None if there is none."""
        keys = self.reports()
        content = self.bucket(Kind.BACKUPS).read(keys[-1]) if keys else None
        try:
            return parse_report(content) if content else None
        except ContractError as error:
            raise OperationError(f"{keys[-1]}: {error}") from None


@dataclass(frozen=True)
class Result:
    """What a drill came to.

    Attributes:
        status: what the droplet said last.
        markdown: the report for people.
    """

    status: DrillStatus
    markdown: str


def _newest(place: Place, say: Callable[[str], None]) -> DrillReport | None:
    """Return the newest report; one that cannot be read stops no drill."""
    try:
        return place.newest()
    except OperationError as error:
        say(f"the newest report cannot be read, so it decides nothing: {error}")
        return None


def choose(drill: RestoreDrillPlan, newest: DrillReport | None, wanted: str | None) -> str:
    """Return the cluster that is forked: the one that waited longest, or the one that is named.

    Raises:
        UsageError: there is no such cluster.
    """
    if wanted is not None:
        if wanted not in drill.sources:
            raise UsageError([f"{wanted!r} cannot be forked; there are: {', '.join(drill.sources)}"])
        return wanted
    known = newest.known if newest else {}

    def waited(key: str) -> tuple[str, str]:
        source = drill.sources[key]
        names = [tenant_database(one) for one in source.databases] + ["control_plane"] * source.control_plane
        # One that nobody has looked at comes before all others.
        times = [known[name].isoformat() if name in known else "" for name in names]
        return min(times, default=""), key

    return min(drill.sources, key=waited)


def told(drill: RestoreDrillPlan, source: DrillSource, backup: datetime, clusters: int) -> Iterator[str]:
    """Say what a drill makes, for how long, and what it costs."""
    yield (
        f"it forks {source.cluster} from its backup of {backup:%Y-%m-%d %H:%M} UTC into {drill.name}, "
        f"one node of {source.size} with Postgres {source.version}, for at most {drill.hours + 2} hours"
    )
    price = POSTGRES_NODES.get(source.size, UNKNOWN_CLUSTER)
    if price.usd is None:
        yield f"what an hour costs is unknown: {price.source}"
    else:
        yield f"it costs about {price.usd / _HOURS_OF_A_MONTH * (drill.hours + 2):.2f} USD at most ({price.source})"
    yield f"the account has {clusters} database clusters, and one more while the drill runs"


def identity(text: str, recipients: Sequence[str], keygen: str = AGE_KEYGEN) -> str:
    """Return the drill's private key out of a file's text, checked to be one that dumps are encrypted for.

    Raises:
        UsageError: it is none.
    """
    keys = [line.strip() for line in text.splitlines() if line.strip().startswith("AGE-SECRET-KEY-1")]
    if len(keys) != 1:
        raise UsageError(["the drill's key is not a key of age's: a line that begins with AGE-SECRET-KEY-1"])
    try:
        done = subprocess.run(
            [keygen, "-y"], input=keys[0] + "\n", capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise UsageError(["age is not installed: Debian's and Ubuntu's package `age`"]) from None
    if done.stdout.strip() not in recipients:
        raise UsageError(
            ["the drill's key belongs to none of `backups.recipients` of environment.yaml: it opens no dump"]
        )
    return keys[0]


def clean(place: Place, say: Callable[[str], None]) -> None:
    """Destroy everything of a drill: what its marks say is one's, and what its state has.

    Raises:
        OperationError: something is left; the message says what.
    """
    problems = []
    try:
        # First what costs money and what holds people's data, whatever the state says.
        place.forks.destroy(say)
    except OperationError as error:
        problems.append(str(error))
    try:
        with _plans() as file:
            terraform = place.open_stack()
            if terraform.plan(file, "-destroy"):
                check(parse_plan(terraform.show(file), place.drill.name), place.drill, destroys=True)
                terraform.apply(file)
    except OperationError as error:
        problems.append(str(error))
    for bucket_problem in _forget(place):
        problems.append(bucket_problem)
    if problems:
        raise OperationError("\n".join(problems))


def drill(
    place: Place,
    key: str,
    queries: Sequence[SanityQuery],
    say: Callable[[str], None],
    *,
    source: str | None = None,
    limit: int | None = None,
) -> Result:
    """Do a drill; whatever happens, what it made is destroyed.

    Args:
        place: where.
        key: the drill's private key.
        queries: what the application's owners want to be true.
        say: takes a line about what happens.
        source: the cluster that is forked; None: the one that waited longest.
        limit: how many clusters the account may have; None: the usual.

    Raises:
        OperationError: it could not be done, or something of it is left.
        UsageError: there is no such cluster.
    """
    chosen = choose(place.drill, _newest(place, say), source)
    found = place.drill.sources[chosen]
    if at_work := place.asking("none").at_work():
        raise OperationError(
            f"{at_work}: its fork is not destroyed. Wait until it has ended, or end it: presence360 drill "
            f"{place.plan.name} --clean"
        )
    # Before anything is made: of a run whose program was killed, the question is still there, and a droplet answers it.
    if problems := list(_forget(place)):
        raise OperationError("\n".join(problems))
    if place.forks.destroy(say):
        say("that was left by an earlier drill")
    clusters = place.forks.check_room(limit)
    backup = place.forks.backup_of(found.cluster)
    for line in told(place.drill, found, backup, clusters):
        say(line)
    with _stopped_in_good_order():
        try:
            result = _tried(place, chosen, backup, key, queries, say)
        except BaseException:
            say("it did not end well: destroying what was made")
            with _undisturbed():
                try:
                    clean(place, say)
                except OperationError as error:
                    say(f"left behind: {error}; presence360 drill {place.plan.name} --clean")
            raise
        with _undisturbed():
            clean(place, say)
    return result


def _tried(
    place: Place,
    source: str,
    backup: datetime,
    key: str,
    queries: Sequence[SanityQuery],
    say: Callable[[str], None],
) -> Result:
    began = place.clock.time()
    terraform = place.open_stack()
    with _plans() as file:
        variables = (f"-var={FORKED}={source}", f"-var={BACKUP}={backup.strftime(TIME)}")
        terraform.plan(file, *variables)
        check(parse_plan(terraform.show(file), place.drill.name), place.drill, destroys=False)
        terraform.apply(file)
    ready = place.clock.time()
    say(f"the fork is there after {(ready - began).total_seconds() / 60:.0f} minutes")
    administration = _output(terraform)
    names = directory.read(place.plan, source, place.bucket(Kind.DIRECTORY), place.bucket(Kind.CREDENTIALS))
    asking = place.asking(run_id(ready))
    asking.ask(_request(place, source, (began, ready, backup), names, queries))
    sent = {
        "identity": key,
        "cluster": administration,
        "passwords": place.forks.users() | {administration["user"]: administration["password"]},
        "records": dict(names.records),
    }
    try:
        status = asking.follow(sent, place.drill.hours, say)
    finally:
        with suppress(OperationError):
            asking.forget()
    markdown = b""
    if status.report:
        markdown = place.bucket(Kind.BACKUPS).read(status.report.removesuffix("json") + "md") or b""
    return Result(status, markdown.decode(errors="replace"))


def _request(
    place: Place,
    source: str,
    times: tuple[datetime, datetime, datetime],
    names: directory.Directory,
    queries: Sequence[SanityQuery],
) -> dict[str, Any]:
    began, ready, backup = times
    drill = place.drill
    return {
        "environment": place.plan.name,
        "source": source,
        "time": place.clock.time().strftime(TIME),
        "began": began.strftime(TIME),
        "ready": ready.strftime(TIME),
        "backup": backup.strftime(TIME),
        "databases": [{"name": name, "user": user} for name, user in names.databases.items()],
        "rpo_hours": drill.rpo_hours,
        "rto_minutes": drill.rto_minutes,
        "every_days": drill.every_days,
        "hours": drill.hours,
        "queries": [query.model_dump(mode="json") for query in queries],
    }


def check(plan: Plan, drill: RestoreDrillPlan, *, destroys: bool) -> None:
    """Check that a plan does nothing but make the drill's resources, or destroy them.

    Raises:
        OperationError: it does something else.
    """
    if not is_disposable(plan.stack) or plan.stack != drill.name:
        raise OperationError(f"{plan.stack} is not the stack of a drill")
    names = {drill.name, drill.project.name}
    for change in plan.changes:
        if change.actions in {("no-op",), ("read",)}:
            continue
        if change.actions != (("delete",) if destroys else ("create",)):
            raise OperationError(
                f"{plan.stack}: {change.address}: {'/'.join(change.actions)}: a drill makes everything anew. "
                f"Clean up first: presence360 drill {drill.name.removesuffix('-restore-drill')} --clean"
            )
        named = (change.before if destroys else change.after).get("name")
        if named is not None and named not in names:
            raise OperationError(
                f"{plan.stack}: {change.address} is called {named}, which is not one of the drill's"
            )


def _output(terraform: Terraform) -> dict[str, Any]:

    value = json.loads(terraform.must("output", "-json", "administration").stdout)
    return dict(value)


def _forget(place: Place) -> Iterator[str]:
    asking = place.asking("none")
    try:
        asking.forget()
        # Of a run whose program was killed.
        for key in asking.status.keys("drill/"):
            if key.endswith(".age"):
                asking.status.erase(key)
    except OperationError as error:
        yield str(error)


@contextmanager
def _plans() -> Iterator[Path]:
    """Yield the name of a plan file that its owner alone reads; it holds passwords."""
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        yield Path(folder) / "plan"


@contextmanager
def _stopped_in_good_order() -> Iterator[None]:
    """Take SIGTERM and SIGHUP for Ctrl-C, so that what was made is destroyed."""

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupted) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore signals while things are destroyed; a second one would leave them."""
    numbers = (signal.SIGINT, *_SIGNALS)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
