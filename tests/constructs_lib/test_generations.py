"""Generations of churches' databases: where each stands, who is let in, and what the services are told."""

import json

from model.addresses import DEDICATED, RESTORED_DATABASES, RETIRED_GENERATIONS, TENANT_DATABASES
from model.tenancy import Guard
from tests.constructs_lib.test_dedicated_clusters import (
    FINISHED,
    GAVE_UP,
    LEFT_RESTORING,
    RESTORED,
    RESTORING,
    SWITCHED,
)
from tests.support import Stack


def test_each_generation_stands_under_its_key_and_is_protected_until_it_is_retired(
    staging_lives: Stack,
) -> None:
    first = staging_lives.keys("tenant-plane/databases/database")
    later = staging_lives.keys("tenant-plane/databases/restored")
    retired = staging_lives.keys("tenant-plane/databases/retired")
    assert {RESTORING, SWITCHED, GAVE_UP} <= first
    assert FINISHED not in first
    assert later == {f"{RESTORING}_r2", f"{SWITCHED}_r2", f"{FINISHED}_r3"}
    assert {f"{FINISHED}_r2", f"{GAVE_UP}_r2"} <= retired
    assert not (first | later) & retired
    block = staging_lives.at("tenant-plane/databases/restored")
    assert block["lifecycle"] == {"prevent_destroy": True}
    assert block["name"] == "tenant_${each.key}"
    assert "lifecycle" not in staging_lives.at("tenant-plane/databases/retired")


def test_in_a_cluster_of_its_own_a_generation_is_retired_and_the_cluster_is_not(staging_lives: Stack) -> None:
    assert RESTORED in staging_lives.keys("tenant-plane/dedicated/cluster")
    assert staging_lives.keys("tenant-plane/dedicated/restored") == {f"{RESTORED}_r2"}
    assert staging_lives.keys("tenant-plane/dedicated/retired") == {RESTORED}
    assert "lifecycle" not in staging_lives.at("tenant-plane/dedicated/retired")
    # Each is in its tenant's own cluster, whatever its key is.
    for name in ("restored", "retired"):
        block = staging_lives.at(f"tenant-plane/dedicated/{name}")
        assert block["cluster_id"].endswith("[each.value].id}")
        assert set(staging_lives.local(block["for_each"]).values()) == {RESTORED}


def test_a_church_that_leaves_takes_both_along_from_where_they_were_kept(staging_lives: Stack) -> None:
    assert staging_lives.keys("tenant-plane/retired-dedicated/restored") == {f"{LEFT_RESTORING}_r2"}
    assert LEFT_RESTORING in staging_lives.keys("tenant-plane/retired-dedicated/database")
    for key, first in ((LEFT_RESTORING, True), (f"{LEFT_RESTORING}_r2", False)):
        kept, retired = (DEDICATED[guard].databases(is_first=first) for guard in (Guard.KEPT, Guard.RETIRED))
        assert staging_lives.moved[kept.instance(key)] == retired.instance(key)
        assert staging_lives.moved[RETIRED_GENERATIONS.instance(key)] == kept.instance(key)


def test_users_are_those_of_the_generation_that_is_served(staging_lives: Stack) -> None:
    users = staging_lives.keys("tenant-plane/databases/user")
    for served in (RESTORING, f"{SWITCHED}_r2", f"{FINISHED}_r3", GAVE_UP):
        assert f"{served}_g1" in users
    for beside in (f"{RESTORING}_r2", SWITCHED, f"{FINISHED}_r2", f"{GAVE_UP}_r2"):
        assert f"{beside}_g1" not in users


def test_each_is_moved_where_it_belongs_and_no_two_end_at_one_address(staging_lives: Stack) -> None:
    moves = staging_lives.moved
    kept, retired = TENANT_DATABASES[Guard.KEPT], TENANT_DATABASES[Guard.RETIRED]
    assert moves[RESTORED_DATABASES.instance(f"{GAVE_UP}_r2")] == retired.instance(f"{GAVE_UP}_r2")
    assert moves[retired.instance(SWITCHED)] == kept.instance(SWITCHED)
    assert moves[retired.instance(f"{SWITCHED}_r2")] == RESTORED_DATABASES.instance(f"{SWITCHED}_r2")
    assert RETIRED_GENERATIONS.instance(RESTORED) in moves.values()
    assert len(set(moves.values())) == len(moves)


def test_the_isolation_job_limits_every_generation_alike(staging_lives: Stack) -> None:
    text = json.dumps(staging_lives.json)
    assert text.count(f"tenant_{RESTORING}_r2") > 0
    assert f'\\"tenant_{RESTORING}_r2\\": 6' in text or f'"tenant_{RESTORING}_r2": 6' in text
