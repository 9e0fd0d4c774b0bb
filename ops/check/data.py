"""Postgres and Valkey: online, in the private network, of the right version, with a standby where that is decided."""

from collections.abc import Iterator

from model.data import ClusterPlan
from model.naming import CONTROL_PLANE_USER
from ops.check.finding import Finding, bad, good, soon
from ops.check.look import Look, Record
from ops.ci.environments import order

STANDBY_NODES = 2
"""A primary and a standby, which takes over by itself (DigitalOcean documentation, "High Availability")."""


def clusters(look: Look) -> Iterator[Finding]:
    """Each cluster is online and what the files say; production's have a standby."""
    deploy = f"Deploy: presence360 plan {look.name}"
    vpc = (look.vpc or {}).get("id")
    is_production = bool(order([look.name]).last)
    for wanted, engine in look.planned_clusters:
        found = look.clusters.get(wanted.name)
        if found is None:
            yield bad(f"there is no cluster {wanted.name}", deploy)
            continue
        yield from _of_cluster(found, wanted, engine, vpc, deploy)
        if is_production and int(found["num_nodes"]) < STANDBY_NODES:
            yield bad(f"{wanted.name} has no standby", "Write `nodes: 2` in its files, and deploy")
        yield good(f"{wanted.name}: {found['version']}, {found['num_nodes']} nodes, online")


def _of_cluster(
    found: Record, wanted: ClusterPlan, engine: str, vpc: object, deploy: str
) -> Iterator[Finding]:
    name = wanted.name
    if found["status"] != "online":
        yield bad(f"{name} is {found['status']}", "Look at it in the control panel under Databases")
    if found["engine"] != engine or str(found["version"]).partition(".")[0] != wanted.version:
        yield bad(
            f"{name} is {found['engine']} {found['version']}, and not {engine} {wanted.version}", deploy
        )
    if vpc is None or found.get("private_network_uuid") != vpc:
        yield bad(f"{name} is not in the environment's private network", deploy)
    if int(found["num_nodes"]) != wanted.nodes:
        yield bad(f"{name} has {found['num_nodes']} nodes, and not {wanted.nodes}", deploy)
    if found["size"] != wanted.size:
        yield soon(f"{name} has the size {found['size']}, and not {wanted.size}", deploy)


def control_plane(look: Look) -> Iterator[Finding]:
    """The control plane's database and user are there."""
    wanted = look.plan.control_plane
    cluster = next(one for one in look.plan.data.postgres if one.key == wanted.cluster)
    databases, users = inside(look, cluster.name)
    deploy = f"Deploy: presence360 plan {look.name}"
    if wanted.database not in databases:
        yield bad(f"{cluster.name} has no database {wanted.database}", deploy)
    if wanted.user not in users:
        yield bad(f"{cluster.name} has no user {CONTROL_PLANE_USER}", deploy)
    yield good(f"{wanted.database} and its user are in {cluster.name}")


def inside(look: Look, cluster: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of a cluster's databases and users; none where there is no such cluster.

    Raises:
        NotSeenError: the API did not say.
    """
    found = look.clusters.get(cluster)
    if found is None:
        return frozenset(), frozenset()
    path = f"/v2/databases/{found['id']}"
    databases, users = look.all(f"{path}/dbs", "dbs"), look.all(f"{path}/users", "users")
    return frozenset(str(one["name"]) for one in databases), frozenset(str(one["name"]) for one in users)
