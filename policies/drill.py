"""Clusters of a restore drill: copies that are made from a backup, tried, and destroyed."""

from policies.stack import Resource, Stack
from policies.values import block, items

CLUSTER = "digitalocean_database_cluster"
DRILL = "restore-drill"


def is_drill(resource: Resource, stack: Stack) -> bool:
    """Tell whether a cluster has both marks: it is restored from a backup, and tagged so.

    The tag is called `restore-drill`, or ends in `-restore-drill`.
    """
    tags = (stack.name_of(tag) for tag in items(resource["tags"]))
    return bool(block(resource.body, "backup_restore")) and any(
        tag == DRILL or str(tag).endswith(f"-{DRILL}") for tag in tags
    )


def is_of_drill(stack: Stack) -> bool:
    """Tell whether a stack has nothing but clusters of a drill."""
    clusters = stack.of(CLUSTER)
    return bool(clusters) and all(is_drill(one, stack) for one in clusters)
