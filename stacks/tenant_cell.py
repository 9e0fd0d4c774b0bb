"""A further cell: a Postgres cluster and its tenants, with a state of its own beside the environment's."""

from cdktf import TerraformOutput, TerraformStack
from constructs import Construct

from constructs_lib.isolation import isolation_config
from constructs_lib.manifest import manifest
from constructs_lib.outside_alerts import ClusterAlerts
from constructs_lib.postgres import PostgresCluster
from constructs_lib.private_bucket import FoundBucket
from constructs_lib.provider import use_digitalocean
from constructs_lib.site import find_site
from constructs_lib.tenant_plane import TenantPlane
from model.naming import isolation_key
from model.status import manifest_key
from model.tenant_cell import CellPlan
from stacks.state import SPACES, use_state


class TenantCellStack(TerraformStack):
    """A cell. What it shares with the environment it finds by name, so that a plan of it touches nothing else."""

    def __init__(
        self, scope: Construct, *, plan: CellPlan, local_state: bool = False, spaces: str = SPACES
    ) -> None:
        super().__init__(scope, plan.name)
        use_state(self, plan.state, local=local_state, spaces=spaces)
        use_digitalocean(self)

        shared = plan.shared
        site = find_site(Construct(self, "found"), shared)
        cluster = PostgresCluster(self, "postgres", plan=plan.cluster, site=site)
        directory = FoundBucket(
            Construct(self, "control-plane"),
            "registry",
            name=plan.directory.name,
            region=plan.directory.region,
        )
        tenant_plane = TenantPlane(
            self,
            "tenant-plane",
            plan=plan.tenant_plane,
            environment=shared.environment_tag,
            cluster=cluster,
            site=site,
            directory=directory,
        )
        # The isolation job runs on the environment's droplets: its entry for this cell is in their bucket.
        config = FoundBucket(self, "config", name=shared.config_bucket, region=shared.region)
        isolation, text = config.object(
            "isolation",
            key=isolation_key(plan.cell),
            content=isolation_config(plan.isolation, [cluster.administration], tenant_plane.isolated),
        )
        config.object(
            "manifest",
            key=manifest_key(plan.cell),
            content=manifest({isolation_key(plan.cell): f"sha256({text})"}),
            after=isolation,
        )
        if plan.emails:
            ClusterAlerts(
                self,
                "alerts",
                environment=plan.name,
                emails=plan.emails,
                cluster=cluster,
                tenant_plane=tenant_plane,
            )
        TerraformOutput(
            self,
            "postgres_host",
            value=cluster.host,
            description="Private name of the cell's Postgres cluster.",
        )
        TerraformOutput(
            self,
            "tenants",
            value=tenant_plane.databases.directory,
            description="The tenants of this stack, without secrets.",
        )
