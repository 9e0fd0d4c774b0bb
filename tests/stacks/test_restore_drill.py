"""The stack of the restore drill: what it forks, who reaches it, and that the guard accepts its destruction alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.loader import load_environments
from model.naming import is_disposable
from model.plan import plan_environment
from model.restore_drill import RestoreDrillPlan
from ops.ci import stacks
from ops.guard.finding import Rule
from ops.parity.run import own
from tests.ops.guard.guard import judge
from tests.support import ENVIRONMENTS, Stack, write_lives

NAME = "production-restore-drill"
BACKUPS = (
    "# Environment variables of every service.\n",
    "backups:\n"
    "  copy_region: ams3\n"
    "  recipients:\n"
    "    drill: age1t9rswzdkp68apngukcya0842sar4q0hg0kuft7r4ff7w72zx6p5qy7xup3\n"
    "    operators: age1r6snvn3qerd4vhl5mu0rx4ruhnpdmxfau9c4g74navgu9stsqy5qldag7d\n"
    "  drill: {}\n",
)


def test_it_forks_a_cluster_of_the_same_size_and_version_in_the_same_network(production_drill: Stack) -> None:
    cluster = production_drill.only("database_cluster")
    assert cluster["name"] == NAME
    assert production_drill.names(cluster["tags"]) == [NAME]
    (source,) = (
        value for name, value in production_drill.json["locals"].items() if name.startswith("fork_sources")
    )
    assert source == {
        "shared": {"cluster": "production-pg-shared", "size": "db-s-4vcpu-8gb", "version": "17"}
    }
    for argument in ("size", "version"):
        assert cluster[argument].endswith(f"[var.forked_cluster].{argument}}}")
    assert cluster["backup_restore"]["database_name"].endswith("[var.forked_cluster].cluster}")
    # It copies data: the provider's own 30 minutes are for an empty cluster.
    assert cluster["timeouts"] == {"create": "120m"}
    vpcs = production_drill.json["data"]["digitalocean_vpc"].values()
    assert [one["name"] for one in vpcs] == ["production-vpc"]
    assert production_drill.follow(cluster["project_id"])["name"] == f"{NAME}-presence360"


def test_the_control_group_alone_reaches_it(production_drill: Stack) -> None:
    (rule,) = production_drill.only("database_firewall")["rule"]
    (tag,) = production_drill.json["data"]["digitalocean_tag"].values()
    assert (rule["type"], tag["name"]) == ("tag", "production-group-control")
    assert rule["value"].startswith("${data.digitalocean_tag.fork_tag-group_")


def test_nothing_in_it_is_protected_and_nothing_of_its_environments_is_in_it(
    production_drill: Stack, production: Stack
) -> None:
    text = json.dumps(production_drill.json["resource"])
    assert text.count("prevent_destroy") == 0
    assert not production_drill.addresses & production.addresses - {
        # Each has a project of its own, at the same address.
        address
        for address in production.addresses
        if address.startswith("digitalocean_project.")
    }
    assert production_drill.json["terraform"]["backend"]["s3"]["key"] == f"{NAME}.tfstate"


def sources(folder: Path) -> RestoreDrillPlan:
    (environment,) = load_environments(folder)
    plan = plan_environment(environment).drill
    assert plan
    return plan


def test_shared_clusters_cells_and_churches_own_clusters_take_turns(tmp_path: Path) -> None:
    folder = write_lives(tmp_path / "environments")
    file = folder / "staging/environment.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(*BACKUPS), encoding="utf-8")
    plan = sources(folder)
    found = {key: (one.cluster, len(one.databases), one.control_plane) for key, one in plan.sources.items()}
    own = [key for key in found if key not in {"shared", "cell-2"}]
    assert found["shared"][0::2] == ("staging-pg-shared", True)
    assert found["cell-2"] == ("staging-pg-cell-2", 2, False)
    assert own
    for key in own:
        assert found[key] == (f"staging-pg-{key}", 1, False)


def test_no_environment_may_be_called_like_one() -> None:
    assert is_disposable(NAME)
    assert not is_disposable("production")
    assert not is_disposable("restore-drill")
    assert not is_disposable("production-cell-2")


def test_an_environment_without_the_section_has_none(synthesized: Path) -> None:
    assert not (synthesized / "stacks/staging-restore-drill").exists()
    assert plan_environment(load_environments(ENVIRONMENTS)[-1]).drill is None


def test_what_deploys_or_compares_an_environment_leaves_it_out(synthesized: Path) -> None:
    """`plan`, `apply`, `drift` and their workflows by the first, parity and its page by the second."""
    known = stacks.synthesized(synthesized)
    assert NAME in known
    assert stacks.of_environment("production", known) == ["production"]
    found = own({name: {"resource": {}} for name in known}, "production")
    assert list(found) == [""]


def plan(*changes: dict[str, Any]) -> str:
    return json.dumps(
        {
            "format_version": "1.2",
            "terraform_version": "1.11.4",
            "complete": True,
            "applyable": True,
            "errored": False,
            "planned_values": {"root_module": {}},
            "configuration": {"root_module": {}},
            "resource_changes": list(changes),
        }
    )


def deleted(name: str, kind: str = "digitalocean_database_cluster") -> dict[str, Any]:
    return {
        "address": f"{kind}.fork_cluster",
        "mode": "managed",
        "type": kind,
        "name": "fork_cluster",
        "provider_name": "registry.terraform.io/digitalocean/digitalocean",
        "change": {
            "actions": ["delete"],
            "before": {"id": "1", "name": name, "engine": "pg"},
            "after": None,
            "after_unknown": {},
            "before_sensitive": {},
            "after_sensitive": False,
        },
    }


@pytest.mark.parametrize(
    ("stack", "name", "refused"),
    [
        (NAME, NAME, False),
        # Imported, or moved there: it is somebody's data.
        (NAME, "production-pg-shared", True),
        ("production", NAME, True),
        ("production", "production-pg-shared", True),
        ("production-cell-2", "production-pg-cell-2", True),
    ],
)
def test_the_guard_accepts_the_destruction_of_the_drills_own_cluster_alone(
    tmp_path: Path, stack: str, name: str, refused: bool
) -> None:
    found = judge(tmp_path, {stack: plan(deleted(name))})
    assert not found.problems
    assert [one.rule for one in found.refused] == ([Rule.LOSS] if refused else [])


def test_a_drill_counts_as_a_cluster_of_the_account(edited: Callable[..., Stack]) -> None:
    """The quota is checked where the file states it (model/account.py)."""
    stack = edited((BACKUPS[0], BACKUPS[1]), stack="staging-restore-drill")
    assert stack.only("database_cluster")["name"] == "staging-restore-drill"
