"""A tenant's database has exactly its users, a user serves one tenant, and all is keyed by the immutable id."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from model.naming import TENANT_PREFIX
from policies.policy import WRITTEN, Section, Severity, whole_stack
from policies.rules.databases import CLUSTER
from policies.stack import Resource, Stack
from policies.values import number

DATABASE, USER, OBJECT = (
    "digitalocean_database_db",
    "digitalocean_database_user",
    "digitalocean_spaces_bucket_object",
)
ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
# Of a later generation of its database too (model/generations.py).
DATABASE_KEY = rf"{ID}(_r[1-9]\d*)?"
KEYS = {DATABASE: re.compile(DATABASE_KEY), USER: re.compile(rf"{DATABASE_KEY}_g[1-9]\d*")}
GENERATION = re.compile(r"_g[1-9]\d*$")
LOCAL = re.compile(r"\blocal\.([\w-]+)")
GIBIBYTES = re.compile(r"-(\d+)gb$")
OF_PASSWORD = re.compile(r"local\.[\w-]*passwords[\w-]*\[([^\]]*)\]?|(\.password)\b")
OWN_KEY = (
    r'format\("%s%s_g%s",\s*(each\.key|"{key}")\s*,\s*lookup\(each\.value,\s*"database_suffix",\s*""\)\s*,.*'
)


def _cluster(resource: Resource, stack: Stack) -> str:
    """Return what tells clusters apart; of a block with instances that only Terraform knows, the block."""
    found = stack.follow(resource["cluster_id"])
    return found[0].address if len(found) == 1 else str(resource["cluster_id"]).partition("[")[0].strip("${}")


def _table(stack: Stack, value: object) -> dict[str, Any]:
    """Return the map that is written out behind a `for_each`, through expressions that take from it."""
    seen: set[str] = set()
    waiting = LOCAL.findall(str(value))
    while waiting:
        name = waiting.pop(0)
        local = stack.locals.get(name)
        if isinstance(local, dict):
            return local
        if name not in seen:
            seen.add(name)
            waiting += LOCAL.findall(str(local))
    return {}


def _names(database: Resource, stack: Stack) -> set[str]:
    """Return the names that a database has, or may have."""
    if "each.key" not in str(database["name"]):
        return {str(database["name"])}
    return {f"{TENANT_PREFIX}{key}" for key in _table(stack, database["for_each"])}


def directory(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return the tenants of a stack by id, as its local map has them."""
    return next(
        (
            table
            for table in stack.locals.values()
            if isinstance(table, dict)
            and table
            and all(isinstance(entry, dict) and "slug" in entry for entry in table.values())
        ),
        {},
    )


@whole_stack(
    110, Severity.CRITICAL, "Every database user belongs to one database of its cluster",
    "Name a user after its database, with _g and the generation, and make it in the same cluster.",
    section=Section.DATA,
)  # fmt: skip
def user_has_database(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """No user is left over, and none opens more than one database."""
    in_cluster: dict[str, set[str]] = {}
    for database in stack.of(DATABASE):
        in_cluster.setdefault(_cluster(database, stack), set()).update(_names(database, stack))
    for user in stack.of(USER):
        if user.is_empty:
            continue
        own = GENERATION.sub("", str(user["name"]))
        cluster = _cluster(user, stack)
        known = [
            names
            for where, names in in_cluster.items()
            if where.startswith(cluster) or cluster.startswith(where)
        ]
        fine = any(own in names for names in known)
        yield user, [] if fine else [f"there is no database {own} in {cluster}"]


@whole_stack(
    111, Severity.CRITICAL, "Every tenant that is served has its user, and no other has one",
    "Make one user for each generation of an active tenant's credentials; none for one that is suspended or retired.",
    section=Section.DATA, shapes=WRITTEN,
)  # fmt: skip
def served_has_user(stack: Stack) -> Iterator[tuple[str, list[str]]]:
    """A database has exactly its users."""
    users = [str(user["name"]) for user in stack.of(USER) if not user.is_empty]
    if stack.of(DATABASE):
        yield "tenants", []
    for tenant, entry in directory(stack).items():
        wanted: set[str] = set()
        if entry.get("status", "active") == "active":
            generations = (entry.get("generation", 1), *entry.get("keep", ()))
            served = f"{TENANT_PREFIX}{tenant}{entry.get('database_suffix', '')}"
            wanted = {f"{served}_g{generation}" for generation in generations}
        own = tuple(f"{TENANT_PREFIX}{tenant}_{end}" for end in "gr")
        there = {name for name in users if name.startswith(own)}
        problems = [f"has no user {name}" for name in sorted(wanted - there)]
        problems += [f"{name} is there, and does not serve it" for name in sorted(there - wanted)]
        yield f"tenant {tenant}", problems


@whole_stack(
    112, Severity.CRITICAL, "No two resources make the same user, and no user serves two tenants",
    "Make each user in one cluster only, from one resource; write nobody else's password into a tenant's object.",
    section=Section.DATA,
)  # fmt: skip
def user_is_one(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """Its password is in one tenant's object."""
    users = [user for user in stack.of(USER) if not user.is_empty]
    named = Counter(str(user["name"]) for user in users)
    for user in users:
        yield (
            user,
            [f"{named[str(user['name'])]} resources make this user"] if named[str(user["name"])] > 1 else [],
        )
    for item in stack.of(OBJECT):
        if item["for_each"] and str(item["key"]).startswith("tenants/"):
            own = re.compile(OWN_KEY.format(key=item.key))
            found = [key or attribute for key, attribute in OF_PASSWORD.findall(str(item["content"]))]
            yield (
                item,
                [f"the password of {one} is not this tenant's own" for one in found if not own.match(one)],
            )


@whole_stack(
    113, Severity.CRITICAL, "Tenants' databases and users are keyed by the immutable id",
    "Key the map by the tenant's uuid, and users by uuid_g1: a slug may change, and a position does with each entry.",
    section=Section.DATA,
)  # fmt: skip
def keyed_by_id(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """A new name for a church drops nothing."""
    for resource in stack.of(DATABASE, USER):
        if resource["for_each"] or resource.key is not None:
            table = _table(stack, resource["for_each"])
            keys = [resource.key] if resource.key is not None else list(table)
            pattern = KEYS[DATABASE] if resource.key is None else KEYS[resource.type]
            yield (
                resource,
                [f"key {key!r} is no tenant's id" for key in keys if not pattern.fullmatch(str(key))],
            )


@whole_stack(
    114, Severity.HIGH, "Every tenant's connections are limited, to what its cluster has at the most",
    "Write connections, from 1 to what the cluster's size allows: 25 for each GiB of memory less 3.",
    section=Section.DATA, shapes=WRITTEN,
)  # fmt: skip
def connections(stack: Stack) -> Iterator[tuple[str, list[str]]]:
    """One church cannot take all of them."""
    sizes = [GIBIBYTES.search(str(one["size"])) for one in stack.of(CLUSTER) if one["engine"] == "pg"]
    most = max((25 * int(size[1]) - 3 for size in sizes if size), default=0)
    if stack.of(DATABASE):
        yield "tenants", []
    for tenant, entry in directory(stack).items():
        limit = number(entry.get("connections"))
        fine = limit is not None and 1 <= limit <= most
        yield f"tenant {tenant}", [] if fine else [f"connections is {limit}; write 1 to {most}"]


@whole_stack(
    115, Severity.CRITICAL, "Tenants' objects are named after their own id",
    "Write key = tenants/${each.key}.json, and let for_each be over the tenants.",
    section=Section.SECRETS, shapes=WRITTEN,
)  # fmt: skip
def objects_of_their_own(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """No tenant's credentials stand in another's object, or in one for all."""
    for item in stack.of(OBJECT):
        tenants = directory(stack)
        if (item.key is not None and item.key in tenants) or (item["for_each"] and item.key is None):
            own = item.key or "${each.key}"
            fine = item["key"] == f"tenants/{own}.json"
            yield item, [] if fine else [f"key is {item['key']!r}; write tenants/{own}.json"]
