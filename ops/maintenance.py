"""Maintenance: close an environment or a church for a while, and serve it again. One edit, and one deploy."""

from pathlib import Path

from model.errors import Problem, relative_name
from model.loader import ENVIRONMENT_FILE, Environment
from model.tenancy import Status
from ops import yaml_edit
from ops.edits import Draft, Edited, deploy, draft, joined, read_file, refuse
from ops.refused import RefusedError
from ops.tenants import host, served

KEY = "maintenance"


def of_environment(root: Path, name: str, *, on: bool) -> Edited:
    """Close an environment for a while, or serve it again.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such environment, or it is so already.
    """
    with draft(root) as change:
        before = change.environment(name).file
        file = change.file(name, ENVIRONMENT_FILE)
        if before.maintenance == on:
            line = yaml_edit.line_of(read_file(file), (KEY,))
            state = "is in maintenance already" if on else "is not in maintenance"
            raise RefusedError(
                Problem(relative_name(file), line, KEY, f"{name} {state}", _other(name, "", on=on))
            )
        _write(change, file, (KEY,), on=on)
        files = change.write().files
    if on:
        said = [
            f"{name}: in maintenance.",
            f"At the deploy, within a minute: every name of {before.base_domain} answers 503, workers take no tasks, "
            "and no scheduled job starts. Addresses in network.admin_cidrs are still served.",
        ]
    else:
        said = [f"{name}: no longer in maintenance.", *_served_again(change.environment(name))]
    return Edited(files, (*said, deploy(name), _other(name, "", on=on)))


def of_tenant(root: Path, name: str, wanted: str, *, on: bool) -> Edited:
    """Close a church for a while, or serve it again.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such tenant, it is not active, or it is so already.
    """
    with draft(root) as change:
        found = change.tenant(name, wanted)
        tenant, option = found.tenant, f" --tenant {found.tenant.slug}"
        if tenant.maintenance == on:
            state = "is in maintenance already" if on else "is not in maintenance"
            raise refuse(change, found, KEY, f"{tenant.slug} {state}", _other(name, option, on=on))
        if tenant.status is not Status.ACTIVE:
            remedy = f"Serve it first: presence360 tenant resume {name} {tenant.slug}"
            raise refuse(change, found, "status", f"{tenant.slug} is {tenant.status}: it is closed", remedy)
        _write(change, change.file(name), ("tenants", found.index, KEY), on=on)
        files = change.write().files
    at = f"https://{host(found.environment, tenant.slug)}"
    if on:
        said = [
            f"{tenant.slug}: in maintenance.",
            f"At the deploy, within a minute: {at} answers 503, and its tasks wait. Its credentials and users stay.",
        ]
    else:
        said = [
            f"{tenant.slug}: no longer in maintenance.",
            f"At the deploy, within a minute: {at} {served(found.environment)}.",
        ]
    return Edited(files, (*said, deploy(name), _other(name, option, on=on)))


def _served_again(environment: Environment) -> list[str]:
    """Say what is served when the environment is, and name the churches that stay closed for a reason of their own."""
    name = environment.file.environment
    waiting = [one.slug for one in environment.tenants if one.maintenance]
    closed = [f"{one.slug} ({one.status})" for one in environment.tenants if one.status is not Status.ACTIVE]
    if not (waiting or closed):
        return ["At the deploy, within a minute: everything is served."]
    said = [f"At the deploy, within a minute: everything is served but {joined([*waiting, *closed])}."]
    if waiting:
        said.append(
            f"In maintenance by entries of their own: {joined(waiting)}. To serve one again: "
            f"presence360 maintenance {name} off --tenant {waiting[0]}"
        )
    return said


def _write(change: Draft, file: Path, path: tuple[str | int, ...], *, on: bool) -> None:
    if on:
        change.edit(file, lambda text: yaml_edit.set_value(text, path, True))
    else:
        change.edit(file, lambda text: yaml_edit.unset(text, path, False))


def _other(name: str, option: str, *, on: bool) -> str:
    """Say which command leads to the other state."""
    purpose, word = ("To serve it again", "off") if on else ("To close it for a while", "on")
    return f"{purpose}: presence360 maintenance {name} {word}{option}"
