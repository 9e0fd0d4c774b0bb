"""What the control plane owns in the data layer."""

from dataclasses import dataclass

from model import naming
from model.environment import EnvironmentFile
from model.naming import Names
from model.private_bucket import PrivateBucketPlan, plan_directory


@dataclass(frozen=True, kw_only=True)
class ControlPlanePlan:
    """The control plane's database, and the directory of tenants that it reads."""

    cluster: str
    database: str
    user: str
    owner_role: str
    """What the user acts as."""
    directory: PrivateBucketPlan


def plan_control_plane(file: EnvironmentFile, names: Names) -> ControlPlanePlan:
    """Decide what the control plane owns."""
    return ControlPlanePlan(
        cluster=file.postgres.control_plane,
        database=naming.CONTROL_PLANE_DATABASE,
        user=naming.CONTROL_PLANE_USER,
        owner_role=naming.owner_role(naming.CONTROL_PLANE_DATABASE),
        directory=plan_directory(file, names),
    )
