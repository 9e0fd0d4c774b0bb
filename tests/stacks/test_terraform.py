"""What Terraform and the real provider say of the stacks; no account, no network."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, Stack, synthesize_folder

STACKS = ("bootstrap", "production", "staging")


class Terraform:
    """Terraform in the folders of an output, found as Terraform finds its provider: CLI configuration, plugins."""

    def __init__(self, outdir: Path) -> None:
        self.outdir = outdir
        secrets = {
            f"TF_VAR_{name}": "not-a-secret"
            for stack in STACKS
            for name in Stack.read(outdir, stack).json.get("variable", {})
        }
        self.environment = {
            **os.environ,
            **secrets,
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            # Obviously false: nothing is called while everything is still to be created.
            "DIGITALOCEAN_TOKEN": "not-a-token",
            "SPACES_ACCESS_KEY_ID": "not-a-key",
            "SPACES_SECRET_ACCESS_KEY": "not-a-secret",
        }

    def run(self, stack: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        folder = self.outdir / "stacks" / stack
        return subprocess.run(
            ["terraform", f"-chdir={folder}", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed: the stacks are not validated by it")
    outdir = tmp_path_factory.mktemp("terraform")
    synthesize_folder(ROOT / "environments", outdir, local_state=True)
    terraform = Terraform(outdir)
    for stack in STACKS:
        ended = terraform.run(stack, "init", "-input=false", "-no-color")
        if ended.returncode:
            pytest.skip(
                "terraform cannot get the digitalocean/digitalocean provider here (no registry, no mirror in its "
                "CLI configuration): the stacks are not validated by it"
            )
    return terraform


@pytest.mark.parametrize("stack", STACKS)
def test_the_provider_finds_every_argument_valid(terraform: Terraform, stack: str) -> None:
    ended = terraform.run(stack, "validate", "-json")
    verdict = json.loads(ended.stdout)
    assert verdict["diagnostics"] == []
    assert verdict["valid"] is True


def planned(terraform: Terraform, stack: str) -> dict[str, Any]:
    ended = terraform.run(stack, "plan", "-input=false", "-no-color", "-out=plan.bin")
    assert ended.returncode == 0, ended.stderr
    shown: dict[str, Any] = json.loads(terraform.run(stack, "show", "-json", "plan.bin").stdout)
    return shown


def test_a_first_plan_creates_everything_and_nothing_else(terraform: Terraform) -> None:
    plan = planned(terraform, "staging")
    # The clusters' certificate authorities are read while applying: there is no cluster yet.
    managed = [change for change in plan["resource_changes"] if change["mode"] == "managed"]
    assert {tuple(change["change"]["actions"]) for change in managed} == {("create",)}
    addresses = {change["address"] for change in managed}
    tenants = {address for address in addresses if address.endswith("]")}
    assert len(tenants) == 12, (
        "a database, a user, credentials and a registry entry for each of three tenants"
    )


def test_a_plan_names_databases_as_the_model_does(terraform: Terraform) -> None:
    changes = planned(terraform, "staging")["resource_changes"]
    named = {
        change["change"]["after"]["name"]
        for change in changes
        if change["type"] == "digitalocean_database_db"
    }
    assert named == {
        "control_plane",
        "tenant_3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001",
        "tenant_7d1c2b9a-5b1f-4e0c-8a6d-2c9be0f1a002",
        "tenant_b1e6f7d2-2c3d-4b5a-9e8f-7a6c5d4e3003",
    }


def test_the_registry_output_is_known_before_the_apply_and_has_no_secret(terraform: Terraform) -> None:
    tenants = planned(terraform, "staging")["output_changes"]["tenants"]
    assert tenants["after_sensitive"] is False
    assert tenants["after"]["3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"] == {
        "slug": "grace",
        "name": "Grace Chapel",
        "database": "tenant_3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001",
        "user": "tenant_3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001_g1",
    }


def test_a_tenant_that_leaves_the_file_is_not_dropped(terraform: Terraform) -> None:
    """One edit must not plan the loss of a database: `prevent_destroy` outlives the entry it protects."""
    gone = "99999999-9999-4999-8999-999999999999"
    address = next(
        name
        for name, block in Stack.read(terraform.outdir, "staging").all("database_db").items()
        if "for_each" in block
    )
    instance = {
        "index_key": gone,
        "schema_version": 0,
        "attributes": {"id": "c/database/x", "cluster_id": "c", "name": f"tenant_{gone}"},
    }
    resource = {
        "mode": "managed",
        "type": "digitalocean_database_db",
        "name": address,
        "provider": 'provider["registry.terraform.io/digitalocean/digitalocean"]',
        "instances": [instance],
    }
    state = terraform.outdir / "one-tenant.tfstate"
    state.write_text(json.dumps({"version": 4, "serial": 1, "lineage": "x", "resources": [resource]}))
    ended = terraform.run("staging", "plan", "-input=false", "-no-color", "-refresh=false", f"-state={state}")
    assert ended.returncode == 1
    assert "Instance cannot be destroyed" in ended.stderr
    assert gone in ended.stderr
