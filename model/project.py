"""DigitalOcean's folder for an environment's resources."""

from dataclasses import dataclass

from model.environment import EnvironmentFile
from model.naming import Names

# The words that DigitalOcean knows (terraform-provider-digitalocean 2.99.1, project/resource_project.go).
_ENVIRONMENTS = {"production": "Production", "staging": "Staging"}
_ANY_OTHER = "Development"


@dataclass(frozen=True, kw_only=True)
class ProjectPlan:
    """The project."""

    name: str
    description: str
    environment: str
    """Development, Staging or Production."""


def plan_project(file: EnvironmentFile, names: Names) -> ProjectPlan:
    """Decide the project."""
    return ProjectPlan(
        name=names.project,
        description=file.description,
        environment=_ENVIRONMENTS.get(file.environment, _ANY_OTHER),
    )
