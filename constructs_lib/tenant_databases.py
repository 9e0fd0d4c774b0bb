"""A database and a user of its own for every tenant of a cluster, from one map.

Tenants are data, not constructs. `prevent_destroy` protects an entry that leaves a map, while with a block for each
tenant the protection would vanish with the block and an edit would silently plan the drop. And a synth does not
grow with the tenants. The resources stand side by side over one local map: Terraform's plan is quadratic in a
`for_each`, and its constant is an order of magnitude worse for a map that is written into `for_each` itself, or for
one resource that refers to another's instances.
"""

from cdktf import TerraformIterator, TerraformLocal, Token
from cdktf_cdktf_provider_digitalocean.database_db import DatabaseDb
from cdktf_cdktf_provider_digitalocean.database_user import DatabaseUser
from constructs import Construct

from constructs_lib.lifecycle import KEEP
from constructs_lib.postgres import PostgresCluster
from model.naming import FIRST_GENERATION, tenant_database, tenant_user
from model.plan import TenantPlan


class TenantDatabases(Construct):
    """The tenants of one Postgres cluster.

    Attributes:
        registry: by tenant id: slug, name, database and user; no secret.
        passwords: by tenant id; sensitive.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tenants: tuple[TenantPlan, ...],
        cluster: PostgresCluster,
    ) -> None:
        super().__init__(scope, construct_id)
        # Keyed by the immutable id, never by a slug or a position: nothing else moves when one entry changes.
        entries = TerraformLocal(
            self, "tenants", {tenant.id: {"slug": tenant.slug, "name": tenant.name} for tenant in tenants}
        )
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
        users = DatabaseUser(
            self,
            "user",
            for_each=each,
            cluster_id=cluster.id,
            name=tenant_user(each.key, FIRST_GENERATION),
        )
        database, user = tenant_database("${id}"), tenant_user("${id}", FIRST_GENERATION)
        self.registry = Token.as_any(
            f"${{{{ for id, tenant in {entries.fqn} : id => "
            f'merge(tenant, {{ database = "{database}", user = "{user}" }}) }}}}'
        )
        self.passwords = Token.as_any(f"${{{{ for id, user in {users.fqn} : id => user.password }}}}")
