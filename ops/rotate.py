"""Rotate a tenant's database credentials, as docs/runbooks/rotate-credentials.md describes it.

The first edit adds a user beside the one in use and publishes it; the second drops the users that are kept. Both are
reviewed and deployed like any other edit.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import yaml

from model import naming
from model.loader import TENANTS_FILE, Environment
from model.tenancy import Status
from model.tenants import MAX_KEPT_GENERATIONS, Tenant
from ops import yaml_edit
from ops.edits import Edited, draft, joined, refuse
from ops.errors import OperationError
from ops.git import END, git

ROTATE_AFTER = timedelta(days=365)
"""docs/runbooks/rotate-credentials.md: a year."""


def rotate(root: Path, environment: str, wanted: str, *, finish: bool) -> Edited:
    """Begin a rotation, or finish it.

    Args:
        root: the folder of the environments.
        environment: the tenant's.
        wanted: its slug or its id.
        finish: drop the users that are kept.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such tenant, or nothing to do for it.
    """
    with draft(root) as change:
        found = change.tenant(environment, wanted)
        tenant, now = found.tenant, found.tenant.credentials
        file, path = change.file(environment), ("tenants", found.index, "credentials")
        command = f"presence360 tenant rotate {environment} {tenant.slug}"
        if finish:
            if not now.keep:
                message = f"{tenant.slug} keeps no earlier generation of credentials"
                raise refuse(change, found, "credentials", message, f"Begin a rotation first: {command}")
            change.edit(file, lambda text: yaml_edit.remove(text, (*path, "keep")))
            return Edited(change.write().files, _finished(environment, tenant))
        if len(now.keep) == MAX_KEPT_GENERATIONS:
            message = f"{tenant.slug} keeps {len(now.keep)} earlier generations of credentials already"
            raise refuse(
                change, found, "credentials", message, f"Finish that rotation first: {command} --finish"
            )
        change.edit(file, lambda text: _begun(text, path, tenant))
        kept = list(map(str, sorted([*now.keep, now.generation])))
        earlier = f"generations {joined(kept)} are kept" if now.keep else f"generation {kept[0]} is kept"
        hint = (
            f"An earlier rotation of {tenant.slug} was not finished: --finish drops the users of generations "
            f"{joined(kept)} at once."
        )
        return Edited(
            change.write().files,
            (
                f"{tenant.slug}: generation {now.generation + 1} of its credentials is in use, and {earlier}.",
                *([hint] if now.keep else []),
                f"At the deploy: the database user {naming.tenant_user(tenant.database_key, now.generation + 1)} is "
                "made and published; the earlier one goes on working.",
                f"Next: deploy this (presence360 apply {environment}). When every service uses the new user: "
                f"{command} --finish",
            ),
        )


def _begun(text: str, path: tuple[str | int, ...], tenant: Tenant) -> str:
    now = tenant.credentials
    text = yaml_edit.set_value(text, (*path, "generation"), now.generation + 1)
    if now.keep:
        return yaml_edit.append(text, (*path, "keep"), now.generation)
    return yaml_edit.set_value(text, (*path, "keep"), [now.generation])


def _finished(environment: str, tenant: Tenant) -> tuple[str, ...]:
    users = [naming.tenant_user(tenant.database_key, kept) for kept in sorted(tenant.credentials.keep)]
    return (
        f"{tenant.slug}: generation {tenant.credentials.generation} of its credentials alone is left.",
        f"At the deploy: the database user{'' if len(users) == 1 else 's'} {joined(users)} will be dropped. First make "
        "sure that no service uses the old credentials: docs/runbooks/rotate-credentials.md.",
        f"Next: deploy this (presence360 apply {environment}).",
    )


def overdue(root: Path, environment: Environment, today: date | None = None) -> tuple[str, ...] | None:
    """Return the slugs of the tenants whose credentials are older than a year.

    Git knows their age: they are those that had the same generation in the tenants.yaml that was checked in a year
    ago. So nobody writes a date down, and an edit by hand cannot leave one out.

    Args:
        root: the folder of the environments.
        environment: the environment as it is now.
        today: the day on which the answer is given; None: today in UTC.

    Returns:
        None: git does not know, as in a shallow clone or outside a checkout.
    """
    name = environment.file.environment
    # In the history of main a merge counts when it was merged.
    since = ((today or datetime.now(UTC).date()) - ROTATE_AFTER).isoformat()
    try:
        if git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
            return None
        log = ["log", "-1", "--first-parent", "--format=%H", f"--before={since}T23:59:59Z", "HEAD"]
        revision = git(root, *log, "--", f"{name}/{TENANTS_FILE}").strip()
        text = git(root, "show", END, f"{revision}:./{name}/{TENANTS_FILE}") if revision else ""
    except (OperationError, FileNotFoundError):
        return None
    then = _generations(text)
    return tuple(
        tenant.slug
        for tenant in environment.tenants
        if tenant.status is not Status.RETIRED and then.get(tenant.id) == tenant.credentials.generation
    )


def _generations(text: str) -> dict[str, int]:
    """Return the generation of each tenant of a file, whose other content may follow rules of another time."""
    try:
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (it is safe)
        return {
            str(entry["id"]): (entry.get("credentials") or {}).get("generation", naming.FIRST_GENERATION)
            for entry in content["tenants"]
        }
    except (yaml.YAMLError, TypeError, KeyError, AttributeError):
        return {}


def told(slugs: tuple[str, ...], environment: str) -> str:
    """Say whose credentials are older than a year, and what to do; empty where nobody's are."""
    if not slugs:
        return ""
    whose = joined(slugs[:5]) if len(slugs) <= 5 else f"{', '.join(slugs[:5])} and {len(slugs) - 5} more"  # noqa: PLR2004
    return (
        f"The database credentials of {whose} are more than a year old. "
        f"Rotate them: presence360 tenant rotate {environment} {slugs[0]}"
    )
