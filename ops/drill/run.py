"""A drill from its beginning to its end: a fork, what is tried on it, the report, and nothing left of it."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from model.bucket_access import Bucket as Kind
from model.contract import TIME, ContractError
from model.drill_status import DrillReport, DrillStatus, parse_report
from model.restore_drill import BACKUP, FORKED
from model.sanity import SanityQuery
from ops.drill import directory, state_lock
from ops.drill.asking import run_id
from ops.drill.before import choose, told
from ops.drill.cleaning import check_plan, end, forget, how_to_end, opened, plan_files
from ops.drill.holding import Holding
from ops.drill.place import Place, Terraform
from ops.drill.report import markdown
from ops.drill.signals import stopped_in_good_order, undisturbed
from ops.errors import OperationError
from ops.plan_json import parse_plan


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
    _check_nobody_works(place)
    with stopped_in_good_order(), hold.taken(how_to_end(place)):
        backup = _begin(place, hold, chosen, limit, say)
        try:
            result = _tried(place, hold, chosen, backup, key=key, queries=queries, say=say)
        except BaseException:
            with undisturbed():
                say("it did not end well: destroying what was made")
                try:
                    end(place, hold, say)
                except OperationError as error:
                    say(f"left behind: {error}; {how_to_end(place)}")
            raise
        with undisturbed():
            end(place, hold, say)
    return result


def _check_nobody_works(place: Place) -> None:
    """Check that no droplet works on a fork, also where the record of who asked it is old.

    Raises:
        OperationError: one does.
    """
    if at_work := place.asking("none").at_work():
        raise OperationError(
            f"{at_work}: its fork is not destroyed. Wait until it has ended, or end it: {how_to_end(place)}"
        )


def _begin(
    place: Place, hold: Holding, source: str, limit: int | None, say: Callable[[str], None]
) -> datetime:
    """Destroy what an earlier drill has left, and say what this one makes; return the time of the backup.

    Raises:
        OperationError: a droplet is still at work on a fork, there is no room for one, or no backup.
    """
    _check_nobody_works(place)
    # Before anything is made: of a run whose program was killed, the question is still there, and a droplet answers it.
    if problems := list(forget(place, hold.keep)):
        raise OperationError("\n".join(problems))
    if place.forks.found():
        state_lock.check_free(place.locked(), place.clock.time())
        place.forks.destroy(say, hold.keep)
        say("that was left by an earlier drill")
    place.forks.sweep(hold.keep)
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
    terraform = opened(place, say)
    with plan_files() as file:
        variables = (f"-var={FORKED}={source}", f"-var={BACKUP}={backup.strftime(TIME)}")
        terraform.plan(file, *variables)
        check_plan(parse_plan(terraform.show(file), place.drill.name), place.drill, destroys=False)
        hold.check()
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
    return Result(status, _report(place, status, say))


def _report(place: Place, status: DrillStatus, say: Callable[[str], None]) -> str:
    """Return the report for people; nothing where it cannot be read, and then the status alone says what is wrong."""
    try:
        content = place.bucket(Kind.BACKUPS).read(status.report) if status.report else None
        return markdown(parse_report(content), place.drill) if content else ""
    except (OperationError, ContractError) as error:
        say(f"the report cannot be read: {error}")
        return ""


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


def _output(terraform: Terraform) -> dict[str, Any]:

    value = json.loads(terraform.must("output", "-json", "administration").stdout)
    return dict(value)
