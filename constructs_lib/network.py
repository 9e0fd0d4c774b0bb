"""The private network, the tags, and the keys that droplets take at birth."""

from cdktf_cdktf_provider_digitalocean.ssh_key import SshKey
from cdktf_cdktf_provider_digitalocean.tag import Tag
from cdktf_cdktf_provider_digitalocean.vpc import Vpc
from constructs import Construct

from model.layout import Placement
from model.network import NetworkPlan


class Network(Construct):
    """The network that everything else of an environment uses.

    Attributes:
        vpc_id: the VPC's id.
        environment_tag: the name of the tag that everything of the environment carries.
        group_tags: by group name, the tag that firewalls and load balancers find the group's droplets by.
        ssh_key_fingerprints: what droplets are created with.
        ssh_public_keys: the same keys as the operators wrote them.
    """

    def __init__(self, scope: Construct, construct_id: str, *, plan: NetworkPlan) -> None:
        super().__init__(scope, construct_id)
        vpc = Vpc(self, "vpc", name=plan.name, region=plan.region, ip_range=plan.ip_range)
        self.vpc_id = vpc.id
        # Names are taken from the tag resources, not from the plan, so that the tags exist before they are used.
        self.environment_tag = Tag(self, "tag-environment", name=plan.environment_tag).name
        self._plane_tags = {
            plane: Tag(self, f"tag-plane-{plane}", name=name).name for plane, name in plan.plane_tags.items()
        }
        self.group_tags = {
            group: Tag(self, f"tag-group-{group}", name=name).name for group, name in plan.group_tags.items()
        }
        self.ssh_key_fingerprints = [
            SshKey(self, f"ssh-key-{key}", name=name, public_key=line).fingerprint
            for key, (name, line) in plan.ssh_keys.items()
        ]
        self.ssh_public_keys = [line for _, line in plan.ssh_keys.values()]

    def tags_of(self, placement: Placement) -> list[str]:
        """Return the tags of a group's droplets: environment, planes, group."""
        planes = [self._plane_tags[plane] for plane in placement.planes]
        return [self.environment_tag, *planes, self.group_tags[placement.group]]
