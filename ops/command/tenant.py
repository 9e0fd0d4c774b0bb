"""`presence360 tenant`: the churches of an environment."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from model import naming
from model.errors import relative_name
from model.loader import TENANTS_FILE, Environment
from model.plan import plan_environment
from model.tenancy import Status
from model.tenants import Tenant
from ops import removal, restoring, tenants, tenants_lock
from ops import rotate as rotating
from ops.ci import settings
from ops.command import console
from ops.command.options import (
    EnvironmentName,
    Environments,
    Json,
    MaybeEnvironment,
    TenantName,
    examples,
    load,
    load_some,
)
from ops.edits import find_tenant
from ops.paths import ENVIRONMENTS, ROOT
from ops.yaml_edit import line_of

app = typer.Typer(
    no_args_is_help=True, help="Churches: add, show, rename, close and remove them, rotate credentials."
)


def _limit(text: str) -> int | None:
    if text == tenants.DEFAULT:
        return None
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a whole number nor `{tenants.DEFAULT}`") from None


@app.command(
    **examples(
        'tenant add staging --name "Zion Chapel" --slug zion',
        'tenant add production --name "Bethel Chapel" --slug bethel --cell cell-2',
    )
)
def add(
    environment: EnvironmentName,
    name: Annotated[str, typer.Option(help="The church's name, as people write it.")],
    slug: Annotated[str, typer.Option(help="Its host name below the base domain: a-z, 0-9 and hyphens.")],
    cell: Annotated[
        str | None, typer.Option(help="The cell it lives in, for ever; left out, the first one.")
    ] = None,
    tenant_id: Annotated[
        str | None, typer.Option("--id", help="Its id, a UUID; left out, a new one.")
    ] = None,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Add a church: its id, its entry in tenants.yaml and its line in tenants.lock."""
    console.edited(
        tenants.add(environments, environment, name=name, slug=slug, cell=cell, tenant_id=tenant_id)
    )


@app.command("list", **examples("tenant list staging", "tenant list --status suspended --json"))
def list_tenants(
    environment: MaybeEnvironment = None,
    status: Annotated[Status | None, typer.Option(help="Only churches with this status.")] = None,
    json: Json = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """List the churches of an environment, or of all, and say whose credentials are more than a year old."""
    found = load_some(environments, environment)
    old = {one.file.environment: rotating.overdue(environments, one) for one in found}
    rows = [
        _row(one, tenant, old[one.file.environment])
        for one in found
        for tenant in one.tenants
        if status in {None, tenant.status}
    ]
    if json:
        console.as_json(rows)
        return
    heading = ("environment", "slug", "name", "status", "cell", "tier", "generation", "restore")
    console.table(heading, [[row[key] for key in heading] for row in rows])
    for name, slugs in old.items():
        if slugs:
            console.warn(rotating.told(slugs, name))


def _row(environment: Environment, tenant: Tenant, old: tuple[str, ...] | None) -> dict[str, Any]:
    """Return what a list says of a tenant; whether its credentials are too old is null where git does not know."""
    return {
        "environment": environment.file.environment,
        "id": tenant.id,
        "slug": tenant.slug,
        "name": tenant.name,
        "status": tenant.status,
        "cell": tenant.cell,
        "tier": tenant.tier,
        "generation": tenant.credentials.generation,
        "generations_kept": sorted(tenant.credentials.keep),
        "database_generation": tenant.database.current,
        "restore": restoring.state_of(tenant.database),
        "credentials_older_than_a_year": None if old is None else tenant.slug in old,
    }


@app.command(**examples("tenant show staging grace", "tenant show production grace --json"))
def show(
    environment: EnvironmentName,
    tenant: TenantName,
    json: Json = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Show a church: its address, its database, its users, its limits, and where its entry stands."""
    found = find_tenant(load(environments, environment), tenant, environments)
    one, file = found.tenant, environments / environment / TENANTS_FILE
    generations = (
        [*sorted(one.credentials.keep), one.credentials.generation] if one.status is Status.ACTIVE else []
    )
    limits = found.environment.file.limits
    old = rotating.overdue(environments, found.environment)
    shown = _row(found.environment, one, old) | {
        "host": tenants.host(found.environment, one.slug),
        "stack": naming.stack_of_cell(environment, one.cell) if one.cell else environment,
        "clusters": tenants.places(found),
        "database": naming.tenant_database(one.database_key),
        "beside": [naming.tenant_database(one.id, generation) for generation in one.database.beside],
        "users": [naming.tenant_user(one.database_key, generation) for generation in generations],
        "queue_prefix": naming.queue_prefix(one.id, one.queue_prefix),
        "requests_per_second": one.limits.requests_per_second or limits.requests_per_second,
        "connections": one.limits.connections or limits.connections,
        "file": relative_name(file),
        "line": line_of(file.read_text(encoding="utf-8"), ("tenants", found.index)),
    }
    if json:
        console.as_json(shown)
        return
    width = max(map(len, shown))
    for key, value in shown.items():
        console.say(f"{key.replace('_', ' '):{width}}  {_text(value)}")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)


@app.command(
    **examples(
        "tenant rename staging grace --slug grace-chapel", 'tenant rename staging grace --name "Grace Church"'
    )
)
def rename(
    environment: EnvironmentName,
    tenant: TenantName,
    slug: Annotated[str | None, typer.Option(help="Its new host name below the base domain.")] = None,
    name: Annotated[str | None, typer.Option(help="Its new name.")] = None,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Give a church another slug or another name. Its id and its database stay."""
    if slug is None and name is None:
        raise typer.BadParameter("give --slug, --name, or both")
    console.edited(tenants.rename(environments, environment, tenant, slug=slug, name=name))


@app.command(**examples("tenant suspend staging grace"))
def suspend(
    environment: EnvironmentName, tenant: TenantName, environments: Environments = ENVIRONMENTS
) -> None:
    """Close a church for a while: its host answers 503, its credentials are withdrawn, its data stays."""
    console.edited(tenants.suspend(environments, environment, tenant))


@app.command(**examples("tenant resume staging grace"))
def resume(
    environment: EnvironmentName, tenant: TenantName, environments: Environments = ENVIRONMENTS
) -> None:
    """Serve a suspended or retired church again."""
    console.edited(tenants.resume(environments, environment, tenant))


@app.command(**examples("tenant retire staging grace"))
def retire(
    environment: EnvironmentName, tenant: TenantName, environments: Environments = ENVIRONMENTS
) -> None:
    """Close a church for good. Its database is kept without protection, until `tenant remove`."""
    console.edited(tenants.retire(environments, environment, tenant))


@app.command(
    **examples(
        "tenant remove staging grace", "tenant remove staging 3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001 --report"
    )
)
def remove(
    environment: EnvironmentName,
    tenant: TenantName,
    report: Annotated[
        bool,
        typer.Option("--report", help="Change nothing: show what is left of a church, and until when."),
    ] = False,
    json: Json = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Remove a retired church. The deploy of this drops its database; `--report` shows what is left, and until when."""
    if report:
        _report(_removal(environments, environment, tenant), as_json=json)
    elif json:
        raise typer.BadParameter("--json belongs to --report")
    else:
        console.edited(tenants.remove(environments, environment, tenant))


@app.command(**examples("tenant erase staging 3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001 --confirm 3f0a4c1e"))
def erase(
    environment: EnvironmentName,
    tenant: Annotated[str, typer.Argument(metavar="ID", help="The id of a church that was removed.")],
    confirm: Annotated[str, typer.Option(metavar="DIGITS", help="The first eight digits of the id again.")],
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Delete what buckets have of a church that was removed, with all versions and dumps. Nothing brings it back."""
    found = _removal(environments, environment, tenant)
    if confirm != found.tenant_id.partition("-")[0]:
        raise typer.BadParameter(
            f"{confirm!r} is not how the id {found.tenant_id} begins", param_hint="--confirm"
        )
    total = found.erase(console.say)
    console.say(f"{total} versions were deleted.", style="bold")
    _say_the_rest(found)


def _removal(environments: Path, environment: str, tenant: str) -> removal.Removal:
    loaded = load(environments, environment)
    found = removal.Removal.of(loaded, plan_environment(loaded), tenant, settings.load(ROOT))
    found.check_known(environments)
    return found


def _report(found: removal.Removal, *, as_json: bool) -> None:
    rests = found.rests()
    if as_json:
        console.as_json(
            [
                {
                    "what": one.what,
                    "place": one.place,
                    "objects": one.objects,
                    "until": one.until and one.until.isoformat(),
                    "stays": one.stays,
                }
                for one in rests
            ]
        )
        return
    entry = "gone" if found.slug is None else f"there ({found.slug})"
    console.say(f"{found.tenant_id}: its entry in tenants.yaml is {entry}", style="bold")
    console.table(
        ("what", "where", "versions", "gone"),
        [(one.what, one.place, one.objects, _when(one)) for one in rests],
    )
    if any(one.stays for one in rests):
        console.say("What stays is deleted by the deploy that removes the entry; run this again after it.")
    elif days := [one.until for one in rests if one.until]:
        console.say(f"By {max(days):%Y-%m-%d} nothing of it is left in the buckets, without anybody's doing.")
    else:
        console.say("Nothing of it is left in the buckets.")
    _say_the_rest(found)


def _when(rest: removal.Rest) -> str:
    if rest.stays:
        return "stays"
    return f"{rest.until:%Y-%m-%d}" if rest.until else "already"


def _say_the_rest(found: removal.Removal) -> None:
    days = removal.CLUSTER_BACKUP_DAYS
    console.say(
        f"DigitalOcean's backups of the cluster have its database for {days} days after the deploy that drops it."
    )
    console.say("Its keys in Valkey, which only droplets reach:")
    console.say(f"  presence360 run {found.environment} worker -- {shlex.join(found.queues_command)}")


@app.command(**examples("tenant rotate staging grace", "tenant rotate staging grace --finish"))
def rotate(
    environment: EnvironmentName,
    tenant: TenantName,
    finish: Annotated[bool, typer.Option("--finish", help="Drop the users of earlier generations.")] = False,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Rotate a church's database credentials: a second user beside the first one, which `--finish` drops."""
    console.edited(rotating.rotate(environments, environment, tenant, finish=finish))


@app.command(
    **examples(
        "tenant limits staging grace --requests-per-second 40",
        "tenant limits staging grace --connections default",
    )
)
def limits(
    environment: EnvironmentName,
    tenant: TenantName,
    requests_per_second: Annotated[
        str | None,
        typer.Option(
            metavar="N|default", help="Requests a second to its host name, on all droplets together."
        ),
    ] = None,
    connections: Annotated[
        str | None, typer.Option(metavar="N|default", help="Connections of each of its database users.")
    ] = None,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Set a church's limits; `default` is what its environment says."""
    given = {"requests_per_second": requests_per_second, "connections": connections}
    wanted = {key: _limit(text) for key, text in given.items() if text is not None}
    if not wanted:
        raise typer.BadParameter("give --requests-per-second, --connections, or both")
    console.edited(tenants.limit(environments, environment, tenant, wanted))


@app.command(**examples("tenant lock", "tenant lock --check --base origin/main"))
def lock(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail where a lock is out of date.")
    ] = False,
    base: Annotated[
        str,
        typer.Option(
            metavar="REVISION", help="With --check: compare with the locks of a git revision as well."
        ),
    ] = "",
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Write tenants.lock after tenants.yaml was edited by hand. The other commands do it themselves."""
    if base and not check:
        raise typer.BadParameter("--base belongs to --check")
    for line in tenants_lock.check(environments, base) if check else tenants_lock.write(environments):
        console.say(line)
