"""All plans together, with what is known of the tenants: the rules query it."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property

from model.addresses import BUCKET, CLUSTER, DATABASE, OBJECT
from model.tenancy import Status, Tier
from ops.change import Change
from ops.guard import shown
from ops.guard.kinds import holds_data, in_words
from ops.guard.known import Known, environment_of
from ops.guard.roles import Role, role, tenant_of
from ops.guard.text import quote
from ops.plan_json import Plan

_BUCKETS = {
    "-exports": "snapshots and exports of all tenants",
    "-tenant-credentials": "the credentials of all tenants",
    "-tenant-registry": "the directory of all tenants",
    "-state": "Terraform's own state",
}


class World:
    """Several stacks' plans.

    Attributes:
        plans: sorted by stack.
        known: the operators' files, locks and outputs.
    """

    def __init__(self, plans: Sequence[Plan], known: Known) -> None:
        self.plans = tuple(sorted(plans, key=lambda plan: plan.stack))
        self.known = known

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """Every managed resource of every stack."""
        return tuple(change for plan in self.plans for change in plan.changes)

    @cached_property
    def _of_tenant(self) -> dict[tuple[str, str], list[Change]]:
        """Changes by environment and tenant: an id may exist in several environments, which share nothing."""
        found: defaultdict[tuple[str, str], list[Change]] = defaultdict(list)
        for change in self.changes:
            if tenant := tenant_of(change):
                found[environment_of(change.stack), tenant].append(change)
        return dict(found)

    @cached_property
    def _clusters(self) -> dict[tuple[str, str], Change]:
        """Clusters that exist, by stack and id."""
        return {
            (change.stack, str(change.before["id"])): change
            for change in self.changes
            if change.kind == CLUSTER and change.before.get("id") and not change.deposed
        }

    @cached_property
    def _databases(self) -> dict[tuple[str, str], list[Change]]:
        """Databases that exist, by stack and cluster id."""
        found: defaultdict[tuple[str, str], list[Change]] = defaultdict(list)
        for change in self.changes:
            if change.kind == DATABASE and change.before.get("cluster_id"):
                found[change.stack, str(change.before["cluster_id"])].append(change)
        return dict(found)

    @cached_property
    def _created(self) -> dict[tuple[str, str, str], Change]:
        return {
            (environment_of(change.stack), change.kind, str(change.after.get("name"))): change
            for change in self.changes
            if change.creates and holds_data(change.kind) and change.after.get("name")
        }

    def of_tenant(self, stack: str, tenant: str, *roles: Role) -> Iterator[Change]:
        """Yield the resources of a tenant in the environment of a stack."""
        found = self._of_tenant.get((environment_of(stack), tenant), ())
        return (change for change in found if role(change) in roles)

    def created_again(self, change: Change) -> Change | None:
        """Return the resource that is created with the physical name of a deleted one; None if there is none."""
        name = str(change.before.get("name"))
        other = self._created.get((environment_of(change.stack), change.kind, name))
        same = other and (other.stack, other.address) == (change.stack, change.address)
        return None if same else other

    def cluster_of(self, change: Change) -> Change | None:
        """Return the existing cluster that a resource belongs to; None if the plans do not have it."""
        return self._clusters.get((change.stack, str(change.before.get("cluster_id"))))

    def databases_of(self, cluster: Change) -> list[Change]:
        """Return the databases of a cluster that the plan of its stack has."""
        return self._databases.get((cluster.stack, str(cluster.before.get("id"))), [])

    def status(self, stack: str, tenant: str) -> str:
        """Return the status that a tenant will have, from the plans, or else from the operators' files."""
        return self._said(stack, tenant, "status", tuple(Status)) or "active"

    def tier(self, stack: str, tenant: str) -> str:
        """Return where a tenant will be served from; empty if that is not known."""
        return self._said(stack, tenant, "tier", tuple(Tier))

    def _said(self, stack: str, tenant: str, what: str, allowed: Sequence[str]) -> str:
        environment = environment_of(stack)
        for plan in self.plans:
            said = plan.tenants_after.get(tenant, {}).get(what)
            if said in allowed and environment_of(plan.stack) == environment:
                return str(said)
        for entry in self.of_tenant(stack, tenant, Role.DIRECTORY):
            try:
                # Of an object's content only `status` and `tier` are read.
                said = json.loads(entry.after.get("content") or "{}").get(what)
            except (ValueError, AttributeError):
                continue
            if said in allowed:
                return str(said)
        listed = (self.known.entries(stack) or {}).get(tenant)
        return str(getattr(listed, what)) if listed else ""

    def who(self, stack: str, tenant: str) -> str:
        """Return a tenant's name and slug: "Grace Chapel (grace)"; its id if they are not known."""
        slug, name = self.known.label(stack, tenant)
        if not (slug or name):
            slug, name = self._listed_as(stack, tenant)
        if name and slug:
            return f"{quote(name)} ({quote(slug)})"
        return quote(name or slug) if name or slug else f"tenant {quote(tenant)}"

    def _listed_as(self, stack: str, tenant: str) -> tuple[str, str]:
        """Return slug and name as the directory has them; empty if it has no entry. Nothing else of it is read."""
        for entry in self.of_tenant(stack, tenant, Role.DIRECTORY):
            try:
                said = json.loads((entry.before or entry.after).get("content") or "{}")
                return str(said.get("slug") or ""), str(said.get("name") or "")
            except (ValueError, AttributeError):
                continue
        return "", ""

    def data(self, change: Change) -> str:
        """Return in words which data a resource holds, and of which tenant."""
        tenant = tenant_of(change)
        own = f"{self.who(change.stack, tenant)}: its " if tenant else ""
        thing = f"{own}{in_words(change.kind)} {quote(shown.label(change))}"
        if change.kind == DATABASE:
            cluster = self.cluster_of(change)
            return f"{thing} in cluster {quote(shown.label(cluster))}" if cluster else thing
        if change.kind == CLUSTER:
            return f"{thing} with {self._held(change)}"
        if change.kind == BUCKET:
            held = next((held for end, held in _BUCKETS.items() if shown.label(change).endswith(end)), "")
            return f"{thing}: {held}" if held else thing
        if change.kind == OBJECT and (key := shown.either(change, "key")):
            bucket = shown.either(change, "bucket")
            return f"{own}object {quote(key)} in {quote(bucket)}"
        return thing

    def tenants_at_stake(self, change: Change) -> list[str]:
        """Return the ids of the tenants whose data a resource holds."""
        owners = [tenant_of(change)]
        if change.kind == CLUSTER:
            owners += [tenant_of(database) for database in self.databases_of(change)]
        return sorted({owner for owner in owners if owner})

    def _held(self, cluster: Change) -> str:
        databases = self.databases_of(cluster)
        if cluster.before.get("engine") in {"valkey", "redis"}:
            return "its queues and caches"
        if not databases:
            return "its databases"
        tenants = sorted({self.who(cluster.stack, owner) for one in databases if (owner := tenant_of(one))})
        others = sorted(quote(shown.label(one)) for one in databases if not tenant_of(one))
        parts = others + ([f"the databases of {listed(tenants)}"] if tenants else [])
        return " and ".join(parts)


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return names as a list in a sentence; of many, their number and the first."""
    if len(names) > most:
        return f"{len(names)} tenants ({', '.join(names[:most])}, ...)"
    return ", ".join(names)
