"""DigitalOcean's folder for an environment's resources."""

from collections.abc import Sequence

from cdktf_cdktf_provider_digitalocean.project import Project as ProjectResource
from cdktf_cdktf_provider_digitalocean.project_resources import ProjectResources
from constructs import Construct

from model.project import ProjectPlan


class Project(Construct):
    """The project, and what is assigned to it.

    Load balancers and database clusters name their project themselves. A cluster must never be assigned here: its
    `project_id` forces replacement, so that a move would be planned as the loss of the data.

    Attributes:
        id: the project's id.
    """

    def __init__(self, scope: Construct, construct_id: str, *, plan: ProjectPlan) -> None:
        super().__init__(scope, construct_id)
        self._project = ProjectResource(
            self,
            "project",
            name=plan.name,
            description=plan.description,
            purpose="Web Application",
            environment=plan.environment,
        )
        self.id = self._project.id

    def assign(self, urns: Sequence[str]) -> None:
        """Assign resources that cannot name their project themselves, all at once."""
        ProjectResources(self, "resources", project=self.id, resources=list(urns))
