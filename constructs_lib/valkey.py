"""The managed Valkey cluster: queues and caches. It is what DigitalOcean sells since it retired managed Redis."""

from cdktf import Token
from cdktf_cdktf_provider_digitalocean.database_cluster import (
    DatabaseCluster,
    DatabaseClusterMaintenanceWindow,
)
from cdktf_cdktf_provider_digitalocean.database_firewall import DatabaseFirewall, DatabaseFirewallRule
from cdktf_cdktf_provider_digitalocean.database_valkey_config import DatabaseValkeyConfig
from constructs import Construct

from constructs_lib.lifecycle import KEEP_CLUSTER
from constructs_lib.network import Network
from constructs_lib.newer import log_sink
from constructs_lib.project import Project
from constructs_lib.terraform_text import address, url_part
from model.data import ClusterPlan
from model.releases import CA_FILE


class ValkeyCluster(Construct):
    """A Valkey cluster in the VPC, reachable by its client groups only.

    Attributes:
        host: its name on the private network.
        port: as text: arithmetic on a number token is ignored without an error; on text it is an error.
        url: an expression, without `${}`, for the address with user and password; sensitive. It names what
            redis-py, kombu and both of Celery's ends need to check the certificate and its name, in the one form
            that all of them take. What it cannot carry is in docs/services-data.md.
        connection: an expression, without `${}`, for the same in parts, without a database; sensitive.
        fqn: the cluster's address in Terraform, for expressions.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, plan: ClusterPlan, network: Network, project: Project
    ) -> None:
        super().__init__(scope, construct_id)
        cluster = DatabaseCluster(
            self,
            "cluster",
            name=plan.name,
            # `redis` can no longer be created.
            engine="valkey",
            version=plan.version,
            region=plan.region,
            size=plan.size,
            node_count=plan.nodes,
            # Celery's queues live here: a full cluster refuses new tasks with an error instead of dropping old ones.
            eviction_policy="noeviction",
            private_network_uuid=network.vpc_id,
            project_id=project.id,
            tags=[network.environment_tag],
            maintenance_window=[DatabaseClusterMaintenanceWindow(day=plan.day, hour=plan.hour)],
            lifecycle=KEEP_CLUSTER,
        )
        # `frequent_snapshots` and `valkey_active_expire_effort` are never sent by the provider: not used.
        DatabaseValkeyConfig(self, "config", cluster_id=cluster.id, ssl=True, persistence="rdb")
        # The one firewall of this cluster: the resource puts the whole rule set, so a second one would undo it.
        DatabaseFirewall(
            self,
            "firewall",
            cluster_id=cluster.id,
            rule=[
                DatabaseFirewallRule(type="tag", value=network.group_tags[group])
                for group in plan.client_groups
            ],
        )
        if plan.logs:
            log_sink(self, cluster_id=cluster.id, plan=plan.logs)
        self.url = (
            # Python's clients add this file to the system's authorities, so a certificate of either kind is accepted:
            # DigitalOcean does not say who signs those of Valkey (docs/digitalocean.md, "Valkey").
            f'format("rediss://%s:%s@%s:%s/0?ssl_cert_reqs=required&ssl_check_hostname=true&ssl_ca_certs={CA_FILE}", '
            f"{cluster.fqn}.user, {url_part(f'{cluster.fqn}.password')}, "
            f"{cluster.fqn}.private_host, {cluster.fqn}.port)"
        )
        known = address(cluster)
        self.connection = (
            f'{{ address = format("rediss://%s:%s", {known}.private_host, {known}.port), '
            f"user = {known}.user, password = {known}.password }}"
        )
        self.fqn = cluster.fqn
        self.host = cluster.private_host
        self.port = Token.as_string(cluster.port)
