"""The restore drill: one fork of a cluster, deployed on demand and destroyed when the drill ends."""

from cdktf import TerraformOutput, TerraformStack
from constructs import Construct

from constructs_lib.project import Project
from constructs_lib.provider import use_digitalocean
from constructs_lib.restored_cluster import RestoredCluster
from model.restore_drill import RestoreDrillPlan
from stacks.state import SPACES, use_state


class RestoreDrillStack(TerraformStack):
    """A disposable stack. Nothing of its environment's is in it: it finds the network and the control group by name."""

    def __init__(
        self, scope: Construct, *, plan: RestoreDrillPlan, local_state: bool = False, spaces: str = SPACES
    ) -> None:
        super().__init__(scope, plan.name)
        use_state(self, plan.state, local=local_state, spaces=spaces)
        use_digitalocean(self)

        project = Project(self, "project", plan=plan.project)
        fork = RestoredCluster(self, "fork", plan=plan, project=project)
        TerraformOutput(
            self,
            "administration",
            value=f"${{{fork.administration}}}",
            description="How the control group reaches the fork.",
            sensitive=True,
        )
