"""Count what a plan asks of DigitalOcean's API, and compare it with what model/requests.py expects."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from model.layout import place
from model.loader import load_environments
from model.requests import requests_of_environment
from tools.local_digitalocean.calls import Call
from tools.rehearsal.changes import PROVIDER_PREFIX
from tools.rehearsal.cloud import Cloud
from tools.rehearsal.runner import first_apply
from tools.rehearsal.scene import Scene
from tools.rehearsal.workspace import Workspace

CLUSTER = "/v2/databases/{database_cluster_uuid}"
# Who asks for what when a plan refreshes (the provider's functions that read). The project and its resources ask alike.
ASKED_BY = {
    "/v2/vpcs/{vpc_id}": "vpc",
    "/v2/tags/{tag_id}": "tag",
    "/v2/account/keys/{ssh_key_identifier}": "ssh_key",
    "/v2/projects/{project_id}": "project",
    "/v2/projects/{project_id}/resources": "project",
    "/v2/domains/{domain_name}": "domain",
    "/v2/domains/{domain_name}/records/{domain_record_id}": "record",
    "/v2/certificates": "certificate",
    # By the load balancer, for the name of its rule's certificate.
    "/v2/certificates/{certificate_id}": "loadbalancer",
    "/v2/load_balancers/{lb_id}": "loadbalancer",
    "/v2/droplets/{droplet_id}": "droplet",
    "/v2/droplets/autoscale/{autoscale_pool_id}": "droplet_autoscale",
    "/v2/firewalls/{firewall_id}": "firewall",
    CLUSTER: "database_cluster",
    f"{CLUSTER}/eviction_policy": "database_cluster",
    f"{CLUSTER}/ca": "database_ca",
    f"{CLUSTER}/config": "database_*_config",
    f"{CLUSTER}/firewall": "database_firewall",
    f"{CLUSTER}/dbs/{{database_name}}": "database_db",
    f"{CLUSTER}/users/{{username}}": "database_user",
    "/v2/spaces/keys/{access_key}": "spaces_key",
}
_SAME = {
    "project_resources": "project",
    "database_postgresql_config": "database_*_config",
    "database_valkey_config": "database_*_config",
}


def main(scratch: Path, environment: str) -> int:
    """Deploy an environment, plan it again, and say what that asked for; 1 if the model expects something else."""
    workspace = Workspace.new(scratch / "requests", environment)
    with Cloud(workspace.cloud) as cloud:
        scene = Scene(workspace, cloud)
        first_apply(scene)
        mark = len(cloud.calls())
        scene.terraform().must("plan", "-input=false")
        calls = cloud.calls(mark)
        instances = _instances(scene.terraform().must("state", "list").split())
    asked = [call for call in calls if call.service == "api"]
    print(f"{'kind':<26}{'instances':>10}{'requests':>10}{'each':>8}")
    for kind, count in sorted(_by_kind(asked).items()):
        each = count / instances[kind] if instances[kind] else float("nan")
        print(f"{kind:<26}{instances[kind]:>10}{count:>10}{each:>8.2g}")
    expected = _expected(workspace)
    print(
        f"{len(asked)} requests to the API, and {len(calls) - len(asked)} to Spaces; model/requests.py: {expected}"
    )
    return int(len(asked) != expected)


def _by_kind(calls: Iterable[Call]) -> Counter[str]:
    return Counter(ASKED_BY.get(call.route, call.route) for call in calls)


def _instances(addresses: Iterable[str]) -> Counter[str]:
    """Count a state's resources by kind; those that cannot be told apart by what they ask for are one."""
    kinds = (
        address.removeprefix("data.").split(".")[0].removeprefix(PROVIDER_PREFIX) for address in addresses
    )
    return Counter(_SAME.get(kind, kind) for kind in kinds)


def _expected(workspace: Workspace) -> int:
    found = next(
        one
        for one in load_environments(workspace.folder / "environments")
        if one.file.environment == workspace.environment
    )
    placements = place(found.file.groups, apex=found.file.dns.apex)
    tenants = [tenant for tenant in found.tenants if tenant.cell is None]
    return requests_of_environment(found.file, placements, tenants)
