"""The lock of the environments: what it refuses, warns of, and what it is told to do."""

import re

import pytest

from model.known_environments import ENVIRONMENTS_LOCK
from model.known_tenants import LOCK_FILE, format_lock
from model.loader import environments_lock
from tests.model.workspace import PRODUCTION, STAGING, STAGING_TENANTS, Workspace


@pytest.fixture
def agreed(both: Workspace) -> Workspace:
    """Both environments, with their locks."""
    environments = both.load()
    for one in environments:
        name = one.file.environment
        both.write(f"{name}/{LOCK_FILE}", format_lock(one.tenants, name))
    both.write(ENVIRONMENTS_LOCK, environments_lock(both.root, environments))
    return both


def lost(agreed: Workspace, fact: str, path: str, text: str) -> str:
    line = agreed.line(ENVIRONMENTS_LOCK, fact)
    return (
        f"environments/{ENVIRONMENTS_LOCK}:{line}: {path}: {text}\n\n1 problem in the environment files; nothing was "
        "written."
    )


def remove(workspace: Workspace, environment: str) -> None:
    for file in (workspace.root / environment).iterdir():
        file.unlink()
    (workspace.root / environment).rmdir()


def test_an_environment_does_not_leave_with_its_folder(agreed: Workspace) -> None:
    remove(agreed, "staging")
    agreed.replace(PRODUCTION, "delegations: [staging]", "delegations: []")
    assert agreed.error() == lost(
        agreed,
        "staging status",
        "staging",
        "this environment's folder was removed, but it was not retired: its databases would be left without a "
        "plan, and a "
        "deploy of `bootstrap` would destroy the key of its state\n    Put the folder back. "
        "docs/runbooks/remove-environment.md says in which steps an environment is removed.",
    )


def test_an_environment_leaves_in_steps(agreed: Workspace) -> None:
    agreed.replace(STAGING, "\ndns:\n", "\nstatus: retired\n\ndns:\n")
    line = agreed.line(STAGING, "status: retired")
    assert agreed.error() == (
        f"environments/{STAGING}:{line}: status: the environment is retired, and 3 tenants are still in tenants.yaml\n"
        "    Retire and remove them first: docs/runbooks/remove-environment.md.\n\n"
        "1 problem in the environment files; nothing was written."
    )
    active = agreed.text(f"staging/{LOCK_FILE}")
    agreed.write(
        f"staging/{LOCK_FILE}",
        re.sub(r" \S+ staging shared=kept.*", " retired staging shared=retired", active),
    )
    agreed.write(STAGING_TENANTS, "tenants: []\n")
    agreed.write(ENVIRONMENTS_LOCK, environments_lock(agreed.root, agreed.load()))
    remove(agreed, "staging")
    agreed.replace(PRODUCTION, "delegations: [staging]", "delegations: []")
    (environment,) = agreed.load()
    assert "staging" not in environments_lock(agreed.root, [environment])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("region: fra1", "region: ams3",
         "region: this was fra1 and is now ams3: everything would have to be made again elsewhere, and the data "
         "would stay "
         "behind\n    Write fra1 again. Only if nothing of this environment was ever deployed, remove the line "
         "`staging "
         "region ...` from environments.lock.\n"),
        ("10.60.0.0/20", "10.61.0.0/20",
         "network.ip_range: this was 10.60.0.0/20 and is now 10.61.0.0/20: a VPC's range can never be changed\n "
         "   Write "
         "10.60.0.0/20 again. Only if nothing of this environment was ever deployed, remove the line `staging "
         "ip_range ...` "
         "from environments.lock.\n"),
        ('version: "17"', 'version: "16"',
         "staging.postgres.clusters.shared: the version was 17 and is now 16: a cluster can only be upgraded\n"
         '    Write `version: "17"` or a newer one.\n'),
    ],
)  # fmt: skip
def test_what_cannot_be_changed_back_is_not_changed(agreed: Workspace, old: str, new: str, told: str) -> None:
    agreed.replace(STAGING, old, new)
    error = agreed.error()
    assert told in error
    assert error.endswith("\n1 problem in the environment files; nothing was written.")


def renamed(agreed: Workspace, *, tenants: str, control_plane: str) -> None:
    spare = (
        '    spare:\n      size: db-s-1vcpu-2gb\n      nodes: 1\n      version: "17"\n'
        '      maintenance: {day: monday, hour: "04:00"}\n'
    )
    agreed.replace(
        STAGING,
        "  control_plane: shared\n  tenants: shared\n",
        f"  control_plane: {control_plane}\n  tenants: {tenants}\n",
    )
    agreed.replace(STAGING, "\nvalkey:\n", f"{spare}\nvalkey:\n")


def test_churches_are_not_served_from_another_cluster(agreed: Workspace) -> None:
    renamed(agreed, tenants="spare", control_plane="shared")
    assert agreed.error() == lost(
        agreed,
        "staging postgres.tenants",
        "staging.postgres.tenants",
        "this was 'shared' and is now 'spare': the churches would be served from empty databases\n    Write "
        "`tenants: shared` "
        "again: no edit moves databases between clusters.",
    )


def test_the_control_plane_is_not_moved_either(agreed: Workspace) -> None:
    renamed(agreed, tenants="shared", control_plane="spare")
    assert "the Control Plane would work with an empty database" in agreed.error()


def test_a_cluster_does_not_leave_with_its_lines(agreed: Workspace) -> None:
    renamed(agreed, tenants="shared", control_plane="shared")
    agreed.replace(STAGING, "  control_plane: shared", "  control_plane: spare")
    agreed.replace(
        ENVIRONMENTS_LOCK, "staging postgres.control_plane shared", "staging postgres.control_plane spare"
    )
    agreed.write(ENVIRONMENTS_LOCK, environments_lock(agreed.root, agreed.load()))
    text = agreed.text(STAGING)
    start, end = text.index("    spare:\n"), text.index("\nvalkey:\n")
    agreed.write(STAGING, text[:start] + text[end:])
    agreed.replace(STAGING, "  control_plane: spare", "  control_plane: shared")
    agreed.replace(
        ENVIRONMENTS_LOCK, "staging postgres.control_plane spare", "staging postgres.control_plane shared"
    )
    assert agreed.error() == lost(
        agreed,
        "staging clusters.spare",
        "staging.postgres.clusters.spare",
        "environment.yaml no longer has the cluster 'spare': every database in it would be lost\n    Put it "
        "back, under the "
        "same name. docs/tenants.md says how a cluster is given up.",
    )
    agreed.replace(ENVIRONMENTS_LOCK, "staging clusters.spare 17", "staging clusters.spare given-up")
    assert "staging clusters.spare given-up\n" in environments_lock(agreed.root, agreed.load())


def test_a_group_that_becomes_a_pool_is_warned_about(agreed: Workspace) -> None:
    agreed.replace(
        STAGING,
        "    size: s-2vcpu-2gb\n    replicas: 1",
        "    size: s-2vcpu-2gb\n    autoscale: {min: 1, max: 3, cpu: 0.6}",
    )
    warnings = [str(one) for one in agreed.load()[1].warnings if "worker" in str(one)]
    assert warnings == [
        f"environments/{STAGING}:{agreed.line(STAGING, '  worker:' + chr(10))}: groups.worker: the group changes from "
        "`replicas` to `autoscale`: its droplets are destroyed while the new ones are made, and nothing answers "
        "in between\n"
        "    Deploy this when nobody uses the environment, and expect some minutes without service."
    ]


def test_a_lock_of_tenants_that_is_missing_is_noticed(agreed: Workspace) -> None:
    for name in ("production", "staging"):
        (agreed.root / name / LOCK_FILE).unlink()
    assert agreed.error() == (
        "environments/production/tenants.lock: the lock is missing: without it, nothing shows which churches' "
        "data an edit "
        "would lose\n    Restore it from the main branch (git checkout).\n"
        "environments/staging/tenants.lock: the lock is missing: without it, nothing shows which churches' data "
        "an edit would "
        "lose\n    Restore it from the main branch (git checkout).\n\n"
        "2 problems in the environment files; nothing was written."
    )


@pytest.mark.parametrize(
    ("emptied", "message"),
    [
        (
            None,
            "the lock is missing: without it, nothing shows which environments and clusters an edit would lose",
        ),
        ("", "this file is empty: a lock has at least its heading"),
        ("\n \n", "this file is empty: a lock has at least its heading"),
        ("{}\n", "'{}' is not a valid line of this file"),
    ],
)
def test_a_lock_of_environments_that_is_emptied_agrees_to_nothing(
    agreed: Workspace, emptied: str | None, message: str
) -> None:
    if emptied is None:
        (agreed.root / ENVIRONMENTS_LOCK).unlink()
    else:
        agreed.write(ENVIRONMENTS_LOCK, emptied)
    line = ":1" if emptied == "{}\n" else ""
    assert (
        f"environments/{ENVIRONMENTS_LOCK}{line}: {message}\n    Restore the file from the main branch"
        in agreed.error()
    )


@pytest.mark.parametrize(
    "line", ["<<<<<<< HEAD", "staging", "staging region fra1 now", "staging region fra1"]
)
def test_a_line_of_the_lock_that_means_nothing_is_told(agreed: Workspace, line: str) -> None:
    agreed.write(ENVIRONMENTS_LOCK, agreed.text(ENVIRONMENTS_LOCK) + line + "\n")
    told = "this is listed twice" if line.endswith("fra1") else f"'{line}' is not a valid line of this file"
    assert f": {told}\n    Restore the file from the main branch (git checkout)" in agreed.error()


def test_without_a_lock_nothing_is_compared(both: Workspace) -> None:
    both.replace(STAGING, 'version: "17"', 'version: "16"')
    assert len(both.load()) == 2
