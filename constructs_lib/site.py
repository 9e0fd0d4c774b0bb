"""What a Postgres cluster needs of its environment, whether this stack makes it or finds it by name."""

from collections.abc import Mapping
from dataclasses import dataclass

from cdktf_cdktf_provider_digitalocean.data_digitalocean_project import DataDigitaloceanProject
from cdktf_cdktf_provider_digitalocean.data_digitalocean_tag import DataDigitaloceanTag
from cdktf_cdktf_provider_digitalocean.data_digitalocean_vpc import DataDigitaloceanVpc
from constructs import Construct

from constructs_lib.network import Network
from constructs_lib.project import Project
from model.tenant_cell import SharedPlan


@dataclass(frozen=True)
class Site:
    """What a cluster needs of its environment.

    Attributes:
        vpc_id: the private network.
        project_id: DigitalOcean's folder.
        environment_tag: what the cluster carries.
        group_tags: by droplet group, the tag that database firewalls admit.
    """

    vpc_id: str
    project_id: str
    environment_tag: str
    group_tags: Mapping[str, str]

    @classmethod
    def made(cls, network: Network, project: Project) -> "Site":
        """Return it where this stack makes it."""
        return cls(network.vpc_id, project.id, network.environment_tag, network.group_tags)


def find_site(scope: Construct, plan: SharedPlan) -> Site:
    """Find what the environment's own stack made, by name; a plan fails while it is not there."""
    return Site(
        vpc_id=DataDigitaloceanVpc(scope, "vpc", name=plan.vpc).id,
        project_id=DataDigitaloceanProject(scope, "project", name=plan.project).id,
        environment_tag=DataDigitaloceanTag(scope, "tag-environment", name=plan.environment_tag).name,
        group_tags={
            group: DataDigitaloceanTag(scope, f"tag-group-{group}", name=name).name
            for group, name in plan.group_tags.items()
        },
    )
