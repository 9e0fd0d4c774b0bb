"""What a killed deploy made and Terraform's state lacks: found by name, to be imported."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lab.rehearsal.changes import Plan

State = Mapping[str, Sequence[Mapping[str, Any]]]

# The table in which the local DigitalOcean keeps each kind with a unique name, and the field that the import takes.
_BY_NAME = {
    "database_cluster": ("clusters", "id"),
    "loadbalancer": ("load_balancers", "id"),
    "firewall": ("firewalls", "id"),
    "certificate": ("certificates", "name"),
    "domain": ("domains", "name"),
    "vpc": ("vpcs", "id"),
    "project": ("projects", "id"),
    "ssh_key": ("ssh_keys", "id"),
    "tag": ("tags", "name"),
}
_INSIDE = {"database_db": "_databases", "database_user": "_users"}


def found(plan: Plan, state: State) -> Iterator[tuple[str, str]]:
    """Yield the addresses that a plan would create although they exist, each with the id for `terraform import`."""
    for change in plan:
        identifier = _identifier(change.short_kind, change.after, state) if change.creates else None
        if identifier is not None:
            yield change.address, identifier


def _identifier(kind: str, after: Mapping[str, Any], state: State) -> str | None:
    name = after.get("name")
    if kind in _BY_NAME:
        table, field = _BY_NAME[kind]
        return next((str(one[field]) for one in state[table] if one["name"] == name), None)
    if kind == "spaces_bucket":
        return next((f"{one['region']},{name}" for one in state["buckets"] if one["name"] == name), None)
    if kind in _INSIDE:
        holder = (one for one in state["clusters"] if one["id"] == after.get("cluster_id"))
        return next((f"{one['id']},{name}" for one in holder if name in one[_INSIDE[kind]]), None)
    if kind == "record":
        return next((f"{after['domain']},{one['id']}" for one in state["records"] if _is(one, after)), None)
    return None


def _is(record: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    wanted = (after.get("domain"), after["type"], after["name"], after.get("tag"))
    same = (record["_domain"], record["type"], record["name"], record.get("tag")) == wanted
    value = after.get("value")
    return same and (value is None or record["data"] == value.removesuffix("."))
