"""One environment: everything that `cdktf deploy staging` makes."""

from cdktf import TerraformOutput, TerraformStack
from constructs import Construct

from constructs_lib.backups import Backups
from constructs_lib.config_bucket import ConfigBucket
from constructs_lib.control_plane import ControlPlane
from constructs_lib.data_layer import DataLayer
from constructs_lib.droplet_group import DropletGroup
from constructs_lib.edge import Edge
from constructs_lib.metrics_store import MetricsStore
from constructs_lib.network import Network
from constructs_lib.operator_secrets import OperatorSecrets
from constructs_lib.outside_alerts import OutsideAlerts
from constructs_lib.project import Project
from constructs_lib.provider import use_digitalocean
from constructs_lib.status_buckets import StatusBuckets
from constructs_lib.tenant_plane import TenantPlane
from model.backups import BACKUPS_KEY
from model.droplets import DropletGroupPlan
from model.edge import NAME_SERVERS
from model.plan import EnvironmentPlan
from stacks.state import SPACES, use_state


class EnvironmentStack(TerraformStack):
    """An environment of its own: it shares no resource with any other."""

    def __init__(
        self, scope: Construct, *, plan: EnvironmentPlan, local_state: bool = False, spaces: str = SPACES
    ) -> None:
        super().__init__(scope, plan.name)
        use_state(self, plan.state, local=local_state, spaces=spaces)
        use_digitalocean(self)

        project = Project(self, "project", plan=plan.project)
        network = Network(self, "network", plan=plan.network)
        edge = Edge(self, "edge", plan=plan.edge, network=network, project=project)
        data = DataLayer(self, "data", plan=plan.data, network=network, project=project)
        control_plane = ControlPlane(self, "control-plane", plan=plan.control_plane, data=data)
        tenant_plane = TenantPlane(
            self,
            "tenant-plane",
            plan=plan.tenant_plane,
            environment=plan.name,
            cluster=data.postgres[plan.tenant_plane.cluster],
            site=data.site,
            directory=control_plane.directory,
        )
        secrets = OperatorSecrets(self, "secrets", variables=plan.terraform_variables)
        statuses = StatusBuckets(self, "status", groups=plan.groups)
        metrics = (
            MetricsStore(self, "metrics", plan=plan.observability, network=network)
            if plan.observability
            else None
        )
        backups = Backups(self, "backups", plan=plan.backups) if plan.backups else None
        configs = {
            group.group: ConfigBucket(
                self,
                f"config-{group.group}",
                plan=group,
                secrets=secrets,
                data=data,
                control_plane=control_plane,
                tenant_plane=tenant_plane,
                statuses=statuses,
                beside=_beside(group, backups, metrics.secrets(secrets, data.valkey) if metrics else None),
            )
            for group in plan.groups
        }
        groups = {
            group.group: DropletGroup(
                self,
                f"group-{group.group}",
                plan=group,
                network=network,
                project=project,
                edge=edge,
                data=data,
                config=configs[group.group],
            )
            for group in plan.groups
        }
        if plan.observability and metrics:
            metrics.attach(groups[plan.observability.group].droplet_ids[0])
            OutsideAlerts(
                self,
                "alerts",
                plan=plan.observability,
                secrets=secrets,
                network=network,
                edge=edge,
                data=data,
                tenant_plane=tenant_plane,
            )
        project.assign(
            [
                edge.zone_urn,
                data.exports.urn,
                control_plane.directory.urn,
                *tenant_plane.urns,
                *(config.urn for config in configs.values()),
                *statuses.urns,
                *(metrics.urns if metrics else ()),
                *(backups.urns if backups else ()),
                *(urn for group in groups.values() for urn in group.droplet_urns),
            ]
        )
        self._outputs(plan, edge, data, tenant_plane, groups)

    def _outputs(
        self,
        plan: EnvironmentPlan,
        edge: Edge,
        data: DataLayer,
        tenant_plane: TenantPlane,
        groups: dict[str, DropletGroup],
    ) -> None:
        """Declare what a person needs after a deploy; what opens a door is in buckets, but for the copier's key."""
        names = {fqdn: balancer.group for balancer in plan.edge.load_balancers for fqdn in balancer.fqdns}
        self._output(
            "names",
            "What is served: each name and the address of the load balancer that answers.",
            {fqdn: edge.load_balancer_addresses[group] for fqdn, group in sorted(names.items())},
        )
        self._output(
            "name_servers", f"What the parent of {plan.edge.base_domain} delegates to.", list(NAME_SERVERS)
        )
        self._output(
            "droplets",
            "Public addresses by droplet, for SSH from the administrators' addresses. Pools are not listed.",
            {name: ip for group in groups.values() for name, ip in group.public_addresses.items()},
        )
        self._output(
            "postgres_hosts",
            "Private names of the Postgres clusters.",
            {key: cluster.host for key, cluster in data.postgres.items()},
        )
        self._output("valkey_host", "Private name of the Valkey cluster.", data.valkey.host)
        self._output("exports_bucket", "The bucket for snapshots and exports.", data.exports.name)
        self._output(
            "tenants", "The tenants of this stack, without secrets.", tenant_plane.databases.directory
        )

    def _output(self, name: str, description: str, value: object) -> None:
        TerraformOutput(self, name, value=value, description=description)


def _beside(group: DropletGroupPlan, backups: Backups | None, alerting: str | None) -> dict[str, str]:
    """Return what programs of one group alone may know: by key, an expression without `${}`."""
    found = {}
    if group.observability and alerting:
        found["observability-secrets.json"] = alerting
    if group.backups and backups:
        found[BACKUPS_KEY] = backups.settings
    return found
