"""What the Tenant Plane owns: the tenants' databases and the users that reach them."""

from constructs import Construct

from constructs_lib.data_layer import DataLayer
from constructs_lib.private_bucket import PrivateBucket
from constructs_lib.tenant_databases import TenantDatabases
from model.plan import TenantPlanePlan


class TenantPlane(Construct):
    """The tenants' data. The plane's services run where the layout puts them.

    Attributes:
        databases: the tenants' databases and users.
        credentials: where services of this plane find how to reach them.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        plan: TenantPlanePlan,
        data: DataLayer,
        registry: PrivateBucket,
    ) -> None:
        super().__init__(scope, construct_id)
        cluster = data.postgres[plan.cluster]
        self.credentials = PrivateBucket(self, "credentials", plan=plan.credentials)
        self.databases = TenantDatabases(
            self,
            "databases",
            tenants=plan.tenants,
            cluster=cluster,
            credentials=self.credentials,
            registry=registry,
        )
