"""A database, its users and their credentials for every tenant of a cell, from local maps.

Tenants are data, not constructs. `prevent_destroy` protects an entry that leaves a map, while with a block for each
tenant the protection would vanish with the block and an edit would silently plan the drop. And a synth does not
grow with the tenants. The resources stand side by side over local maps: Terraform's plan is quadratic in a
`for_each`, and its constant is an order of magnitude worse for a map that is written into `for_each` itself, or for
one resource that refers to another's instances. One has to here, because a password is only known to its user; it
does so by a local, which is a third cheaper: plan of 250 tenants 8.7 s of CPU instead of 13.2, and 4.2 without
credentials and directory (Terraform 1.11.4, provider 2.99.1).
"""

import json
from collections.abc import Sequence
from typing import Any

from cdktf import TerraformIterator, TerraformLocal, Token
from cdktf_cdktf_provider_digitalocean.database_db import DatabaseDb
from cdktf_cdktf_provider_digitalocean.database_user import DatabaseUser
from constructs import Construct

from constructs_lib.dedicated_clusters import DedicatedClusters, with_passwords
from constructs_lib.lifecycle import KEEP
from constructs_lib.postgres import PostgresCluster
from constructs_lib.private_bucket import TenantObjects
from constructs_lib.terraform_text import EACH_KEY, address, string
from model.addresses import RESTORED_DATABASES, TENANT_DATABASES, Address
from model.naming import (
    FIRST_GENERATION,
    credentials_key,
    database_suffix,
    directory_key,
    owner_role,
    queue_prefix,
    tenant_database,
    tenant_user,
    tenant_user_of,
    user_key,
)
from model.pool import PORT, SOCKETS
from model.tenancy import Guard, Status, Tier
from model.tenant_plane import TenantDatabase, TenantPlan, TenantPlanePlan

_KEY = "%s"
"""Stands for a tenant's id in a name, for Terraform's `format`."""

_DATABASE_KEY = "%s%s"
"""Stands for a tenant's id and what the generation of its database adds to it: the key of a database."""


class TenantDatabases(Construct):
    """The tenants of one cell.

    Attributes:
        directory: by tenant id: slug, name, status, database and user; no secret.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        plan: TenantPlanePlan,
        cluster: PostgresCluster,
        dedicated: DedicatedClusters,
        credentials: TenantObjects,
        directory: TenantObjects,
    ) -> None:
        super().__init__(scope, construct_id)
        tenants = plan.tenants
        # Keyed by the immutable id, never by a slug or a position: nothing else moves when one entry changes.
        known = TerraformLocal(self, "tenants", entries(tenants))
        self._databases(plan, cluster, known)
        each_user = TerraformIterator.from_map(
            TerraformLocal(self, "generations", generations(tenants)).as_any_map
        )
        users = DatabaseUser(
            self, "user", for_each=each_user, cluster_id=cluster.id, name=tenant_user_of(EACH_KEY)
        )
        passwords = TerraformLocal(self, "passwords", _computed(with_passwords(users, dedicated)))
        closed = [tenant.id for tenant in tenants if not tenant.served]
        credentials.objects(
            "tenant",
            each=self._without("served", known, closed),
            key=credentials_key(EACH_KEY),
            content=_credentials(self._server(cluster, dedicated), passwords),
        )
        directory.objects(
            "tenant",
            each=known,
            key=directory_key(EACH_KEY),
            content=_directory(plan.cell, credentials.name),
        )
        key = f"id, {_suffix('tenant')}"
        user = f"format({json.dumps(tenant_user(_DATABASE_KEY, _KEY))}, {key}, {_generation('tenant')})"
        database = f"format({json.dumps(tenant_database(_DATABASE_KEY))}, {key})"
        self.directory = _computed(
            f"{{ for id, tenant in {known.fqn} : id => {{ slug = tenant.slug, name = tenant.name, "
            f"status = {_status('tenant')}, tier = {_tier('tenant')}, database = {database}, "
            f"user = {_served('tenant')} ? {user} : null }} }}"
        )

    def _databases(self, plan: TenantPlanePlan, cluster: PostgresCluster, known: TerraformLocal) -> None:
        """Make the databases: the kept ones, and apart from them those of tenants that were retired."""
        there = plan.databases(Tier.SHARED, Guard.KEPT)
        first = {one.tenant_id for one in there if one.is_first}
        elsewhere = [tenant.id for tenant in plan.tenants if tenant.id not in first]
        kept = TerraformIterator.from_map(self._without("kept", known, elsewhere).as_any_map)
        DatabaseDb(
            self,
            "database",
            for_each=kept,
            cluster_id=cluster.id,
            # The model's naming, applied by Terraform to each key.
            name=tenant_database(EACH_KEY),
            lifecycle=KEEP,
        )
        later = {one.key: "" for one in there if not one.is_first}
        restored = TerraformIterator.from_map(TerraformLocal(self, "later", later).as_any_map)
        # A block of its own, which is there even when it is empty: with those of all tenants in one map, a restore
        # would turn that map into an expression.
        DatabaseDb(
            self,
            "restored",
            for_each=restored,
            cluster_id=cluster.id,
            name=tenant_database(EACH_KEY),
            lifecycle=KEEP,
        )
        retired = plan.databases(Tier.SHARED, Guard.RETIRED)
        keys = dict.fromkeys((one.key for one in retired), "")
        gone = TerraformIterator.from_map(TerraformLocal(self, "gone", keys).as_any_map)
        DatabaseDb(self, "retired", for_each=gone, cluster_id=cluster.id, name=tenant_database(EACH_KEY))
        # For every tenant, in the direction that its entry asks for: this program does not know what was deployed
        # last, and Terraform ignores a block that has nothing to move.
        back = TENANT_DATABASES[Guard.RETIRED]
        self.moves = [
            *({"from": _kept(one).instance(one.key), "to": back.instance(one.key)} for one in retired),
            *({"from": back.instance(one.key), "to": _kept(one).instance(one.key)} for one in there),
        ]

    def _server(self, cluster: PostgresCluster, dedicated: DedicatedClusters) -> str:
        """Return an expression, without `${}`: host, port and certificate authority of the server that has a tenant."""
        own = TerraformLocal(
            self,
            "server",
            _computed(
                f"{{ host = {cluster.fqn}.private_host, port = {cluster.fqn}.port, "
                f"ca = {cluster.certificate_authority} }}"
            ),
        )
        if dedicated.servers is None:
            return address(own)
        servers = TerraformLocal(self, "dedicated-servers", _computed(dedicated.servers))
        return (
            f'({_tier("each.value")} == "{Tier.DEDICATED}" ? {address(servers)}[each.key] : {address(own)})'
        )

    def _without(self, construct_id: str, known: TerraformLocal, left_out: list[str]) -> TerraformLocal:
        """Return the entries without some: by their ids, so that the many who are in both stand in the text once."""
        if not left_out:
            return known
        ids = TerraformLocal(self, f"not-{construct_id}", left_out)
        return TerraformLocal(
            self,
            construct_id,
            _computed(f"{{ for id, tenant in {known.fqn} : id => tenant if !contains({ids.fqn}, id) }}"),
        )


def _computed(expression: str) -> Any:
    """Return an expression as a value; `${${` and `}}` are what cdktf leaves of an object otherwise."""
    return Token.as_any(f"${{{expression}}}")


def _kept(database: TenantDatabase) -> Address:
    """Return where a database stands while it is kept."""
    return TENANT_DATABASES[Guard.KEPT] if database.is_first else RESTORED_DATABASES


def entries(tenants: Sequence[TenantPlan]) -> dict[str, dict[str, object]]:
    """Return what a stack knows of its tenants, by id."""
    return {tenant.id: _entry(tenant) for tenant in tenants}


def generations(tenants: Sequence[TenantPlan]) -> dict[str, str]:
    """Return the keys of the users in the cell's cluster, by id and generation: a rotation moves no other."""
    keys = [key for tenant in tenants if tenant.tier is Tier.SHARED for key in tenant.users]
    return dict.fromkeys(sorted(keys), "")


def _entry(tenant: TenantPlan) -> dict[str, object]:
    """Return a tenant's entry; what nearly all have alike is left out, because a synth grows with every value."""
    entry: dict[str, object] = {
        "slug": tenant.slug,
        "name": tenant.name,
        "requests_per_second": tenant.requests_per_second,
        "connections": tenant.connections,
    }
    if tenant.status is not Status.ACTIVE:
        entry["status"] = tenant.status
    if tenant.tier is not Tier.SHARED:
        entry["tier"] = tenant.tier
    if suffix := database_suffix(tenant.database.current):
        entry["database_suffix"] = suffix
    if tenant.generation != FIRST_GENERATION:
        entry["generation"] = tenant.generation
    if tenant.keep:
        entry["keep"] = list(tenant.keep)
    if tenant.queue_prefix != queue_prefix(tenant.id, None):
        entry["queue_prefix"] = tenant.queue_prefix
    return entry


def _generation(entry: str) -> str:
    """Return an expression for an entry's generation."""
    return f'lookup({entry}, "generation", {FIRST_GENERATION})'


def _suffix(entry: str) -> str:
    """Return an expression for what the generation of an entry's database adds to its key."""
    return f'lookup({entry}, "database_suffix", "")'


def _status(entry: str) -> str:
    """Return an expression for an entry's status."""
    return f'lookup({entry}, "status", "{Status.ACTIVE}")'


def _served(entry: str) -> str:
    """Return an expression for whether a tenant has credentials and users, as `Tenant.served` says it here."""
    return f'{_status(entry)} == "{Status.ACTIVE}"'


def _tier(entry: str) -> str:
    """Return an expression for where an entry's database is that serves."""
    return f'lookup({entry}, "tier", "{Tier.SHARED}")'


def _credentials(server: str, passwords: TerraformLocal) -> str:
    """Return what a service of the tenant plane needs to know of a tenant: what it connects with, and its limits.

    The directory is not for it (docs/services-data.md; for the credentials docs/runbooks/rotate-credentials.md).

    A service falls back to `previous`, newest first, while the user is not let in: that is the minute until the
    isolation job has seen it.
    """
    database = tenant_database(_DATABASE_KEY)
    owner = owner_role(database)
    login = _login(passwords, _generation("each.value"))
    previous = f'[for generation in lookup(each.value, "keep", []) : {{ {_login(passwords, "generation")} }}]'
    return (
        f"merge({server}, {{ pool = {{ host = {string(SOCKETS)}, port = {PORT}, "
        "connections = each.value.connections }, "
        f"requests_per_second = each.value.requests_per_second, queue_prefix = {_queue_prefix()}, "
        f"database = {_of_database(database)}, role = {_of_database(owner)}, "
        f'options = {_of_database(f"-c role={owner}")}, sslmode = "verify-full", {login}, previous = {previous} }})'
    )


def _queue_prefix() -> str:
    """Return an expression for what a tenant's names in Valkey begin with."""
    return f'lookup(each.value, "queue_prefix", {_each(queue_prefix(_KEY, None))})'


def _login(passwords: TerraformLocal, generation: str) -> str:
    key = user_key(_DATABASE_KEY, "%s")
    password = f"{address(passwords)}[{_of_database(key, generation)}]"
    return f"user = {_of_database(tenant_user_of(key), generation)}, password = {password}"


def _directory(cell: str, bucket: str) -> str:
    """Return what the control plane learns of a tenant: where its credentials are, not what they are."""
    known = ", ".join(
        f"{field} = each.value.{field}" for field in ("slug", "name", "requests_per_second", "connections")
    )
    where = f"{{ bucket = {string(bucket)}, key = {_each(credentials_key(_KEY))} }}"
    return (
        f"{{ id = each.key, {known}, status = {_status('each.value')}, tier = {_tier('each.value')}, "
        f"cell = {string(cell)}, queue_prefix = {_queue_prefix()}, "
        f"database = {_of_database(tenant_database(_DATABASE_KEY))}, "
        f"credentials = {_served('each.value')} ? {where} : null }}"
    )


def _of_database(pattern: str, *more: str) -> str:
    """Return an expression that puts the key of the tenant's database into a name of the model's."""
    return _each(pattern, _suffix("each.value"), *more)


def _each(pattern: str, *more: str) -> str:
    """Return an expression that puts the tenant's id into a name of the model's, and what else it takes.

    Not a template within the template: cdktf takes the first `}` for the end and writes `${}` around what follows.
    """
    return f"format({', '.join([json.dumps(pattern), 'each.key', *more])})"
