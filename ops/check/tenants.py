"""The churches: provisioned, kept apart, and with the schema of the release."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from model.migration_status import State, Summary
from model.migrations import MIGRATIONS_KEY
from model.naming import (
    CONTROL_PLANE_DATABASE,
    credentials_key,
    directory_key,
    tenant_database,
    tenant_user_of,
)
from model.plan import EnvironmentPlan
from model.status import FRESH_SECONDS
from model.tenant_plane import TenantPlan
from ops.bucket import Bucket
from ops.check.data import inside
from ops.check.finding import Finding, NotSeenError, bad, few, good, not_seen, soon
from ops.check.look import Look
from ops.errors import OperationError, UsageError
from ops.migrations import Migrations
from ops.waiting import CannotTellError, TryAgainError

ISOLATED_SECONDS = 600
"""The job runs each minute, and what it found is said with the droplet's next status, at most two minutes later."""
MIGRATED = "done"
BEGIN_SECONDS = 600
"""The control group looks each minute for what was deployed, and fetches its images first."""


def provisioned(look: Look) -> Iterator[Finding]:
    """Each church has its database, its users, its published credentials and its entry in the directory."""
    plan, deploy = look.plan, f"Deploy: presence360 plan {look.name}"
    clusters = {one.key: one.name for one in plan.data.postgres}
    clusters |= {cell.cluster.key: cell.cluster.name for cell in plan.cells}
    lacking: list[str] = []
    for plane in (plan.tenant_plane, *(cell.tenant_plane for cell in plan.cells)):
        for tenant in plane.tenants:
            lacking += _lacking(look, tenant, clusters[plane.cluster])
    if lacking:
        yield bad(few(lacking), deploy)
    yield from _objects(look, plan, deploy)
    yield good(
        f"{len(plan.tenants)} churches have databases, users, credentials and entries in the directory"
    )


def _lacking(look: Look, tenant: TenantPlan, shared: str) -> Iterator[str]:
    homes = {shared: tenant.homes.shared}
    if tenant.cluster:
        homes[tenant.cluster.name] = tenant.homes.dedicated
    users: set[str] = set()
    for cluster, guard in homes.items():
        if guard is None:
            continue
        databases, there = inside(look, cluster)
        users |= there
        for generation in tenant.database.there:
            if tenant_database(tenant.id, generation) not in databases:
                told = (
                    "database"
                    if generation == tenant.database.current
                    else f"database of generation {generation}"
                )
                yield f"{tenant.slug} has no {told} in {cluster}"
    if missing := [key for key in tenant.users if tenant_user_of(key) not in users]:
        yield f"{tenant.slug} has no user of generation {', '.join(one.rpartition('_g')[2] for one in missing)}"


def _objects(look: Look, plan: EnvironmentPlan, deploy: str) -> Iterator[Finding]:
    wanted = (
        (plan.tenant_plane.credentials.name, credentials_key, [one for one in plan.tenants if one.served]),
        (plan.control_plane.directory.name, directory_key, list(plan.tenants)),
    )
    for bucket, key_of, tenants in wanted:
        try:
            there = set(Bucket.of(look.environ, plan.network.region, bucket).keys("tenants/"))
        except (OperationError, UsageError) as error:
            yield not_seen(f"{bucket}: {error}", f"Use a key that may list {bucket} (docs/ci.md)")
            continue
        if missing := [one.slug for one in tenants if key_of(one.id) not in there]:
            yield bad(f"{bucket} has nothing of {few(missing)}", deploy)


def isolated(look: Look) -> Iterator[Finding]:
    """What the isolation job found last in each Postgres cluster."""
    (control,) = [group for group in look.plan.groups if group.isolation]
    found: dict[str, tuple[float, bool, str]] = {}
    for report in look.reports():
        for verdict in report.status.isolation if report.group == control.group and report.status else ():
            known = found.get(verdict.cluster)
            if known is None or verdict.time.timestamp() > known[0]:
                words = f"{verdict.findings} findings, {verdict.errors} errors"
                found[verdict.cluster] = (verdict.time.timestamp(), verdict.success, words)
    log = f"On a droplet of {control.group}: journalctl -u presence360-isolation (docs/isolation.md)"
    # The job knows clusters by the operators' names; a church's own by its id.
    wanted = {cluster.key for cluster, engine in look.planned_clusters if engine == "pg"}
    for key in sorted(wanted):
        if key not in found:
            yield bad(f"the isolation job says nothing of the cluster {key}", log)
            continue
        at, success, words = found[key]
        age = look.now - at
        if not success:
            yield bad(f"the cluster {key} is not known to be isolated: {words}", log)
        elif age > ISOLATED_SECONDS:
            yield bad(f"the isolation job looked at the cluster {key} last {age / 60:.0f} minutes ago", log)
    yield good(f"{len(wanted)} clusters were found isolated within {ISOLATED_SECONDS // 60} minutes")


def migrated(look: Look) -> Iterator[Finding]:
    """Every database has the schema of the release."""
    shown = f"presence360 migrations {look.name}"
    migrations = Migrations.of(look.plan, look.spaces)
    if migrations is None:
        yield soon(
            "environment.yaml asks for no migrations",
            "Add `migrations:`, or bring schemas up by hand (docs/migrations.md)",
        )
        return
    try:
        summary, databases = migrations.summary(), migrations.databases()
    except (CannotTellError, TryAgainError) as error:
        raise NotSeenError(str(error), "Use a key that may read the status buckets (docs/ci.md)") from None
    if summary is None:
        yield bad("the control group has said nothing of migrations", shown)
        return
    yield from _of_the_release(look, migrations, summary, shown)
    if summary.state is State.FAILED:
        yield bad(f"migrations failed: {summary.reason}", shown)
    elif summary.state is State.RUNNING:
        yield soon(f"migrations are under way: {summary.reason}", shown)
    if look.clock.time() - summary.time > timedelta(seconds=FRESH_SECONDS):
        yield bad(f"the control group spoke of migrations last at {summary.time:%Y-%m-%d %H:%M} UTC", shown)
    if left := [migrations.name(one.database) for one in databases if one.result not in {MIGRATED, "ahead"}]:
        yield bad(f"not migrated: {few(left)}", shown)
    known = {one.database for one in databases}
    if CONTROL_PLANE_DATABASE not in known:
        yield bad(f"nothing is said of {CONTROL_PLANE_DATABASE}", shown)
    lacking = [one.slug for one in look.plan.tenants if tenant_database(one.key) not in known and one.served]
    if lacking:
        yield bad(f"nothing is said of {few(lacking)}", shown)
    yield good(f"{len(databases)} databases have the schema of the release")


def _of_the_release(look: Look, migrations: Migrations, summary: Summary, shown: str) -> Iterator[Finding]:
    """Compare the images of which the control group speaks with those that were deployed."""
    bucket = migrations.config_bucket
    wanted = _deployed_images(look, bucket)
    if wanted is None:
        yield bad(f"{bucket} has no {MIGRATIONS_KEY}", f"Deploy: presence360 plan {look.name}")
    elif dict(summary.images) != wanted:
        services = sorted(
            one for one in {*wanted, *summary.images} if wanted.get(one) != summary.images.get(one)
        )
        said = f"the control group speaks of other images than those deployed: {few(services)}"
        at = _written(look, bucket)
        if look.clock.time() - at <= timedelta(seconds=BEGIN_SECONDS):
            yield soon(f"{said}; they were deployed at {at:%H:%M} UTC", "Try again in some minutes")
        else:
            yield bad(f"{said}, since {at:%Y-%m-%d %H:%M} UTC", shown)


def _deployed_images(look: Look, bucket: str) -> Mapping[str, str] | None:
    content = look.read(bucket, MIGRATIONS_KEY)
    if content is None:
        return None
    try:
        return {str(job["service"]): str(job["image"]) for job in json.loads(content)["jobs"]}
    except (ValueError, KeyError, TypeError):
        return None


def _written(look: Look, bucket: str) -> datetime:
    """Return when the deployed migrations were written last.

    Raises:
        NotSeenError: Spaces did not say.
    """
    try:
        return max(Bucket.of(look.environ, look.plan.network.region, bucket).written(MIGRATIONS_KEY))
    except (OperationError, UsageError, ValueError) as error:
        raise NotSeenError(
            f"when {bucket}/{MIGRATIONS_KEY} was deployed: {error}",
            f"Use a key that may list {bucket} (docs/ci.md)",
        ) from None
