"""What is loaded from files that are right: values, order, warnings, scale."""

import uuid
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lab.fleet import tenant_id, write_fleet
from model.loader import Environment, load_environments
from model.ssh_keys import is_example, key_fault, key_material
from tests.model.workspace import STAGING, STAGING_TENANTS, Workspace
from tests.support import ENVIRONMENTS


def write_tenants(workspace: Workspace, ids: list[str]) -> None:
    entries = (f"  - id: {one}\n    slug: t{index}\n    name: T {index}\n" for index, one in enumerate(ids))
    workspace.write(STAGING_TENANTS, "tenants:\n" + "".join(entries))


def test_the_values_are_the_files(staging: Workspace) -> None:
    environment = staging.load()[0]
    file = environment.file
    assert (file.environment, file.region, file.base_domain) == ("staging", "fra1", "staging.presence360.app")
    assert str(file.network.ip_range) == "10.60.0.0/20"
    assert [str(cidr) for cidr in file.network.admin_cidrs] == ["198.51.100.7/32"]
    assert {name: group.services for name, group in file.groups.items()} == {
        "app": ("tenant-api", "web-tenant", "control-plane-api", "web-control-plane"),
        "worker": ("worker",),
    }
    assert file.postgres.clusters["shared"].version == "17"
    assert file.postgres.clusters["shared"].maintenance.hour == "02:00"
    assert (file.storage.snapshot_ttl_days, file.dns.apex, file.dns.delegations) == (30, True, ())
    assert [(tenant.slug, tenant.name) for tenant in environment.tenants] == [
        ("grace", "Grace Chapel"),
        ("hope", "Hope Assembly"),
        ("river", "River of Life Church"),
    ]


def test_what_may_be_left_out_is_off(staging: Workspace) -> None:
    staging.replace(STAGING, "dns:\n  apex: true\n", "")
    file = staging.load()[0].file
    assert (file.dns.apex, file.dns.delegations) == (False, ())
    assert all(group.autoscale is None and group.load_balancer is None for group in file.groups.values())


def test_what_is_loaded_cannot_be_changed(staging: Workspace) -> None:
    environment = staging.load()[0]
    with pytest.raises(ValidationError, match="frozen"):
        environment.file.region = "lon1"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        environment.tenants[0].slug = "other"  # type: ignore[misc]


def test_an_environment_may_have_no_tenants(staging: Workspace) -> None:
    staging.write(STAGING_TENANTS, "tenants: []\n")
    assert staging.load()[0].tenants == ()


def test_environments_are_sorted_and_other_files_are_no_environments(both: Workspace) -> None:
    (both.root / ".cache").mkdir()
    (both.root / "README.md").touch()
    assert [environment.file.environment for environment in both.load()] == ["production", "staging"]


def test_two_environments_may_have_tenants_alike(both: Workspace) -> None:
    """Each has clusters and a domain of its own."""
    both.write("production/tenants.yaml", both.text(STAGING_TENANTS))
    production, staging = both.load()
    assert production.tenants == staging.tenants


def test_the_order_of_tenants_changes_nothing_but_their_order(staging: Workspace) -> None:
    ids = [str(uuid.UUID(int=index, version=4)) for index in range(5)]
    write_tenants(staging, ids)
    before = staging.load()[0]
    text = staging.text(STAGING_TENANTS).removeprefix("tenants:\n")
    entries = [f"  - id{entry}" for entry in text.split("  - id")[1:]]
    assert len(entries) == 5
    staging.write(STAGING_TENANTS, "tenants:\n" + "".join(reversed(entries)))
    after = staging.load()[0]
    assert after.tenants == before.tenants[::-1]
    assert after.file == before.file
    assert after.warnings == before.warnings


def test_ten_thousand_tenants_in_cells_are_ten_thousand_tenants(tmp_path: Path) -> None:
    folder = write_fleet(ENVIRONMENTS, tmp_path / "environments", 10_000)
    tenants = next(
        loaded for loaded in load_environments(folder) if loaded.file.environment == "staging"
    ).tenants
    assert [tenant.id for tenant in tenants] == [tenant_id(number) for number in range(10_000)]
    assert len({tenant.slug for tenant in tenants}) == 10_000
    assert Counter(tenant.cell for tenant in tenants) == dict.fromkeys(
        (None, *(f"cell-{number}" for number in range(2, 41))), 250
    )


def test_one_mistake_among_ten_thousand_is_told_at_its_line(staging: Workspace) -> None:
    write_tenants(staging, [str(uuid.UUID(int=index << 64 | index, version=4)) for index in range(10_000)])
    staging.replace(STAGING_TENANTS, "slug: t7654\n", "slug: t0\n")
    assert (
        f"environments/{STAGING_TENANTS}:{2 + 7654 * 3 + 1}: tenants[7654].slug: tenants[0] (T 0) "
        in staging.error()
    )


# Warnings: what works and is surely not meant.


def warnings(environment: Environment) -> list[str]:
    """Return the warnings about values; that a whole key is missing is tests/model/test_migrations.py's."""
    return [str(warning) for warning in environment.warnings if warning.path != "migrations"]


def test_example_values_are_warned_about_at_their_lines(staging: Workspace) -> None:
    assert warnings(staging.load()[0]) == [
        f"environments/{STAGING}:{staging.line(STAGING, 'admin_cidrs')}: network.admin_cidrs[0]: 198.51.100.7/32 is "
        "an example address, so nobody can reach SSH\n"
        "    Replace it with your own address before the first deploy.",
        f"environments/{STAGING}:{staging.line(STAGING, '    ops:')}: network.ssh_keys.ops: this is an example key: "
        "nobody has its private half\n    Paste your own public key before the first deploy.",
    ]


# GitHub's documentation, "GitHub's SSH key fingerprints": real keys, and nobody's here.
REAL_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@example.org"


def test_real_values_are_not_warned_about(staging: Workspace) -> None:
    staging.replace(STAGING, "[198.51.100.7/32]", "[8.8.8.8/32]")
    key_line = staging.text(STAGING).split("    ops: ")[1].split("\n")[0]
    staging.replace(STAGING, key_line, f'"{REAL_KEY}"')
    assert warnings(staging.load()[0]) == []


def test_only_the_example_among_several_addresses_is_warned_about(staging: Workspace) -> None:
    staging.replace(STAGING, "[198.51.100.7/32]", "[8.8.8.8/32, '2001:db8::/64']")
    assert ["admin_cidrs[1]: 2001:db8::/64 is" in warning for warning in warnings(staging.load()[0])] == [
        True,
        False,
    ]


# Keys.


def test_a_real_key_is_a_key() -> None:
    assert key_fault(REAL_KEY) is None
    assert not is_example(REAL_KEY)
    assert key_material(REAL_KEY) == REAL_KEY.removesuffix(" me@example.org")


@given(cut=st.integers(1, len(key_material(REAL_KEY)) - len("ssh-ed25519 ") - 1))
def test_a_key_that_lost_its_end_anywhere_is_none(cut: int) -> None:
    assert key_fault(key_material(REAL_KEY)[:-cut])


def test_keys_of_other_types_are_keys() -> None:
    ecdsa = (
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrY"
        "MjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="
    )
    assert key_fault(ecdsa) is None
    assert key_fault(ecdsa[:-8]) == "the middle part ends too early or too late; the key was cut"
