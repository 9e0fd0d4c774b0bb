"""A managed Postgres cluster, its settings and its firewall."""

from cdktf import Token
from cdktf_cdktf_provider_digitalocean.data_digitalocean_database_ca import DataDigitaloceanDatabaseCa
from cdktf_cdktf_provider_digitalocean.database_cluster import (
    DatabaseCluster,
    DatabaseClusterMaintenanceWindow,
)
from cdktf_cdktf_provider_digitalocean.database_firewall import DatabaseFirewall, DatabaseFirewallRule
from cdktf_cdktf_provider_digitalocean.database_postgresql_config import DatabasePostgresqlConfig
from constructs import Construct

from constructs_lib.lifecycle import KEEP_CLUSTER
from constructs_lib.network import Network
from constructs_lib.project import Project
from model.plan import ClusterPlan

# A transaction that a crashed client left open holds back VACUUM for every tenant of the cluster.
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
# One tenant's runaway sort must not fill the disk that all share: 5 GiB.
TEMP_FILE_LIMIT_KIB = 5 * 1024 * 1024
# Autovacuum runs that are slow enough to explain a slow minute.
LOG_AUTOVACUUM_MS = 10_000


class PostgresCluster(Construct):
    """A Postgres cluster in the VPC, reachable by its client groups only.

    Attributes:
        id: the cluster's id.
        host: its name on the private network.
        port: as text: arithmetic on a number token is lost without a word, and on text it is an error.
        fqn: the cluster's address in Terraform, for expressions.
        administration: an expression, without `${}`, for what the isolation job connects with; sensitive.
        certificate_authority: an expression, without `${}`: who signs the cluster's certificate, as PEM.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, plan: ClusterPlan, network: Network, project: Project
    ) -> None:
        super().__init__(scope, construct_id)
        cluster = DatabaseCluster(
            self,
            "cluster",
            name=plan.name,
            engine="pg",
            version=plan.version,
            region=plan.region,
            size=plan.size,
            node_count=plan.nodes,
            private_network_uuid=network.vpc_id,
            project_id=project.id,
            tags=[network.environment_tag],
            maintenance_window=[
                DatabaseClusterMaintenanceWindow(day=plan.maintenance.day, hour=plan.maintenance.hour)
            ],
            lifecycle=KEEP_CLUSTER,
        )
        # A `pgbouncer` block here crashes the provider, and 0 and "" are not sent: neither is used.
        DatabasePostgresqlConfig(
            self,
            "config",
            cluster_id=cluster.id,
            timezone="UTC",
            idle_in_transaction_session_timeout=IDLE_IN_TRANSACTION_TIMEOUT_MS,
            temp_file_limit=TEMP_FILE_LIMIT_KIB,
            track_io_timing="on",
            log_autovacuum_min_duration=LOG_AUTOVACUUM_MS,
            # Without DETAIL, which quotes the rows: "Key (email)=(...) already exists" is personal data in a log.
            log_error_verbosity="TERSE",
        )
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
        # Public and the same for years; in the first plan, which has no cluster yet, Terraform reads it while
        # applying.
        authority = DataDigitaloceanDatabaseCa(self, "ca", cluster_id=cluster.id)
        self.id = cluster.id
        self.fqn = cluster.fqn
        self.administration = (
            f'{{ name = "{plan.key}", host = {cluster.fqn}.private_host, port = {cluster.fqn}.port, '
            f"user = {cluster.fqn}.user, password = {cluster.fqn}.password, database = {cluster.fqn}.database, "
            f'sslmode = "verify-full", ca = {authority.fqn}.certificate }}'
        )
        self.certificate_authority = f"{authority.fqn}.certificate"
        self.host = cluster.private_host
        self.port = Token.as_string(cluster.port)
