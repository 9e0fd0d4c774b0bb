"""What a file asks of DigitalOcean's limits: an error where it cannot work, a warning where it nearly cannot."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.fleet import CONNECTIONS, SIZE, write_fleet
from model.capacity import REQUESTS_PER_HOUR, Use, room, uses
from model.errors import InvalidInputError
from model.layout import place
from model.loader import Environment, load_environments
from model.pool import pool_size
from model.requests import REQUESTS, requests_of_cell, requests_of_environment, requests_of_tenant
from model.sizes import connections, memory_gib
from model.tenant_plane import of_cell
from ops.summary import resource_counts
from tests.model.workspace import STAGING, STAGING_TENANTS, Workspace
from tests.support import ENVIRONMENTS, Stack, write_lives

SUPPORTED = """
    db-s-1vcpu-1gb 22, db-s-1vcpu-2gb 47, db-s-2vcpu-4gb 97, db-s-4vcpu-8gb 197, db-s-6vcpu-16gb 397,
    gd-8vcpu-32gb 797, gd-16vcpu-64gb 997, gd-40vcpu-160gb 997
"""


def use(environment: Environment, what: str) -> Use:
    (found,) = [one for one in uses(environment.file, environment.tenants) if one.what == what]
    return found


@pytest.mark.parametrize("row", SUPPORTED.split(","))
def test_connections_are_those_of_digitaloceans_table(row: str) -> None:
    size, available = row.split()
    assert connections(size) == int(available)


@given(st.integers(1, 500))
def test_a_larger_cluster_never_has_fewer_connections(memory: int) -> None:
    smaller, larger = f"gd-2vcpu-{memory}gb", f"gd-2vcpu-{memory + 1}gb"
    assert memory_gib(larger) == memory + 1
    assert connections(smaller) <= connections(larger) <= 997


def test_connections_are_pools_and_the_control_plane_and_what_goes_past_the_pools(staging: Workspace) -> None:
    found = use(staging.load()[0], "connections of the cluster shared")
    # Three tenants with a pool of one on each of two droplets; control_plane with 5; 9 that go past the pools.
    assert (found.used, found.limit, found.headroom) == (3 * 2 + 5 + 9, 47, 13)


def test_a_rotation_counts_twice_a_suspended_tenant_once_and_a_retired_one_not(staging: Workspace) -> None:
    staging.replace(
        STAGING_TENANTS, "slug: grace\n", "slug: grace\n    credentials: {generation: 2, keep: [1]}\n"
    )
    staging.replace(STAGING_TENANTS, "slug: hope\n", "slug: hope\n    status: suspended\n")
    staging.replace(STAGING_TENANTS, "slug: river\n", "slug: river\n    status: retired\n")
    assert use(staging.load()[0], "connections of the cluster shared").used == 4 + 2 + 0 + 5 + 9


def test_too_many_connections_are_refused_with_the_numbers_and_what_to_do(staging: Workspace) -> None:
    staging.replace(STAGING, "connections: 5\n", "connections: 15\n")
    line = staging.line(STAGING, "size: db-s-1vcpu-2gb")
    assert staging.error() == (
        f"environments/{STAGING}:{line}: postgres.clusters.shared.size: connections of the cluster shared: 54 "
        "needed, 47 available\n"
        "    Choose a larger size than db-s-1vcpu-2gb, lower `limits.connections`, raise `postgres.overcommit` with "
        "care, or add new tenants to another cell.\n\n"
        "1 problem in the environment files; nothing was written."
    )


def test_overcommit_divides_what_pools_ask_for_and_nothing_else(staging: Workspace) -> None:
    staging.replace(STAGING, "connections: 5\n", "connections: 15\n")
    staging.replace(STAGING, "  tenants: shared\n", "  tenants: shared\n  overcommit: 4\n")
    found = use(staging.load()[0], "connections of the cluster shared")
    # Pools of 5 on two droplets for three tenants, of which a quarter counts, rounded up.
    assert found.used == 8 + 15 + 9
    # Another tenant adds two and a half.
    assert found.headroom == 6


def test_what_rounding_adds_takes_no_room_from_another_tenant(staging: Workspace) -> None:
    """And so `tenant add`, which subtracts one, says what `capacity` says after it."""
    staging.replace(STAGING, "  tenants: shared\n", "  tenants: shared\n  overcommit: 4\n")
    before = use(staging.load()[0], "connections of the cluster shared")
    # Half a connection for each of three tenants: one and a half, of which two are shown.
    assert (before.used, before.headroom) == (2 + 5 + 9, 63)
    more = "  - {id: 99999999-9999-4999-8999-999999999999, slug: late, name: Late Church}\n"
    staging.write(STAGING_TENANTS, staging.text(STAGING_TENANTS) + more)
    after = use(staging.load()[0], "connections of the cluster shared")
    assert (after.used, after.headroom) == (2 + 5 + 9, 62)


def test_a_full_cell_fits_a_modest_cluster_that_is_overcommitted(tmp_path: Path) -> None:
    file = write_fleet(ENVIRONMENTS, tmp_path / "environments", 250) / STAGING
    text = file.read_text(encoding="utf-8").replace(SIZE, "db-s-4vcpu-8gb")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError, match=f"{250 * 2 + CONNECTIONS + 9} needed, 197 available"):
        load_environments(tmp_path / "environments")
    file.write_text(
        text.replace("  tenants: shared\n", "  tenants: shared\n  overcommit: 5\n"), encoding="utf-8"
    )
    staging = next(one for one in load_environments(tmp_path / "environments") if one.file.dns.apex)
    assert use(staging, "connections of the cluster shared").used == 250 * 2 // 5 + CONNECTIONS + 9


@pytest.mark.parametrize(
    ("connections", "droplets", "size"), [(10, 3, 3), (10, 10, 1), (1, 8, 1), (500, 1, 500)]
)
def test_droplets_divide_what_a_tenant_may_hold(connections: int, droplets: int, size: int) -> None:
    assert pool_size(connections, droplets) == size


@given(st.integers(1, 500), st.integers(1, 100))
def test_pools_together_never_exceed_what_postgres_lets_a_tenant_hold(
    connections: int, droplets: int
) -> None:
    """Where each droplet can have one at all; where it cannot, there is a warning."""
    assert pool_size(connections, droplets) * droplets <= max(connections, droplets)


def test_a_limit_that_leaves_a_droplet_without_a_connection_is_a_warning(staging: Workspace) -> None:
    staging.replace(STAGING, "connections: 5\n", "connections: 2\n")
    staging.replace(STAGING_TENANTS, "slug: hope\n", "slug: hope\n    limits: {connections: 1}\n")
    told = "\n".join(map(str, staging.load()[0].warnings))
    assert (
        "limits.connections: 2 connections, and while a group is replaced 3 droplets hold one each\n"
        "    Write at least 3, or have fewer droplets"
    ) in told
    assert "tenants[1].limits.connections: 1 connections, and while a group is replaced 3 droplets" in told


def test_from_80_percent_on_a_warning_says_so(staging: Workspace) -> None:
    quiet = staging.load()[0].warnings
    # 11 + 3 x 2 x 3 + 9 = 38 of 47 is 80 percent and not more; with 12 the pools have 4, and 45 are needed.
    staging.replace(STAGING, "connections: 5\n", "connections: 11\n")
    assert use(staging.load()[0], "connections of the cluster shared").used == 37 + 1
    staging.replace(STAGING, "connections: 11\n", "connections: 10\n")
    assert staging.load()[0].warnings == quiet
    staging.replace(STAGING, "connections: 10\n", "connections: 12\n")
    (more,) = set(map(str, staging.load()[0].warnings)) - set(map(str, quiet))
    assert "connections of the cluster shared: 45 of 47, 95 percent; room for 0 more tenants" in more


def test_a_tenants_own_cluster_is_judged_in_its_entry(staging: Workspace) -> None:
    own = '{size: db-s-1vcpu-1gb, nodes: 1, version: "17", maintenance: {day: monday, hour: "02:00"}}'
    staging.replace(
        STAGING_TENANTS,
        "slug: hope\n",
        f"slug: hope\n    tier: dedicated\n    dedicated: {own}\n    limits: {{connections: 30}}\n",
    )
    line = staging.line(STAGING_TENANTS, "dedicated: {")
    # Ten on each of two droplets, and 9 that go past the pools.
    assert (
        f"environments/{STAGING_TENANTS}:{line}: tenants[1].dedicated.size: connections of hope's own cluster: 29 "
        "needed, 22 available\n    Choose a larger size than db-s-1vcpu-1gb, lower `limits.connections`."
    ) in staging.error()


def test_the_ceiling_of_databases_can_be_raised(staging: Workspace) -> None:
    staging.replace(STAGING, "  tenants: shared\n", "  tenants: shared\n  databases_per_cluster: 3\n")
    assert "databases in the cluster shared: 4 needed, 3 available" in staging.error()
    staging.replace(STAGING, "databases_per_cluster: 3", "databases_per_cluster: 5")
    assert use(staging.load()[0], "databases in the cluster shared").headroom == 1


def test_what_is_wrong_with_one_environment_hides_no_shortage_of_another(both: Workspace) -> None:
    both.replace(STAGING, "connections: 5\n", "connections: 15\n")
    both.replace("production/tenants.yaml", "slug: zion\n", "slug: grace\n")
    error = both.error()
    assert "54 needed" in error
    assert "already has the slug 'grace'" in error


@pytest.mark.parametrize("tenants", [250, 251])
def test_a_full_cell_works_and_one_more_tenant_needs_another(tmp_path: Path, tenants: int) -> None:
    folder = write_fleet(ENVIRONMENTS, tmp_path / "environments", 250)
    file = folder / "staging/tenants.yaml"
    if tenants == 250:
        staging = next(one for one in load_environments(folder) if one.file.environment == "staging")
        assert use(staging, "tenants of staging").headroom == 0
        assert use(staging, "connections of the cluster shared").used <= 997
        return
    more = "  - {id: 99999999-9999-4999-8999-999999999999, slug: late, name: Late Church}\n"
    file.write_text(file.read_text(encoding="utf-8") + more, encoding="utf-8")
    with pytest.raises(InvalidInputError) as told:
        load_environments(folder)
    assert "tenants of staging: 251 needed, 250 available" in str(told.value)
    assert (
        "write `cell: cell-2` in the entries of new tenants. The other tenants stay where they are."
        in str(told.value)
    )


def test_the_forecast_of_requests_is_what_the_stacks_hold(
    tmp_path: Path, staging_lives: Stack, staging_cell_2: Stack
) -> None:
    """By another way: every resource of the synthesized stack, and what the provider asks for each."""
    (environment,) = load_environments(write_lives(tmp_path / "lives"))
    file, tenants = environment.file, environment.tenants
    placements = place(file.groups, apex=file.dns.apex)

    def counted(stack: Stack) -> int:
        # `make rehearse` counts a real plan's calls: docs/rehearsal.md.
        cost = {
            **REQUESTS,
            "database_valkey_config": 1,
            "terraform_data": 0,
            "spaces_bucket": 0,
            "spaces_bucket_object": 0,
            "spaces_bucket_cors_configuration": 0,
        }
        counts = Counter(resource_counts(stack.json))
        total = sum(cost[kind] * count for kind, count in counts.items())
        # Valkey's eviction policy is asked for apart; authorities and what is found by name are data sources.
        total += any(body["engine"] == "valkey" for body in stack.all("database_cluster").values())
        total += counts["database_postgresql_config"]
        found = {"digitalocean_vpc": 1, "digitalocean_project": 2, "digitalocean_tag": 1}
        return total + sum(found.get(kind, 0) * len(blocks) for kind, blocks in stack.json["data"].items())

    assert requests_of_environment(file, placements, of_cell(tenants, None)) == counted(staging_lives)
    assert requests_of_cell(file, placements, of_cell(tenants, "cell-2")) == counted(staging_cell_2)


def test_a_full_cell_stays_far_below_an_hours_requests(tmp_path: Path) -> None:
    folder = write_fleet(ENVIRONMENTS, tmp_path / "environments", 500)
    staging = next(one for one in load_environments(folder) if one.file.environment == "staging")
    found = use(staging, "API requests per hour, for one plan of staging-cell-2")
    assert 500 < found.used < 600 < REQUESTS_PER_HOUR
    assert sum(map(requests_of_tenant, of_cell(staging.tenants, "cell-2"))) == 500


def test_a_full_cell_leaves_the_room_of_the_others(tmp_path: Path) -> None:
    folder = write_fleet(ENVIRONMENTS, tmp_path / "environments", 251)
    staging = next(one for one in load_environments(folder) if one.file.environment == "staging")
    found = list(uses(staging.file, staging.tenants))
    assert use(staging, "tenants of staging").headroom == 0
    assert use(staging, "tenants of staging-cell-2").headroom == 249
    assert room(found) == 249


def test_a_cluster_of_the_control_planes_own_leaves_no_room_and_takes_none(staging: Workspace) -> None:
    before = room(uses(staging.load()[0].file, staging.load()[0].tenants))
    own = '{size: db-s-1vcpu-1gb, nodes: 1, version: "17", maintenance: {day: monday, hour: "04:00"}}'
    staging.replace(STAGING, "  control_plane: shared\n", "  control_plane: own\n")
    staging.replace(STAGING, "  clusters:\n", f"  clusters:\n    own: {own}\n")
    (environment,) = staging.load()
    assert use(environment, "connections of the cluster own").headroom is None
    # Its five connections are the tenants' now, who take two each.
    assert room(uses(environment.file, environment.tenants)) == before + 3


ACCOUNT = """
account:
  droplets: 10
  load_balancers: 1
  clusters: 10
  buckets: 11
  spaces_keys: 10
  volumes: 5
"""


def test_what_the_account_limits_is_what_the_stacks_make(
    tmp_path: Path, staging_lives: Stack, staging_cell_2: Stack
) -> None:
    """Droplets: one group of one replica is doubled while it is replaced. State's bucket and key are bootstrap's."""
    file = write_lives(tmp_path / "lives") / STAGING
    file.write_text(f"{file.read_text(encoding='utf-8')}{ACCOUNT}", encoding="utf-8")
    (environment,) = load_environments(tmp_path / "lives")
    made = resource_counts(staging_lives.json) + resource_counts(staging_cell_2.json)
    found = uses(environment.file, environment.tenants)
    assert {one.path[1]: one.used for one in found if one.path[0] == "account"} == {
        "droplets": made["droplet"] + 1,
        "load_balancers": made["loadbalancer"],
        "clusters": made["database_cluster"],
        "buckets": made["spaces_bucket"] + 1,
        "spaces_keys": made["spaces_key"] + 1,
        "volumes": made["volume"],
    }


def test_more_than_the_account_may_have_is_an_error_with_the_numbers(staging: Workspace) -> None:
    staging.write(STAGING, staging.text(STAGING) + ACCOUNT.replace("droplets: 10", "droplets: 2"))
    error = staging.error()
    assert (
        "account.droplets: droplets of the account while a group is replaced: 3 needed, 2 available" in error
    )
    assert "Ask DigitalOcean for more (control panel, Resource Limits)" in error
