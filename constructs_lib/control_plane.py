"""What the Control Plane owns: its database and the user that reaches it."""

from cdktf_cdktf_provider_digitalocean.database_db import DatabaseDb
from cdktf_cdktf_provider_digitalocean.database_user import DatabaseUser
from constructs import Construct

from constructs_lib.data_layer import DataLayer
from constructs_lib.lifecycle import KEEP
from model.plan import ControlPlanePlan


class ControlPlane(Construct):
    """The registry of tenants lives in this plane's database. Its services run where the layout puts them.

    Attributes:
        credentials: host, port, database, user and password; sensitive as a whole.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, plan: ControlPlanePlan, data: DataLayer
    ) -> None:
        super().__init__(scope, construct_id)
        cluster = data.postgres[plan.cluster]
        database = DatabaseDb(self, "database", cluster_id=cluster.id, name=plan.database, lifecycle=KEEP)
        user = DatabaseUser(self, "user", cluster_id=cluster.id, name=plan.user)
        self.credentials = {
            "host": cluster.host,
            "port": cluster.port,
            "database": database.name,
            "user": user.name,
            "password": user.password,
        }
