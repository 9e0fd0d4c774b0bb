"""What Terraform makes of tenants' credentials, as `terraform console` or JSON would show it, and who can read them."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model.loader import load_environments
from model.plan import plan_environment
from stacks.app import synthesize
from tests.support import ENVIRONMENTS

ROOT = Path(__file__).parents[2]
GRACE = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"
ROTATED = "    name: Grace Chapel\n    credentials: {generation: 3, keep: [2]}\n    queue_prefix: grace\n"
READERS = {
    "staging": {
        "TENANT_CREDENTIALS": {"app/tenant-api", "worker/worker"},
        "TENANT_REGISTRY": {"app/control-plane-api"},
        "isolation/environment.json": {"app"},
    },
    "production": {
        "TENANT_CREDENTIALS": {"tenant/tenant-api", "worker/worker"},
        "TENANT_REGISTRY": {"control/control-plane-api"},
        "isolation/environment.json": {"control"},
    },
}


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outdir = tmp_path_factory.mktemp("cdktf.out")
    return synthesized(ENVIRONMENTS, outdir)


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a tenant in the middle of a rotation."""
    folder = tmp_path_factory.mktemp("rotated")
    shutil.copytree(ENVIRONMENTS, folder / "environments", ignore=shutil.ignore_patterns("*.lock"))
    file = folder / "environments/staging/tenants.yaml"
    text = file.read_text(encoding="utf-8")
    assert text.count("    name: Grace Chapel\n") == 1
    file.write_text(text.replace("    name: Grace Chapel\n", ROTATED), encoding="utf-8")
    return synthesized(folder / "environments", folder / "out")


def synthesized(environments: Path, outdir: Path) -> Path:
    plans = [plan_environment(environment) for environment in load_environments(environments)]
    synthesize(plans, outdir, local_state=True)
    return outdir / "stacks"


def read(stacks: Path, environment: str) -> dict[str, Any]:
    return dict(json.loads((stacks / environment / "cdk.tf.json").read_text(encoding="utf-8")))


def blocks(stack: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Resources of a kind by their path in the program; a content that is a local is that local's."""
    for body in stack["resource"][f"digitalocean_{kind}"].values():
        local = re.fullmatch(r"\$\{local\.([\w-]+)\}", body.get("content", ""))
        resolved = {**body, "content": stack["locals"][local[1]]} if local else body
        yield body["//"]["metadata"]["path"].split("/", 1)[1], resolved


def of_tenants(stack: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {path: body for path, body in blocks(stack, "spaces_bucket_object") if "for_each" in body}


@pytest.mark.parametrize("environment", READERS)
@pytest.mark.parametrize(("what", "days"), [("tenant-credentials", 1), ("tenant-registry", 30)])
def test_the_buckets_are_private_protected_and_forget(
    stacks: Path, environment: str, what: str, days: int
) -> None:
    name = f"presence360-{environment}-{what}"
    (bucket,) = [
        body for _, body in blocks(read(stacks, environment), "spaces_bucket") if body["name"] == name
    ]
    assert (bucket["acl"], bucket["force_destroy"], bucket["versioning"]) == (
        "private",
        False,
        {"enabled": True},
    )
    assert bucket["lifecycle"] == {"prevent_destroy": True}
    (rule,) = bucket["lifecycle_rule"]
    assert rule["noncurrent_version_expiration"] == {"days": days}
    (key,) = [body for _, body in blocks(read(stacks, environment), "spaces_key") if body["name"] == name]
    (grant,) = key["grant"]
    assert grant["permission"] == "read"
    assert re.fullmatch(r"\$\{digitalocean_spaces_bucket\.[\w-]+\.name\}", grant["bucket"])


@pytest.mark.parametrize("environment", READERS)
def test_only_services_that_need_them_get_keys(stacks: Path, environment: str) -> None:
    stack = read(stacks, environment)
    found: dict[str, set[str]] = {name: set() for name in READERS[environment]}
    for path, body in blocks(stack, "spaces_bucket_object"):
        group = path.split("/")[0].removeprefix("config-")
        for name in ("TENANT_CREDENTIALS", "TENANT_REGISTRY"):
            variables = re.findall(rf"^{name}_(\w+)=", body["content"], re.MULTILINE)
            if variables:
                assert variables == ["ACCESS_KEY_ID", "BUCKET", "ENDPOINT", "SECRET_ACCESS_KEY"]
                _, service, _ = body["key"].split(".")
                found[name].add(f"{group}/{service}")
        if body["key"] == "isolation/environment.json":
            found["isolation/environment.json"].add(group)
    assert found == READERS[environment]


def test_the_clusters_own_password_is_in_the_isolation_jobs_object_and_nowhere_else(stacks: Path) -> None:
    for environment in READERS:
        stack = read(stacks, environment)
        clusters = [name for name in stack["resource"]["digitalocean_database_cluster"] if "postgres" in name]
        holders = [
            body["key"]
            for _, body in blocks(stack, "spaces_bucket_object")
            if any(f"{name}.password" in body["content"] for name in clusters)
        ]
        assert holders == ["isolation/environment.json"]


@pytest.mark.parametrize("environment", READERS)
def test_no_output_and_no_directory_shows_a_password(stacks: Path, environment: str) -> None:
    stack = read(stacks, environment)
    assert "password" not in json.dumps(stack["output"])
    (entry,) = [
        body for path, body in of_tenants(stack).items() if path.startswith("control-plane/registry/")
    ]
    assert "password" not in entry["content"]
    assert "user" not in entry["content"]


def test_resources_stand_side_by_side_over_local_maps(stacks: Path) -> None:
    """The shape that Terraform plans fastest (constructs_lib/tenant_databases.py)."""
    stack = read(stacks, "staging")
    loops = {
        path: body["for_each"]
        for kind in ("database_db", "database_user", "spaces_bucket_object")
        for path, body in blocks(stack, kind)
        if "for_each" in body
    }
    assert set(loops) == {
        "tenant-plane/databases/database",
        "tenant-plane/databases/restored",
        "tenant-plane/databases/retired",
        "tenant-plane/dedicated/restored",
        "tenant-plane/databases/user",
        "tenant-plane/credentials/tenant",
        "control-plane/registry/tenant",
    }
    assert all(re.fullmatch(r"\$\{local\.[\w-]+\}", loop) for loop in loops.values()), loops


def test_a_rotation_adds_one_user_and_moves_no_other(stacks: Path, rotated: Path) -> None:
    def keys(folder: Path) -> set[str]:
        (found,) = [
            value for name, value in read(folder, "staging")["locals"].items() if "generations" in name
        ]
        return set(found)

    assert keys(stacks) - keys(rotated) == {f"{GRACE}_g1"}
    assert keys(rotated) - keys(stacks) == {f"{GRACE}_g2", f"{GRACE}_g3"}
    before, after = read(stacks, "staging"), read(rotated, "staging")
    assert before["resource"] == after["resource"]  # only the locals are others


def evaluated(
    stacks: Path, path: str, tmp_path: Path, tenant: str = GRACE, generations: tuple[int, ...] = (2, 3)
) -> dict[str, Any]:
    """Let Terraform itself compute an object's content, with literals in the place of what the provider would say."""
    stack = read(stacks, "staging")
    body = of_tenants(stack)[path]
    (tenants,) = [value for name, value in stack["locals"].items() if "databases_tenants" in name]
    content = body["content"].removeprefix("${").removesuffix("}")
    content = re.sub(r"local\.[\w-]*databases_server[\w-]*", "local.server", content)
    content = re.sub(r"local\.[\w-]*dedicated-servers[\w-]*", "local.servers", content)
    content = re.sub(r"local\.[\w-]*passwords[\w-]*", "local.passwords", content)
    content = content.replace("each.key", f'"{tenant}"').replace("each.value", "local.tenant")
    values = {
        "server": {"host": "private-pg", "port": 25060, "ca": "PEM"},
        "servers": {tenant: {"host": "private-own", "port": 25060, "ca": "OWN PEM"}},
        "passwords": {f"{tenant}_g{number}": f"secret of {tenant}_g{number}" for number in generations},
        "tenant": tenants[tenant],
    }
    output = {"content": {"value": f"${{{content}}}"}}
    (tmp_path / "main.tf.json").write_text(json.dumps({"locals": values, "output": output}), encoding="utf-8")
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1"}
    for command in (["apply", "-auto-approve", "-input=false"], ["output", "-raw", "content"]):
        done = subprocess.run(
            ["terraform", f"-chdir={tmp_path}", *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_credentials_say_how_to_connect_and_what_went_before(rotated: Path, tmp_path: Path) -> None:
    assert evaluated(rotated, "tenant-plane/credentials/tenant", tmp_path) == {
        "host": "private-pg",
        "port": 25060,
        "pool": {"host": "/run/presence360/postgres", "port": 6432, "connections": 5},
        "requests_per_second": 20,
        "queue_prefix": "grace:",
        "database": f"tenant_{GRACE}",
        "user": f"tenant_{GRACE}_g3",
        "password": f"secret of {GRACE}_g3",
        "role": f"tenant_{GRACE}_owner",
        "options": f"-c role=tenant_{GRACE}_owner",
        "sslmode": "verify-full",
        "ca": "PEM",
        "previous": [{"user": f"tenant_{GRACE}_g2", "password": f"secret of {GRACE}_g2"}],
    }


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_the_directory_says_where_they_are_and_not_what(rotated: Path, tmp_path: Path) -> None:
    assert evaluated(rotated, "control-plane/registry/tenant", tmp_path) == {
        "id": GRACE,
        "slug": "grace",
        "name": "Grace Chapel",
        "database": f"tenant_{GRACE}",
        "queue_prefix": "grace:",
        "requests_per_second": 20,
        "connections": 5,
        "status": "active",
        "tier": "shared",
        "cell": "staging",
        "credentials": {"bucket": "presence360-staging-tenant-credentials", "key": f"tenants/{GRACE}.json"},
    }


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
@pytest.mark.parametrize(
    ("tenant", "host", "ca"),
    [
        # tests/lives/tenants.yaml: it prepares its move, it has moved.
        ("20000000-0000-4000-8000-000000000001", "private-pg", "PEM"),
        ("20000000-0000-4000-8000-000000000002", "private-own", "OWN PEM"),
    ],
)
def test_a_move_switches_the_server_and_nothing_else(
    lives: Path, tmp_path: Path, tenant: str, host: str, ca: str
) -> None:
    path = "tenant-plane/credentials/tenant"
    said = evaluated(lives / "stacks", path, tmp_path, tenant, generations=(1,))
    assert (said["host"], said["ca"]) == (host, ca)
    assert (said["database"], said["user"]) == (f"tenant_{tenant}", f"tenant_{tenant}_g1")


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_the_directory_shows_no_way_to_a_tenant_that_is_not_served(lives: Path, tmp_path: Path) -> None:
    suspended = "10000000-0000-4000-8000-000000000002"
    said = evaluated(lives / "stacks", "control-plane/registry/tenant", tmp_path, suspended)
    assert (said["status"], said["credentials"]) == ("suspended", None)
