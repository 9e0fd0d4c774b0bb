"""A drill from its beginning to its end: a fork, what is tried on it, the report, and nothing left of it."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from model.bucket_access import Bucket as Kind
from model.contract import TIME
from model.drill_status import DrillReport, DrillStatus
from model.naming import is_disposable
from model.restore_drill import BACKUP, FORKED, RestoreDrillPlan
from model.sanity import SanityQuery
from ops.drill import directory, state_lock
from ops.drill.asking import run_id
from ops.drill.before import choose, told
from ops.drill.holding import Holding, held
from ops.drill.place import Place, Terraform
from ops.drill.signals import stopped_in_good_order, undisturbed
from ops.errors import OperationError
from ops.plan_json import Plan, parse_plan


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


def clean(place: Place, say: Callable[[str], None], *, unless_at_work: bool = False) -> bool:
    """Destroy everything of a drill, also if another run goes on; return whether it was done.

    What is of a drill, its marks say, and its state.

    Args:
        place: where.
        say: takes a line about what happens.
        unless_at_work: leave alone what another run works on.

    Raises:
        OperationError: something is left; the message says what.
    """
    with ExitStack() as held_fork:
        try:
            other = held(place.config)
            if other is not None and not other.is_stale(place.clock.time()) and other.who != place.who:
                if unless_at_work:
                    say(f"{other}: nothing is destroyed")
                    return False
                say(f"{other}: it is ended")
            held_fork.enter_context(place.holding(run_id(place.clock.time())).taken())
        except OperationError as error:
            if unless_at_work:
                raise
            # What costs money and holds people's data goes, whether the bucket answers or not.
            say(f"whether somebody's drill goes on is not known: {error}")
        _destroy(place, say)
    return True


def _destroy(place: Place, say: Callable[[str], None]) -> None:
    problems = []
    try:
        # First what costs money and what holds people's data, whatever the state says.
        place.forks.destroy(say)
    except OperationError as error:
        problems.append(str(error))
    try:
        with _plans() as file:
            terraform = _opened(place, say)
            if terraform.plan(file, "-destroy"):
                check(parse_plan(terraform.show(file), place.drill.name), place.drill, destroys=True)
                terraform.apply(file)
        # What Terraform has not heard of.
        place.forks.sweep()
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
    hold = place.holding(run_id(place.clock.time()))
    how_to_end = f"presence360 drill {place.plan.name} --clean"
    with stopped_in_good_order(), hold.taken(how_to_end):
        backup = _begin(place, chosen, how_to_end, limit, say)
        try:
            result = _tried(place, hold, chosen, backup, key=key, queries=queries, say=say)
        except BaseException:
            with undisturbed():
                # It may be another run's by now.
                if not hold.is_anothers():
                    say("it did not end well: destroying what was made")
                    try:
                        _destroy(place, say)
                    except OperationError as error:
                        say(f"left behind: {error}; {how_to_end}")
            raise
        with undisturbed():
            if not hold.is_anothers():
                _destroy(place, say)
    return result


def _begin(
    place: Place, source: str, how_to_end: str, limit: int | None, say: Callable[[str], None]
) -> datetime:
    """Destroy what an earlier drill has left, and say what this one makes; return the time of the backup.

    Raises:
        OperationError: a droplet is still at work on a fork, there is no room for one, or no backup.
    """
    if at_work := place.asking("none").at_work():
        raise OperationError(
            f"{at_work}: its fork is not destroyed. Wait until it has ended, or end it: {how_to_end}"
        )
    # Before anything is made: of a run whose program was killed, the question is still there, and a droplet answers it.
    if problems := list(_forget(place)):
        raise OperationError("\n".join(problems))
    if place.forks.found():
        state_lock.check_free(place.locked(), place.clock.time())
        place.forks.destroy(say)
        say("that was left by an earlier drill")
    place.forks.sweep()
    clusters = place.forks.check_room(limit)
    found = place.drill.sources[source]
    backup = place.forks.backup_of(found.cluster)
    for line in told(place.drill, found, backup, clusters):
        say(line)
    return backup


def _tried(
    place: Place,
    hold: Holding,
    source: str,
    backup: datetime,
    *,
    key: str,
    queries: Sequence[SanityQuery],
    say: Callable[[str], None],
) -> Result:
    began = place.clock.time()
    terraform = _opened(place, say)
    with _plans() as file:
        variables = (f"-var={FORKED}={source}", f"-var={BACKUP}={backup.strftime(TIME)}")
        terraform.plan(file, *variables)
        check(parse_plan(terraform.show(file), place.drill.name), place.drill, destroys=False)
        terraform.apply(file)
    ready = place.clock.time()
    say(f"the fork is there after {(ready - began).total_seconds() / 60:.0f} minutes")
    administration = _output(terraform)
    names = directory.read(place.plan, source, place.bucket(Kind.DIRECTORY), place.bucket(Kind.CREDENTIALS))
    hold.check()
    asking = place.asking(hold.run_id, hold.check)
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


def _opened(place: Place, say: Callable[[str], None]) -> Terraform:
    terraform = place.open_stack()
    state_lock.remove_stale(terraform, place.clock.time(), say)
    return terraform


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
