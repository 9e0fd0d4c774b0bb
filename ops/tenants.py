"""Edit the list of churches: each function makes one edit, with its lock, and says what it leads to at the deploy."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from model import naming
from model.capacity import room, uses
from model.known_tenants import LOCK_FILE, KnownTenant, parse_lock
from model.loader import Environment
from model.tenancy import CLOSED_STATUS, Status, Tier
from model.tenants import Tenant, fresh_id
from ops import yaml_edit
from ops.edits import Draft, Edited, Found, deploy, draft, joined, read_file, refuse
from ops.errors import OperationError
from ops.git import git

DEFAULT = "default"
"""Written in place of a limit: the environment's own holds again."""


def add(
    root: Path,
    environment: str,
    *,
    name: str,
    slug: str,
    cell: str | None = None,
    tenant_id: str | None = None,
) -> Edited:
    """Add a church.

    Args:
        root: the folder of the environments.
        environment: where it is added.
        name: the church's name.
        slug: its host name below the base domain.
        cell: the cell it lives in; None: the environment's own cluster.
        tenant_id: its id, which never changes; None: a new one.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: the entry would not be valid.
    """
    tenant_id = tenant_id or fresh_id()
    entry = {"id": tenant_id, "slug": slug, "name": name, **({"cell": cell} if cell else {})}
    with draft(root) as change:
        found = change.environment(environment)
        change.edit(change.file(environment), lambda text: yaml_edit.append(text, ("tenants",), entry))
        files = change.write().files
    free = room(uses(found.file, found.tenants)) - 1
    said = [
        f"{slug}: {name} was added to {environment} with the id {tenant_id}.",
        f"At the deploy: the database {naming.tenant_database(tenant_id)} with one user is made, and "
        f"https://{host(found, slug)} {served(found)}.",
        f"There is room for {max(0, free)} more tenants.",
        deploy(environment),
    ]
    return Edited(files, tuple(said))


def rename(root: Path, environment: str, wanted: str, *, slug: str | None, name: str | None) -> Edited:
    """Give a church another slug, another name, or both; its id and its database stay.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such tenant, or the entry would not be valid.
    """
    with draft(root) as change:
        found = change.tenant(environment, wanted)
        tenant = found.tenant
        values = {"slug": slug or tenant.slug, "name": name or tenant.name}
        if values == {"slug": tenant.slug, "name": tenant.name}:
            raise refuse(
                change,
                found,
                "slug",
                f"{tenant.slug} is called this already",
                "Give another --slug or --name.",
            )
        for key, value in values.items():
            if value != getattr(tenant, key):
                _set(change, found, key, value)
        files = change.write().files
    said = [f"{tenant.slug}: now {values['slug']}, {values['name']}. Its id and its database stay."]
    if slug and slug != tenant.slug:
        said.append(
            f"At the deploy: https://{host(found.environment, slug)} {_at_its_name(found)}, and "
            f"https://{host(found.environment, tenant.slug)} is not any more. Nothing forwards the old address."
        )
    return Edited(files, (*said, deploy(environment)))


def suspend(root: Path, environment: str, wanted: str) -> Edited:
    """Close a church for a while: its data is untouched.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such tenant, or it is suspended.
    """
    return _with_status(root, environment, wanted, Status.SUSPENDED)


def resume(root: Path, environment: str, wanted: str) -> Edited:
    """Serve a suspended or retired church again.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such tenant, or it is active.
    """
    return _with_status(root, environment, wanted, Status.ACTIVE)


def retire(root: Path, environment: str, wanted: str) -> Edited:
    """Give up the protection of a church's database, so that a later edit may remove it.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such tenant, or it is retired.
    """
    return _with_status(root, environment, wanted, Status.RETIRED)


def _with_status(root: Path, environment: str, wanted: str, status: Status) -> Edited:
    with draft(root) as change:
        found = change.tenant(environment, wanted)
        tenant = found.tenant
        if tenant.status == status:
            raise refuse(
                change, found, "status", f"{tenant.slug} is {status} already", _next(tenant, environment)
            )
        if status is Status.ACTIVE:
            path = _path(found, "status")
            change.edit(
                change.file(environment), lambda text: yaml_edit.unset(text, path, Status.ACTIVE.value)
            )
        else:
            _set(change, found, "status", status)
        files = change.write().files
    said = [f"{tenant.slug}: {tenant.status} before, {status} now.", *_consequences(found, status)]
    return Edited(
        files, (*said, deploy(environment), _next(tenant.model_copy(update={"status": status}), environment))
    )


def _consequences(found: Found, status: Status) -> Iterator[str]:
    tenant, at = found.tenant, f"https://{host(found.environment, found.tenant.slug)}"
    if status is Status.ACTIVE:
        yield f"At the deploy: {at} {served(found.environment)}, and its database users are made anew."
        yield "Its data is as it was."
        return
    users = (
        f", and its database users are dropped: {joined(_users(tenant))}"
        if tenant.status is Status.ACTIVE
        else ""
    )
    yield f"At the deploy: {at} answers {CLOSED_STATUS[status]}{users}."
    database = naming.tenant_database(tenant.database_key)
    if status is Status.SUSPENDED:
        yield f"Its database {database} is kept and stays protected."
    else:
        where = joined(places(found))
        yield f"Its database {database} is kept in {where}, without protection: a later edit may drop it."


def _next(tenant: Tenant, environment: str) -> str:
    """Say which commands lead on from a tenant's state."""
    at = f"{environment} {tenant.slug}"
    return {
        Status.ACTIVE: f"To close it for a while: presence360 tenant suspend {at}",
        Status.SUSPENDED: f"To serve it again: presence360 tenant resume {at}",
        Status.RETIRED: f"To serve it again: presence360 tenant resume {at}. "
        f"To drop its data, once this is deployed: presence360 tenant remove {at}",
    }[tenant.status]


def remove(root: Path, environment: str, wanted: str) -> Edited:
    """Remove the entry of a retired church; the deploy drops its database.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such tenant, or it was not retired in an edit before.
    """
    with draft(root) as change:
        found = change.tenant(environment, wanted)
        tenant = found.tenant
        at = f"{environment} {tenant.slug}"
        if tenant.status is not Status.RETIRED:
            raise refuse(
                change,
                found,
                "status",
                f"{tenant.slug} is {tenant.status}; only a retired tenant can be removed",
                f"Run `presence360 tenant retire {at}`, deploy that, and then `presence360 tenant remove {at}`.",
            )
        before = agreed_on(change.file(environment, LOCK_FILE), tenant.id, environment)
        if before and before.status is not Status.RETIRED:
            raise refuse(
                change,
                found,
                "status",
                f"{tenant.slug} is retired here, and the last commit says it is {before.status}: the retirement cannot "
                "be deployed yet, and Terraform refuses to drop a protected database",
                f"Commit this and deploy it (presence360 apply {environment}). "
                f"Then run `presence360 tenant remove {at}`.",
            )
        text = read_file(change.file(environment))
        change.edit(change.file(environment), lambda text: yaml_edit.remove(text, ("tenants", found.index)))
        files = change.write().files
    said = [
        f"{tenant.slug}: the entry of {tenant.name} was removed.",
        f"At the deploy: the {_databases(tenant)} DROPPED from {joined(places(found))}, "
        f"with everything in it, and https://{host(found.environment, tenant.slug)} is not found any more.",
        "After that only DigitalOcean's backups of the cluster have its data, for seven days, and buckets: "
        f"presence360 tenant remove {environment} {tenant.id} --report shows what, and until when.",
        *_comment_above(text, found.index),
        f"The retirement has to be deployed before this. {deploy(environment)}",
    ]
    return Edited(files, tuple(said))


def _comment_above(text: str, index: int) -> Iterator[str]:
    """Say where a comment is left whose entry is gone."""
    line = yaml_edit.line_of(text, ("tenants", index)) - 1
    if line and text.splitlines()[line - 1].lstrip().startswith("#"):
        yield f"The comment above the entry, on line {line}, was left. Remove it if it was about this church."


def agreed_on(lock: Path, tenant_id: str, environment: str) -> KnownTenant | None:
    """Return what the last commit's lock says of a tenant; None where there is none."""
    try:
        text = git(lock.parent, "show", f"HEAD:./{lock.name}")
    except (OperationError, FileNotFoundError):
        return None
    known, _ = parse_lock(text, lock.name, environment)
    return known.get(tenant_id)


def limit(root: Path, environment: str, wanted: str, limits: Mapping[str, int | None]) -> Edited:
    """Set limits of one church that differ from its environment's; None: the environment's holds again.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such tenant, a limit is not allowed, or nothing would change.
    """
    with draft(root) as change:
        found = change.tenant(environment, wanted)
        for key, value in limits.items():
            if value is not None:
                _set(change, found, f"limits.{key}", value)
            elif getattr(found.tenant.limits, key) is not None:
                _unset(change, found, "limits", key)
        files = change.write().files
    if not files:
        raise refuse(change, found, "limits", "these limits hold already", "Give another number.")
    said = [
        f"{found.tenant.slug}: {key.replace('_', ' ')}: "
        + (
            f"{value}"
            if value is not None
            else f"{getattr(found.environment.file.limits, key)}, as in the environment"
        )
        for key, value in limits.items()
    ]
    return Edited(files, (*said, deploy(environment)))


def host(environment: Environment, slug: str) -> str:
    """Return a tenant's full host name."""
    return f"{slug}.{environment.file.base_domain}"


def served(environment: Environment) -> str:
    """Say when a church is served that nothing of its own closes."""
    if not environment.file.maintenance:
        return "is served"
    name = environment.file.environment
    return f"is served once {name} is no longer in maintenance (presence360 maintenance {name} off)"


def _at_its_name(found: Found) -> str:
    tenant = found.tenant
    is_closed = tenant.maintenance or tenant.status is not Status.ACTIVE
    return "is its address, and answers as the old one" if is_closed else served(found.environment)


def _set(change: Draft, found: Found, key: str, value: str | int) -> None:
    path = _path(found, *key.split("."))
    change.edit(
        change.file(found.environment.file.environment), lambda text: yaml_edit.set_value(text, path, value)
    )


def _unset(change: Draft, found: Found, *keys: str) -> None:
    path = _path(found, *keys)
    change.edit(change.file(found.environment.file.environment), lambda text: yaml_edit.remove(text, path))


def _path(found: Found, *keys: str) -> tuple[str | int, ...]:
    return ("tenants", found.index, *keys)


def _databases(tenant: Tenant) -> str:
    """Name all generations of a tenant's database, with a verb."""
    names = [naming.tenant_database(tenant.id, generation) for generation in sorted(tenant.database.there)]
    return f"database {names[0]} is" if len(names) == 1 else f"databases {joined(names)} are"


def _users(tenant: Tenant) -> list[str]:
    generations = (*tenant.credentials.keep, tenant.credentials.generation)
    return [naming.tenant_user(tenant.database_key, generation) for generation in generations]


def places(found: Found) -> list[str]:
    """Name the clusters that hold a tenant's data."""
    tenant, postgres = found.tenant, found.environment.file.postgres
    places = []
    if tenant.tier is Tier.SHARED or tenant.shared_copy:
        places.append(f"the cluster {tenant.cell or postgres.tenants}")
    if tenant.dedicated:
        places.append("its own cluster")
    return places
