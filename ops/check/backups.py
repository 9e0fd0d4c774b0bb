"""Backups: DigitalOcean's own, our dumps, and the last restore drill."""

from collections.abc import Iterator
from datetime import timedelta

from model.backups import BackupsPlan
from model.contract import ContractError, instant
from model.drill_status import DrillReport, is_report, parse_report
from model.naming import CONTROL_PLANE_DATABASE
from model.restore_drill import REPORTS
from ops.backups import OLD as COPY_OLD
from ops.backups import Backups, behind
from ops.bucket import Bucket
from ops.check.finding import Finding, NotSeenError, bad, few, good, not_seen, soon
from ops.check.look import Look
from ops.errors import OperationError, UsageError

OLD = timedelta(hours=26)
"""A day, and two hours: a night's run takes longer on one night than on another."""

DRILL_DAYS = 8
"""A week and a day: the drill is weekly."""

_DOCUMENTATION = "docs/backups.md"


def of_clusters(look: Look) -> Iterator[Finding]:
    """DigitalOcean's newest backup of each Postgres cluster is younger than a day."""
    for wanted, engine in look.planned_clusters:
        if engine != "pg":
            continue
        found = look.clusters.get(wanted.name)
        if found is None:
            yield not_seen(f"there is no cluster {wanted.name}", "See the line of clusters")
            continue
        backups = look.all(f"/v2/databases/{found['id']}/backups", "backups")
        look_at = "Look at the cluster in the control panel under Databases, Backups"
        try:
            times = [instant(one["created_at"]) for one in backups]
        except (KeyError, TypeError, ValueError):
            yield not_seen(f"the API names no time of a backup of {wanted.name}", look_at)
            continue
        if not times:
            yield bad(f"{wanted.name} has no backup", look_at)
        elif look.clock.time() - max(times) > OLD:
            yield bad(f"the newest backup of {wanted.name} is of {max(times):%Y-%m-%d %H:%M} UTC", look_at)
        else:
            yield good(f"{wanted.name}: {max(times):%Y-%m-%d %H:%M} UTC")


def dumps(look: Look) -> Iterator[Finding]:
    """Our own dump of each database is younger than a day."""
    if look.plan.backups is None:
        yield soon("environment.yaml asks for no dumps", f"Add `backups:` ({_DOCUMENTATION})")
        return
    shown = f"presence360 backups show {look.name}"
    _ = look.spaces
    try:
        backups = Backups.of(look.plan, look.environ)
        status = backups.status()
    except (OperationError, UsageError) as error:
        raise NotSeenError(
            str(error), f"Use a key that may read {look.plan.backups.bucket} ({_DOCUMENTATION})"
        ) from None
    if status is None:
        yield bad("the control group has said nothing of dumps", shown)
        return
    now = look.clock.time()
    # Another cluster has a copy before and after a move, which is dumped as well.
    known = {one.database: one for one in status.databases if one.cluster == backups.home(one.database)}
    names = backups.slugs
    served = [CONTROL_PLANE_DATABASE, *names]
    old: list[str] = []
    new: list[str] = []
    for database in served:
        name, one = names.get(database, database), known.get(database)
        if one is None or (one.at is None and not one.tries):
            new.append(name)
        elif one.at is None:
            old.append(f"{name} (never: {one.reason})")
        elif now - one.at > OLD:
            old.append(f"{name} ({one.at:%Y-%m-%d %H:%M} UTC)")
    if new:
        ask = f"They are dumped tonight; or at once: presence360 backups dump {look.name}"
        yield soon(f"not dumped yet: {few(new)}", ask)
    if old:
        yield bad(f"no dump within a day: {few(old)}", shown)
    if status.trouble:
        yield bad(few(status.trouble), shown)
    yield good(f"{len(served)} databases were dumped within a day")


def copies(look: Look) -> Iterator[Finding]:
    """The second bucket, which no droplet reaches, has a new copy of each database's dumps."""
    plan = look.plan.backups
    if plan is None:
        yield soon("environment.yaml asks for no dumps", f"Add `backups:` ({_DOCUMENTATION})")
        return
    _ = look.spaces
    try:
        backups = Backups.of(look.plan, look.environ)
        there, here = backups.copies(), backups.dumps()
    except (OperationError, UsageError) as error:
        todo = f"Use a key that may list {plan.bucket} and {plan.copy_bucket} ({_DOCUMENTATION})"
        raise NotSeenError(str(error), todo) from None
    now, todo = look.clock.time(), f"Look at the nightly run of the copy ({_DOCUMENTATION})"
    old, never = behind(backups, there, now)
    own = [name for name in here if name.cluster == backups.home(name.database)]
    first = {name.database: min(one.at for one in own if one.database == name.database) for name in own}
    late = [f"{backups.name(one)} ({at:%Y-%m-%d %H:%M} UTC)" for one, at in old.items()]
    late += [f"{backups.name(one)} (never)" for one in never if one in first and now - first[one] > COPY_OLD]
    if late:
        yield bad(f"no copy within {COPY_OLD.total_seconds() / 3600:.0f} hours: {few(late)}", todo)
    if new := [backups.name(one) for one in never if one not in first or now - first[one] <= COPY_OLD]:
        yield soon(f"not copied yet: {few(new)}", "They are copied in the night after their first dump")
    yield good(
        f"the newest copies in {plan.copy_bucket} are younger than {COPY_OLD.total_seconds() / 3600:.0f} hours"
    )


def drill(look: Look) -> Iterator[Finding]:
    """The newest restore drill passed, within a week."""
    plan, file = look.plan.backups, look.environment.file.backups
    if plan is None or file is None:
        yield soon("there are no dumps to restore", f"Add `backups:` to environment.yaml ({_DOCUMENTATION})")
        return
    ask, show = "Begin one (docs/drill.md)", f"presence360 drill {look.name} --show"
    found = _newest(look, plan)
    if found is None:
        todo = ask if file.drill else "Add `drill: {}` below `backups` (docs/drill.md)"
        yield soon("no drill yet", todo)
        return
    key, report = found
    if not report.passed:
        yield bad(f"the restore drill {key} failed: {few(report.problems, 2)}", show)
    elif look.clock.time() - report.started > timedelta(days=DRILL_DAYS):
        yield bad(f"the last restore drill began on {report.started:%Y-%m-%d}", ask)
    else:
        tried = f"{report.databases} databases of {report.source}"
        yield good(f"the restore drill of {report.started:%Y-%m-%d} passed: {tried}")


def _newest(look: Look, plan: BackupsPlan) -> tuple[str, DrillReport] | None:
    _ = look.spaces
    try:
        bucket = Bucket.of(look.environ, plan.region, plan.bucket)
        keys = [key for key in bucket.keys(f"{REPORTS}/") if is_report(key)]
        content = bucket.read(keys[-1]) if keys else None
    except (OperationError, UsageError) as error:
        todo = f"Use a key that may read {plan.bucket} ({_DOCUMENTATION})"
        raise NotSeenError(str(error), todo) from None
    if content is None:
        return None
    try:
        return keys[-1], parse_report(content)
    except ContractError as error:
        raise NotSeenError(f"{plan.bucket}/{keys[-1]}: {error}", "Repeat the drill (docs/drill.md)") from None
