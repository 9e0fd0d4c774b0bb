"""What the Control Plane owns: its database and the user that reaches it."""

from cdktf_cdktf_provider_digitalocean.database_db import DatabaseDb
from cdktf_cdktf_provider_digitalocean.database_user import DatabaseUser
from constructs import Construct

from constructs_lib.data_layer import DataLayer
from constructs_lib.lifecycle import KEEP
from constructs_lib.private_bucket import PrivateBucket
from constructs_lib.terraform_text import url_part
from model.control_plane import ControlPlanePlan
from model.releases import CA_FILE


class ControlPlane(Construct):
    """The control plane's database, and the directory of tenants that it reads.

    Its services run where the layout puts them.

    Attributes:
        directory: the bucket from which it knows the tenants.
        database_url: an expression, without `${}`, for the address with user and password; sensitive.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, plan: ControlPlanePlan, data: DataLayer
    ) -> None:
        super().__init__(scope, construct_id)
        cluster = data.postgres[plan.cluster]
        database = DatabaseDb(self, "database", cluster_id=cluster.id, name=plan.database, lifecycle=KEEP)
        user = DatabaseUser(self, "user", cluster_id=cluster.id, name=plan.user)
        self.directory = PrivateBucket(self, "registry", plan=plan.directory)
        # `options` names the role that the user acts as, where the isolation job may not set it for the user.
        self.database_url = (
            f'format("postgresql://%s:%s@%s:%s/%s?sslmode=verify-full&sslrootcert={CA_FILE}'
            f'&options=-c%%20role%%3D{plan.owner_role}", {user.fqn}.name, '
            f"{url_part(f'{user.fqn}.password')}, {cluster.fqn}.private_host, "
            f"{cluster.fqn}.port, {database.fqn}.name)"
        )
