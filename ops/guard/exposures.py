"""Buckets that a plan would open to everyone, and tenants that would lose access to their data."""

import json
from collections.abc import Iterator

from model.addresses import BUCKET, OBJECT, USER
from ops.change import Change
from ops.guard import shown
from ops.guard.attributes import BUCKET_POLICY
from ops.guard.finding import Finding, Rule, refused, warning
from ops.guard.roles import Role, role, tenant_of
from ops.guard.text import quote
from ops.guard.world import World

_PUBLIC_ACLS = frozenset({"public-read", "public-read-write", "authenticated-read"})


def exposures(world: World) -> Iterator[Finding]:
    """Find what everyone could read, and tenants that would lose access."""
    for change in world.changes:
        if change.kind in {BUCKET, OBJECT}:
            yield from _acl(change, world)
        elif change.kind == BUCKET_POLICY:
            yield from _policy(change)
    yield from _locked_out(world)


def _acl(change: Change, world: World) -> Iterator[Finding]:
    acl = change.after.get("acl")
    if acl in _PUBLIC_ACLS and acl != change.before.get("acl") and not change.deposed:
        yield refused(
            Rule.PUBLIC_BUCKET,
            change,
            world.data(change),
            f"would be readable by everyone ({acl})",
            "Keep `acl: private`.",
            world.tenants_at_stake(change),
        )


def _policy(change: Change) -> Iterator[Finding]:
    if not (change.creates or change.updates):
        return
    text = change.after.get("policy")
    what = f"bucket policy {quote(change.address)}"
    if not isinstance(text, str):
        yield warning(
            Rule.PUBLIC_BUCKET, change, what, "is known only after the apply", "Check it afterwards."
        )
    elif _allows_everybody(text):
        yield refused(
            Rule.PUBLIC_BUCKET,
            change,
            what,
            "would give everyone access",
            "Give keys the access that they need, with spaces_key.",
        )


def _allows_everybody(text: str) -> bool:
    try:
        statements = json.loads(text)["Statement"]
        statements = statements if isinstance(statements, list) else [statements]
        return any(
            one["Effect"] == "Allow" and "*" in json.dumps(one.get("Principal", "*")) for one in statements
        )
    except (ValueError, KeyError, TypeError):
        # A policy that cannot be read is not known to be safe.
        return True


def _locked_out(world: World) -> Iterator[Finding]:
    """Find active tenants whose last user, or whose credentials, would be deleted."""
    going: dict[tuple[str, str], Change] = {}
    for change in world.changes:
        if (
            role(change) in {Role.USER, Role.CREDENTIALS}
            and change.actions == ("delete",)
            and not change.deposed
        ):
            going.setdefault((change.stack, tenant_of(change)), change)
    for (stack, tenant), change in sorted(going.items()):
        if not tenant or world.status(stack, tenant) != "active" or not _has_database(world, stack, tenant):
            continue
        users = any(one.after for one in world.of_tenant(stack, tenant, Role.USER))
        credentials = any(one.after for one in world.of_tenant(stack, tenant, Role.CREDENTIALS))
        if users and credentials:
            continue
        missing = "its credentials" if users else "its last user"
        yield refused(
            Rule.LOCKED_OUT,
            change,
            f"{world.who(stack, tenant)}: its access to its database",
            f"would be lost: {missing} would be deleted, and it is neither suspended nor retired",
            "Keep a generation of credentials, or set `status: suspended`.",
            [tenant],
        )
    for change in world.changes:
        if change.kind == USER and change.actions == ("delete",) and not tenant_of(change):
            yield from _last_user(change, world)


def _has_database(world: World, stack: str, tenant: str) -> bool:
    return any(one.after for one in world.of_tenant(stack, tenant, Role.DATABASE))


def _last_user(change: Change, world: World) -> Iterator[Finding]:
    cluster = world.cluster_of(change)
    if cluster is None or not cluster.stays:
        return
    name = str(change.before.get("name"))
    if any(shown.either(one, "name") == name and one.stays for one in world.databases_of(cluster)):
        yield refused(
            Rule.LOCKED_OUT,
            change,
            f"database {quote(name)} in cluster {quote(shown.label(cluster))}",
            "would have no user left",
            "Keep the user as long as the database exists.",
        )
