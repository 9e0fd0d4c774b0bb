"""The private network, the tags, and the keys that droplets take at birth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.environment import EnvironmentFile
from model.layout import Placement
from model.naming import Names
from model.services import Plane


@dataclass(frozen=True, kw_only=True)
class NetworkPlan:
    """The network that everything else of an environment uses."""

    name: str
    region: str
    ip_range: str
    ssh_keys: Mapping[str, tuple[str, str]]
    """By the operators' name: the name in the account, and the public key."""
    environment_tag: str
    plane_tags: Mapping[Plane, str]
    group_tags: Mapping[str, str]


def plan_network(file: EnvironmentFile, names: Names, placements: Sequence[Placement]) -> NetworkPlan:
    """Decide the network, the tags and the keys."""
    return NetworkPlan(
        name=names.resource("vpc"),
        region=file.region,
        ip_range=str(file.network.ip_range),
        ssh_keys={key: (names.resource(key), line) for key, line in sorted(file.network.ssh_keys.items())},
        environment_tag=file.environment,
        plane_tags={plane: names.plane_tag(plane) for plane in Plane},
        group_tags={placement.group: names.group_tag(placement.group) for placement in placements},
    )
