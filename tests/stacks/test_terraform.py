"""What Terraform and the real provider say of the stacks; no account, no network."""

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ops import terraform as runner
from tests.support import ENVIRONMENTS, Stack, synthesize_folder, write_lives

pytestmark = pytest.mark.terraform

STACKS = ("bootstrap", "production", "staging")
LIVES = ("staging", "staging-cell-2")


class Terraform:
    """Terraform in the folders of an output, found as Terraform finds its provider: CLI configuration, plugins."""

    def __init__(self, outdir: Path, stacks: tuple[str, ...]) -> None:
        self.outdir = outdir
        secrets = {
            f"TF_VAR_{name}": "not-a-secret"
            for stack in stacks
            for name in Stack.read(outdir, stack).json.get("variable", {})
        }
        self.environment = {
            **os.environ,
            **secrets,
            # Obviously false: nothing is called while everything is still to be created.
            "DIGITALOCEAN_TOKEN": "not-a-token",
            "SPACES_ACCESS_KEY_ID": "not-a-key",
            "SPACES_SECRET_ACCESS_KEY": "not-a-secret",
        }

    def run(self, stack: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return runner.Terraform(self.outdir / "stacks" / stack, self.environment).run(*arguments)


def initialized(environments: Path, outdir: Path, stacks: tuple[str, ...]) -> Terraform:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed: the stacks are not validated by it")
    synthesize_folder(environments, outdir, local_state=True)
    terraform = Terraform(outdir, stacks)
    for stack in stacks:
        ended = terraform.run(stack, "init", "-input=false")
        if ended.returncode:
            pytest.skip(
                "terraform cannot get the digitalocean/digitalocean provider here (no registry, no mirror in its "
                "CLI configuration): the stacks are not validated by it"
            )
    return terraform


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return initialized(ENVIRONMENTS, tmp_path_factory.mktemp("terraform"), STACKS)


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """A tenant in every state, and a further cell."""
    folder = tmp_path_factory.mktemp("lives")
    return initialized(write_lives(folder / "environments"), folder / "cdktf.out", LIVES)


@pytest.mark.parametrize("stack", STACKS)
def test_the_provider_finds_every_argument_valid(terraform: Terraform, stack: str) -> None:
    ended = terraform.run(stack, "validate", "-json")
    verdict = json.loads(ended.stdout)
    assert verdict["diagnostics"] == []
    assert verdict["valid"] is True


@pytest.mark.parametrize("stack", LIVES)
def test_every_state_of_a_tenant_is_valid(lives: Terraform, stack: str) -> None:
    assert json.loads(lives.run(stack, "validate", "-json").stdout)["diagnostics"] == []


def test_a_first_plan_makes_what_each_tenants_state_asks_for(lives: Terraform) -> None:
    changes = planned(lives, "staging")["resource_changes"]
    made = Counter(change["name"].rpartition("_")[0] for change in changes if "index" in change)
    assert made == {
        # active, suspended, preparing, moved, changed its mind
        "tenant-plane_databases_database": 5,
        # retired, settled
        "tenant-plane_databases_retired": 2,
        # active twice, preparing, changed its mind
        "tenant-plane_databases_user": 4,
        # preparing, moved, settled
        **{
            f"tenant-plane_dedicated_{what}": 3
            for what in ("cluster", "config", "firewall", "database", "ca")
        },
        "tenant-plane_dedicated_user": 2,
        # large and retired, changed its mind
        **{
            f"tenant-plane_retired-dedicated_{what}": 2
            for what in ("cluster", "config", "firewall", "database", "ca")
        },
        # all but the two retired and the suspended one
        "tenant-plane_credentials_tenant": 5,
        "control-plane_registry_tenant": 8,
    }


def planned(terraform: Terraform, stack: str) -> dict[str, Any]:
    ended = terraform.run(stack, "plan", "-input=false", "-out=plan.bin")
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
        "a database, a user, credentials and a directory entry for each of three tenants"
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


def test_the_tenants_output_is_known_before_the_apply_and_has_no_secret(terraform: Terraform) -> None:
    tenants = planned(terraform, "staging")["output_changes"]["tenants"]
    assert tenants["after_sensitive"] is False
    assert tenants["after"]["3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"] == {
        "slug": "grace",
        "name": "Grace Chapel",
        "status": "active",
        "tier": "shared",
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
    ended = terraform.run("staging", "plan", "-input=false", "-refresh=false", f"-state={state}")
    assert ended.returncode == 1
    assert "Instance cannot be destroyed" in ended.stderr
    assert gone in ended.stderr
