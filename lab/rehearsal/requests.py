"""Count a plan's requests to DigitalOcean's API, and compare them with the forecast of model/requests.py."""

import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from lab.fleet import write_fleet
from lab.local_digitalocean.calls import Call
from lab.rehearsal.cloud import Cloud
from lab.rehearsal.runner import first_apply
from lab.rehearsal.scene import Scene
from lab.rehearsal.workspace import Workspace
from model.capacity import uses
from model.loader import load_environments
from ops.change import PROVIDER_PREFIX
from ops.paths import ENVIRONMENTS

CLUSTER = "/v2/databases/{database_cluster_uuid}"
# The kind that asks for a route when a plan refreshes (the provider's read functions). The project and its resources
# ask for the same routes.
ASKED_BY = {
    "/v2/vpcs/{vpc_id}": "vpc",
    "/v2/tags/{tag_id}": "tag",
    "/v2/account/keys/{ssh_key_identifier}": "ssh_key",
    "/v2/projects/{project_id}": "project",
    "/v2/projects/{project_id}/resources": "project",
    "/v2/domains/{domain_name}": "domain",
    "/v2/domains/{domain_name}/records/{domain_record_id}": "record",
    "/v2/certificates": "certificate",
    # The load balancer asks for the name of its rule's certificate.
    "/v2/certificates/{certificate_id}": "loadbalancer",
    "/v2/load_balancers/{lb_id}": "loadbalancer",
    "/v2/droplets/{droplet_id}": "droplet",
    "/v2/droplets/autoscale/{autoscale_pool_id}": "droplet_autoscale",
    "/v2/firewalls/{firewall_id}": "firewall",
    # A cell looks up the network and the project of its environment by name.
    "/v2/vpcs": "vpc",
    "/v2/projects": "project",
    CLUSTER: "database_cluster",
    f"{CLUSTER}/eviction_policy": "database_cluster",
    f"{CLUSTER}/ca": "database_ca",
    f"{CLUSTER}/config": "database_*_config",
    f"{CLUSTER}/firewall": "database_firewall",
    f"{CLUSTER}/logsink/{{logsink_id}}": "database_logsink_rsyslog",
    f"{CLUSTER}/dbs/{{database_name}}": "database_db",
    f"{CLUSTER}/users/{{username}}": "database_user",
    "/v2/spaces/keys/{access_key}": "spaces_key",
}
_SAME = {
    "project_resources": "project",
    "database_postgresql_config": "database_*_config",
    "database_valkey_config": "database_*_config",
}


TOLERANCE = 0.1
"""The largest relative error that a forecast may have."""


def main(scratch: Path, environment: str, tenants: int | None = None, files: Path = ENVIRONMENTS) -> int:
    """Deploy an environment and its cells, plan each stack again, and report the requests of that plan.

    Args:
        scratch: where to work.
        environment: which one.
        tenants: how many it has, in as many cells as they need; None: its own.
        files: the operators' files.

    Returns:
        The exit code: 1 if a forecast is off by more than `TOLERANCE`.
    """
    workspace = Workspace.new(scratch / "requests", environment, files=files)
    if tenants is not None:
        shutil.rmtree(workspace.folder / "environments")
        write_fleet(files, workspace.folder / "environments", tenants, environment=environment)
    off = False
    with Cloud(workspace.cloud) as cloud:
        scene = Scene(workspace, cloud)
        first_apply(scene)
        for stack, expected in _expected(workspace).items():
            if stack != environment:
                scene.deploy(stack)
            asked = _refreshed(scene, stack)
            print(f"{stack}: {asked} requests to the API counted, {expected} forecast")
            off |= abs(asked - expected) > TOLERANCE * asked
    return int(off)


def _refreshed(scene: Scene, stack: str) -> int:
    """Plan a deployed stack; print the requests by kind, and return how many there were to the API."""
    mark = len(scene.cloud.calls())
    scene.terraform(stack).must("plan", "-input=false")
    calls = scene.cloud.calls(mark)
    instances = _instances(scene.terraform(stack).must("state", "list").stdout.splitlines())
    asked = [call for call in calls if call.service == "api"]
    print(f"{'kind':<26}{'instances':>10}{'requests':>10}{'each':>8}")
    for kind, count in sorted(_by_kind(asked).items()):
        each = count / instances[kind] if instances[kind] else float("nan")
        print(f"{kind:<26}{instances[kind]:>10}{count:>10}{each:>8.2g}")
    print(f"and {len(calls) - len(asked)} to Spaces")
    return len(asked)


def _by_kind(calls: Iterable[Call]) -> Counter[str]:
    return Counter(ASKED_BY.get(call.route, call.route) for call in calls)


def _instances(addresses: Iterable[str]) -> Counter[str]:
    """Count a state's resources by kind; kinds that ask for the same routes count as one."""
    kinds = (
        address.removeprefix("data.").split(".")[0].removeprefix(PROVIDER_PREFIX) for address in addresses
    )
    return Counter(_SAME.get(kind, kind) for kind in kinds)


def _expected(workspace: Workspace) -> dict[str, int]:
    """Return the forecast by stack, the environment's own first."""
    found = next(
        one
        for one in load_environments(workspace.folder / "environments")
        if one.file.environment == workspace.environment
    )
    return {use.stack: use.used for use in uses(found.file, found.tenants) if use.requests}
