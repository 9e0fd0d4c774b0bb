"""The managed data services of an environment: Postgres, Valkey, Spaces."""

from constructs import Construct

from constructs_lib.network import Network
from constructs_lib.object_storage import ExportsBucket
from constructs_lib.postgres import PostgresCluster
from constructs_lib.project import Project
from constructs_lib.site import Site
from constructs_lib.valkey import ValkeyCluster
from model.data import DataPlan
from model.services import Store


class DataLayer(Construct):
    """The managed data services. The planes decide what they hold.

    Attributes:
        postgres: the Postgres clusters by the operators' names.
        valkey: the Valkey cluster.
        site: where clusters stand.
        exports: the bucket for snapshots and exports.
        certificate_authorities: an expression, without `${}`: who signs the Postgres clusters' certificates,
            as PEM.
        ports: by data service. DigitalOcean serves all clusters of an engine on one port, so any
            cluster's own says it for all.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, plan: DataPlan, network: Network, project: Project
    ) -> None:
        super().__init__(scope, construct_id)
        self.site = Site.made(network, project)
        self.postgres = {
            cluster.key: PostgresCluster(self, f"postgres-{cluster.key}", plan=cluster, site=self.site)
            for cluster in plan.postgres
        }
        self.valkey = ValkeyCluster(self, "valkey", plan=plan.valkey, network=network, project=project)
        self.exports = ExportsBucket(self, "exports", plan=plan.exports, origins=plan.page_origins)
        authorities = ", ".join(cluster.certificate_authority for cluster in self.postgres.values())
        # An account's clusters share an authority; where they do not, a client finds its own among them.
        self.certificate_authorities = f'join("\\n", distinct([{authorities}]))'
        self.ports = {
            Store.POSTGRES: next(iter(self.postgres.values())).port,
            Store.VALKEY: self.valkey.port,
        }
