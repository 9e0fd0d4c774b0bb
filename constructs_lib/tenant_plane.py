"""What the Tenant Plane owns in one stack: the tenants' databases, and the users that reach them."""

from cdktf import TerraformStack
from cdktf_cdktf_provider_digitalocean.spaces_key import SpacesKeyGrant
from constructs import Construct

from constructs_lib import dedicated_clusters
from constructs_lib.dedicated_clusters import DedicatedClusters
from constructs_lib.postgres import PostgresCluster
from constructs_lib.private_bucket import FoundBucket, PrivateBucket, TenantObjects
from constructs_lib.site import Site
from constructs_lib.tenant_databases import TenantDatabases
from model.tenancy import Guard
from model.tenant_plane import TenantPlanePlan


class TenantPlane(Construct):
    """The data of one cell's tenants. The plane's services run where the layout puts them, for all cells.

    Attributes:
        databases: the tenants' databases and users in the cell's cluster.
        urns: what is assigned to the project: the bucket of the credentials, where this stack makes it.
        own_clusters: expressions, without `${}`: lists of the ids of tenants' own clusters.
        isolated: expressions, without `${}`: lists of the isolation job's entries for tenants' own clusters.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        plan: TenantPlanePlan,
        environment: str,
        cluster: PostgresCluster,
        site: Site,
        directory: TenantObjects,
    ) -> None:
        super().__init__(scope, construct_id)
        kept, retired = (
            DedicatedClusters(self, name, plan=plan, guard=guard, environment=environment, site=site)
            for name, guard in (("dedicated", Guard.KEPT), ("retired-dedicated", Guard.RETIRED))
        )
        bucket = plan.credentials
        credentials: TenantObjects = (
            PrivateBucket(self, "credentials", plan=bucket)
            if plan.first
            else FoundBucket(self, "credentials", name=bucket.name, region=bucket.region)
        )
        self._credentials = credentials
        self.urns = [credentials.urn] if isinstance(credentials, PrivateBucket) else []
        self.databases = TenantDatabases(
            self,
            "databases",
            plan=plan,
            cluster=cluster,
            dedicated=kept,
            credentials=credentials,
            directory=directory,
        )
        self.own_clusters = [clusters.ids for clusters in (kept, retired) if clusters.ids]
        self.isolated = [clusters.administration for clusters in (kept, retired) if clusters.administration]
        moves = [
            *self.databases.moves,
            *dedicated_clusters.moves(plan),
        ]
        TerraformStack.of(self).add_override("moved", moves)

    def credential_variables(self, name: str) -> dict[str, str]:
        """Return how services of this plane find how to reach the databases: see `PrivateBucket.variables`.

        Raises:
            TypeError: a further cell's stack finds the bucket by name, and has no key that reads it.
        """
        return self._own_credentials().variables(name)

    def credentials_grant(self) -> SpacesKeyGrant:
        """Return the right to read the credentials, for the key of a group whose droplets have pools.

        Raises:
            TypeError: as `credential_variables`.
        """
        return self._own_credentials().grant()

    def _own_credentials(self) -> PrivateBucket:
        if not isinstance(self._credentials, PrivateBucket):
            raise TypeError(f"{self.node.path} has no key of the bucket {self._credentials.name}")
        return self._credentials
