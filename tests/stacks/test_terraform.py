"""What Terraform and the real provider say of the stacks; no account, no network."""

import copy
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from model.loader import load_environments
from ops import terraform as runner
from ops.parity.compare import Explained, Parity, changed, differences, leaves
from ops.parity.plans import unexplained
from ops.parity.run import own
from ops.parity.steps import Step
from ops.reach.check import check
from ops.reach.plan import stack_of
from ops.summary import read
from policies.judge import broken, judge
from policies.pack import PACK
from policies.plan import read_plan
from policies.stack import Shape
from tests.support import ENVIRONMENTS, Stack, synthesize_folder, write_lives

pytestmark = [pytest.mark.terraform, pytest.mark.usefixtures("provider")]

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
        # active, suspended, preparing, moved, changed its mind; restoring, switched (its earlier one), gave up
        "tenant-plane_databases_database": 8,
        # retired, settled; restored (its earlier one), gave up (its later one)
        "tenant-plane_databases_retired": 4,
        # restoring, switched, restored
        "tenant-plane_databases_restored": 3,
        # active twice, preparing, changed its mind; restoring, switched, restored, gave up
        "tenant-plane_databases_user": 8,
        # preparing, moved, settled, large and restored
        **{f"tenant-plane_dedicated_{what}": 4 for what in ("cluster", "config", "firewall", "ca", "logs")},
        "tenant-plane_dedicated_database": 3,
        "tenant-plane_dedicated_restored": 1,
        "tenant-plane_dedicated_retired": 1,
        "tenant-plane_dedicated_user": 3,
        # large and retired, changed its mind, restored and retired
        **{
            f"tenant-plane_retired-dedicated_{what}": 3
            for what in ("cluster", "config", "firewall", "database", "ca")
        },
        "tenant-plane_retired-dedicated_restored": 1,
        # all but the three retired and the suspended one
        "tenant-plane_credentials_tenant": 10,
        "control-plane_registry_tenant": 14,
    }


@cache
def planned(terraform: Terraform, stack: str) -> dict[str, Any]:
    """What a first plan says; made once, since no test changes the stacks."""
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


def wrong(plan: dict[str, Any]) -> dict[str, list[str]]:
    """Which addresses of a plan keep which policies not."""
    found: dict[str, list[str]] = {}
    for finding in broken(judge([read_plan(copy.deepcopy(plan), "staging/plan.json")])):
        found.setdefault(finding.policy.id, []).append(finding.address)
    return found


def test_policies_hold_in_a_plan_and_judge_every_instance(lives: Terraform) -> None:
    plan = planned(lives, "staging")
    findings = judge([read_plan(copy.deepcopy(plan), "staging/plan.json")])
    assert [(one.policy.id, one.address, one.problems) for one in broken(findings)] == []
    assert {one.policy.id for one in findings} == {
        policy.id for policy in PACK.values() if Shape.PLAN in policy.shapes
    }
    clusters = [one.address for one in findings if one.policy.number == 45]
    assert sum(address.endswith('"]') for address in clusters) == 7, "dedicated: four kept, three retired"


MOVED, OTHER = "20000000-0000-4000-8000-000000000002", "20000000-0000-4000-8000-000000000003"


def in_plan(
    kind: str, key: str, change: Callable[[list[dict[str, Any]], int], object]
) -> Callable[..., None]:
    """Change an instance of what will be there."""

    def edit(plan: dict[str, Any]) -> None:
        resources = plan["planned_values"]["root_module"]["resources"]
        (number,) = [
            number
            for number, one in enumerate(resources)
            if one["type"] == f"digitalocean_{kind}" and one.get("index", one["name"]) == key
        ]
        change(resources, number)

    return edit


@pytest.mark.parametrize(
    ("edit", "policy", "address"),
    [
        (
            in_plan("database_cluster", MOVED, lambda all_, at: all_[at]["values"].update(version="12")),
            "CKV_P360_45",
            f'digitalocean_database_cluster.tenant-plane_dedicated_cluster["{MOVED}"]',
        ),
        (
            in_plan("database_firewall", OTHER, lambda all_, at: all_.pop(at)),
            "CKV_P360_4",
            f'digitalocean_database_cluster.tenant-plane_dedicated_cluster["{OTHER}"]',
        ),
        (
            in_plan(
                "database_user", f"{OTHER}_g1", lambda all_, at: all_[at]["values"].update(name="somebody")
            ),
            "CKV_P360_110",
            f'digitalocean_database_user.tenant-plane_dedicated_user["{OTHER}_g1"]',
        ),
    ],
    ids=["version", "firewall", "user"],
)
def test_a_policy_names_the_instance_of_a_plan(
    lives: Terraform, edit: Callable[..., None], policy: str, address: str
) -> None:
    plan = copy.deepcopy(planned(lives, "staging"))
    edit(plan)
    assert {
        number: [re.sub(r"_[0-9A-F]{8}(?=\[)", "", one) for one in found]
        for number, found in wrong(plan).items()
    } == {policy: [address]}


def test_a_plan_opens_the_paths_that_the_model_decides_and_no_other(terraform: Terraform) -> None:
    for environment in load_environments(ENVIRONMENTS):
        shown = copy.deepcopy(planned(terraform, environment.file.environment))
        assert check(environment, [stack_of(shown)]).proved
        # The set of rules comes sorted from the provider, and the port of a cluster is not known yet.
        (firewall, *_) = (one for one in resources(shown, "digitalocean_firewall") if "worker" in one["name"])
        firewall["values"]["inbound_rule"][0]["source_addresses"] = ["0.0.0.0/0"]
        told = "\n".join(check(environment, [stack_of(shown)]).lines())
        assert "so the internet can reach droplets of worker on 22/tcp" in told


def test_plans_of_two_environments_differ_only_where_their_stacks_do(terraform: Terraform) -> None:
    stacks = {name: own(read(terraform.outdir), name) for name in ("staging", "production")}
    plans = {name: {"": copy.deepcopy(planned(terraform, name))} for name in stacks}
    # What explains it is given as if one key explained all that differs between the stacks: that is tested elsewhere.
    places = changed(leaves(stacks["staging"]), leaves(stacks["production"]))
    explained = Explained(
        Step("all", "", ""), differences(leaves(stacks["staging"]), leaves(stacks["production"]), places)
    )
    parity = Parity("staging", "production", (explained,), {})
    assert unexplained(parity, stacks, plans) == ()
    for kind, argument, value in (
        ("digitalocean_database_valkey_config", "persistence", "off"),
        ("digitalocean_certificate", "type", "custom"),
    ):
        (one,) = resources(plans["production"][""], kind)
        one["values"][argument] = value
    said = [str(one) for one in unexplained(parity, stacks, plans)]
    assert [text.partition(".")[0] for text in said] == [
        "digitalocean_certificate",
        "digitalocean_database_valkey_config",
    ]
    assert said[1].endswith("persistence: rdb | off")


def resources(shown: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one for one in shown["planned_values"]["root_module"]["resources"] if one["type"] == kind]
