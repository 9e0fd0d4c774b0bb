"""A database, its users and their credentials for every tenant of a cluster, from local maps.

Tenants are data, not constructs. `prevent_destroy` protects an entry that leaves a map, while with a block for each
tenant the protection would vanish with the block and an edit would silently plan the drop. And a synth does not
grow with the tenants. The resources stand side by side over local maps: Terraform's plan is quadratic in a
`for_each`, and its constant is an order of magnitude worse for a map that is written into `for_each` itself, or for
one resource that refers to another's instances. One has to here, because a password is only known to its user; it
does so by a local, which is a third cheaper: plan of 250 tenants 8.7 s of CPU instead of 13.2, and 4.2 without
credentials and registry (Terraform 1.11.4, provider 2.99.1).
"""

import json

from cdktf import TerraformIterator, TerraformLocal, Token
from cdktf_cdktf_provider_digitalocean.database_db import DatabaseDb
from cdktf_cdktf_provider_digitalocean.database_user import DatabaseUser
from constructs import Construct

from constructs_lib.lifecycle import KEEP
from constructs_lib.postgres import PostgresCluster
from constructs_lib.private_bucket import PrivateBucket
from constructs_lib.terraform_text import string
from model.naming import (
    FIRST_GENERATION,
    credentials_key,
    owner_role,
    queue_prefix,
    registry_key,
    tenant_database,
    tenant_user,
    tenant_user_of,
    user_key,
)
from model.plan import TenantPlan

_KEY = "%s"
"""Stands for a tenant's id in a name, for Terraform's `format`."""


class TenantDatabases(Construct):
    """The tenants of one Postgres cluster.

    Attributes:
        registry: by tenant id: slug, name, database and user; no secret.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tenants: tuple[TenantPlan, ...],
        cluster: PostgresCluster,
        credentials: PrivateBucket,
        registry: PrivateBucket,
    ) -> None:
        super().__init__(scope, construct_id)
        # Keyed by the immutable id, never by a slug or a position: nothing else moves when one entry changes.
        entries = TerraformLocal(self, "tenants", {tenant.id: _entry(tenant) for tenant in tenants})
        keys = {
            user_key(tenant.id, generation)
            for tenant in tenants
            for generation in (tenant.generation, *tenant.keep)
        }
        # Keyed by id and generation: a rotation adds an address, and its end removes one.
        generations = TerraformLocal(self, "generations", dict.fromkeys(sorted(keys), ""))
        each = TerraformIterator.from_map(entries.as_any_map)
        DatabaseDb(
            self,
            "database",
            for_each=each,
            cluster_id=cluster.id,
            # The model's naming, applied by Terraform to each key.
            name=tenant_database(each.key),
            lifecycle=KEEP,
        )
        each_user = TerraformIterator.from_map(generations.as_any_map)
        users = DatabaseUser(
            self, "user", for_each=each_user, cluster_id=cluster.id, name=tenant_user_of(each_user.key)
        )
        passwords = TerraformLocal(
            self, "passwords", Token.as_any(f"${{{{ for key, user in {users.fqn} : key => user.password }}}}")
        )
        credentials.objects(
            "tenant",
            each=entries,
            key=credentials_key("${each.key}"),
            content=_credentials(cluster, passwords),
        )
        registry.objects(
            "tenant",
            each=entries,
            key=registry_key("${each.key}"),
            content=_registry(credentials.name),
        )
        user = f"format({json.dumps(tenant_user(_KEY, _KEY))}, id, {_generation('tenant')})"
        self.registry = Token.as_any(
            f"${{{{ for id, tenant in {entries.fqn} : id => {{ slug = tenant.slug, name = tenant.name, "
            f'database = "{tenant_database("${id}")}", user = {user} }} }}}}'
        )


def _entry(tenant: TenantPlan) -> dict[str, object]:
    """Return a tenant's entry; what nearly all have alike is left out, because a synth grows with every value."""
    entry: dict[str, object] = {
        "slug": tenant.slug,
        "name": tenant.name,
        "requests_per_second": tenant.requests_per_second,
        "connections": tenant.connections,
    }
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


def _credentials(cluster: PostgresCluster, passwords: TerraformLocal) -> str:
    """Return what a service of the tenant plane connects with (docs/runbooks/rotate-credentials.md).

    A service falls back to `previous`, newest first, while the user is not let in: that is the minute until the
    isolation job has seen it.
    """
    database = tenant_database(_KEY)
    owner = owner_role(database)
    login = _login(passwords, _generation("each.value"))
    previous = f'[for generation in lookup(each.value, "keep", []) : {{ {_login(passwords, "generation")} }}]'
    return (
        f"{{ host = {cluster.fqn}.private_host, port = {cluster.fqn}.port, "
        f"database = {_each(database)}, role = {_each(owner)}, options = {_each(f'-c role={owner}')}, "
        f'sslmode = "verify-full", ca = {cluster.certificate_authority}, {login}, previous = {previous} }}'
    )


def _login(passwords: TerraformLocal, generation: str) -> str:
    key = user_key(_KEY, "%s")
    password = f"{passwords.fqn}[{_each(key, generation)}]"
    return f"user = {_each(tenant_user_of(key), generation)}, password = {password}"


def _registry(bucket: str) -> str:
    """Return what the control plane learns of a tenant: where its credentials are, not what they are."""
    known = ", ".join(
        f"{field} = each.value.{field}" for field in ("slug", "name", "requests_per_second", "connections")
    )
    prefix = f'lookup(each.value, "queue_prefix", {_each(queue_prefix(_KEY, None))})'
    return (
        f"{{ id = each.key, {known}, queue_prefix = {prefix}, database = {_each(tenant_database(_KEY))}, "
        f"credentials = {{ bucket = {string(bucket)}, key = {_each(credentials_key(_KEY))} }} }}"
    )


def _each(pattern: str, *more: str) -> str:
    """Return an expression that puts the tenant's id into a name of the model's, and what else it takes.

    Not a template within the template: cdktf takes the first `}` for the end and writes `${}` around what follows.
    """
    return f"format({', '.join([json.dumps(pattern), 'each.key', *more])})"
