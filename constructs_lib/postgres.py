"""Managed Postgres clusters, their settings and their firewalls."""

from cdktf import TerraformIterator, TerraformResourceLifecycle, Token
from cdktf_cdktf_provider_digitalocean.data_digitalocean_database_ca import DataDigitaloceanDatabaseCa
from cdktf_cdktf_provider_digitalocean.database_cluster import (
    DatabaseCluster,
    DatabaseClusterBackupRestore,
    DatabaseClusterMaintenanceWindow,
    DatabaseClusterTimeouts,
)
from cdktf_cdktf_provider_digitalocean.database_firewall import DatabaseFirewall, DatabaseFirewallRule
from cdktf_cdktf_provider_digitalocean.database_postgresql_config import DatabasePostgresqlConfig
from constructs import Construct

from constructs_lib.lifecycle import KEEP_CLUSTER
from constructs_lib.newer import log_sink
from constructs_lib.site import Site
from model.data import ClusterPlan
from model.isolation import IDLE_IN_TRANSACTION_TIMEOUT_MS

# One tenant's runaway sort must not fill the disk that all share: 5 GiB.
TEMP_FILE_LIMIT_KIB = 5 * 1024 * 1024
# Autovacuum runs that are slow enough to explain a slow minute.
LOG_AUTOVACUUM_MS = 10_000


class PostgresCluster(Construct):
    """A Postgres cluster in the VPC, reachable by its client groups only.

    Attributes:
        id: the cluster's id.
        host: its name on the private network.
        port: as text: arithmetic on a number token is ignored without an error; on text it is an error.
        fqn: the cluster's address in Terraform, for expressions.
        administration: an expression, without `${}`, for what the isolation job connects with; sensitive.
        certificate_authority: an expression, without `${}`: who signs the cluster's certificate, as PEM.
    """

    def __init__(self, scope: Construct, construct_id: str, *, plan: ClusterPlan, site: Site) -> None:
        super().__init__(scope, construct_id)
        cluster = postgres_cluster(self, site, plan, lifecycle=KEEP_CLUSTER)
        postgres_settings(self, cluster.id, site, plan)
        # Public and the same for years; in the first plan, which has no cluster yet, Terraform reads it while
        # applying.
        authority = DataDigitaloceanDatabaseCa(self, "ca", cluster_id=cluster.id)
        self.id = cluster.id
        self.fqn = cluster.fqn
        self.certificate_authority = f"{authority.fqn}.certificate"
        self.administration = administration(f'"{plan.key}"', cluster.fqn, self.certificate_authority)
        self.host = cluster.private_host
        self.port = Token.as_string(cluster.port)


def postgres_cluster(
    scope: Construct,
    site: Site,
    plan: ClusterPlan,
    *,
    lifecycle: TerraformResourceLifecycle,
    for_each: TerraformIterator | None = None,
    restore: DatabaseClusterBackupRestore | None = None,
    create_minutes: int | None = None,
) -> DatabaseCluster:
    """Make a cluster, or with ``for_each`` one for each entry, whose plan then holds tokens.

    With ``restore`` it begins with what another cluster's backup holds. That works when a cluster is made, and never
    later (docs/digitalocean.md). ``create_minutes`` is how long the provider waits for it, in place of 30.
    """
    return DatabaseCluster(
        scope,
        "cluster",
        for_each=for_each,
        name=plan.name,
        engine="pg",
        version=plan.version,
        region=plan.region,
        size=plan.size,
        node_count=plan.nodes,
        private_network_uuid=site.vpc_id,
        project_id=site.project_id,
        tags=[site.environment_tag],
        maintenance_window=[DatabaseClusterMaintenanceWindow(day=plan.day, hour=plan.hour)],
        backup_restore=restore,
        timeouts=DatabaseClusterTimeouts(create=f"{create_minutes}m") if create_minutes else None,
        lifecycle=lifecycle,
    )


def postgres_settings(
    scope: Construct,
    cluster_id: str,
    site: Site,
    plan: ClusterPlan,
    for_each: TerraformIterator | None = None,
) -> None:
    """Make what every cluster has beside it: its settings, its one firewall, and where its logs go."""
    # A `pgbouncer` block here crashes the provider, and 0 and "" are not sent: neither is used.
    DatabasePostgresqlConfig(
        scope,
        "config",
        for_each=for_each,
        cluster_id=cluster_id,
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
        scope,
        "firewall",
        for_each=for_each,
        cluster_id=cluster_id,
        rule=[DatabaseFirewallRule(type="tag", value=site.group_tags[group]) for group in plan.client_groups],
    )
    if plan.logs:
        log_sink(scope, cluster_id=cluster_id, plan=plan.logs, for_each=for_each)


def administration(name: str, cluster: str, authority: str) -> str:
    """Return an expression, without `${}`, for a cluster's entry in the isolation job's configuration; sensitive.

    Args:
        name: an expression for what the job calls it.
        cluster: its address in Terraform.
        authority: an expression for who signs its certificate, as PEM.
    """
    return (
        f"{{ name = {name}, host = {cluster}.private_host, port = {cluster}.port, user = {cluster}.user, "
        f"password = {cluster}.password, database = {cluster}.database, "
        f'sslmode = "verify-full", ca = {authority} }}'
    )
