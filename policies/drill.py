"""Clusters of a restore drill: copies that are made from a backup, tried, and destroyed."""

from policies.stack import Resource, Stack
from policies.values import block, items

CLUSTER, PROJECT = "digitalocean_database_cluster", "digitalocean_project"
DRILL = "restore-drill"


def is_drill(resource: Resource, stack: Stack) -> bool:
    """Tell whether a cluster has every mark of a drill's; each by itself may be on something else by mistake.

    It is restored from a backup; it is called `restore-drill`, or something that ends in `-restore-drill`; it has a tag
    of the same name; and it is in a project whose name begins with that name.
    """
    name = str(resource["name"])
    if name != DRILL and not name.endswith(f"-{DRILL}"):
        return False
    tags = {stack.name_of(tag) for tag in items(resource["tags"])}
    projects = [one for one in stack.follow(resource["project_id"]) if one.type == PROJECT]
    return (
        bool(block(resource.body, "backup_restore"))
        and name in tags
        and len(projects) == 1
        and str(projects[0]["name"]).startswith(name)
    )


def is_of_drill(stack: Stack) -> bool:
    """Tell whether a stack has nothing but clusters of a drill."""
    clusters = stack.of(CLUSTER)
    return bool(clusters) and all(is_drill(one, stack) for one in clusters)
