"""What DigitalOcean sells: the lists, against its own document, and what is read out of a slug."""

import json
import os
from pathlib import Path

import pytest

from lab.local_digitalocean.catalogue import check_cluster_size, droplet_size
from lab.local_digitalocean.errors import ApiError
from model.sizes import connections
from model.sold import DROPLET_SIZES, POSTGRES_SIZES, SINGLE_NODE_SIZES, VALKEY_SIZES, cpus_and_memory_mib

DOCUMENT = os.environ.get("DIGITALOCEAN_OPENAPI")


@pytest.mark.skipif(not DOCUMENT, reason="DIGITALOCEAN_OPENAPI names no OpenAPI document")
@pytest.mark.parametrize(("engine", "sizes"), [("pg", POSTGRES_SIZES), ("valkey", VALKEY_SIZES)])
def test_the_lists_of_databases_are_those_of_digitaloceans_document(
    engine: str, sizes: frozenset[str]
) -> None:
    document = json.loads(Path(DOCUMENT or "").read_text(encoding="utf-8"))
    answer = document["paths"]["/v2/databases/options"]["get"]["responses"]["200"]
    layouts = answer["content"]["application/json"]["example"]["options"][engine]["layouts"]
    by_nodes = {layout["num_nodes"]: set(layout["sizes"]) for layout in layouts}
    assert by_nodes == {1: sizes, 2: sizes - SINGLE_NODE_SIZES, 3: sizes - SINGLE_NODE_SIZES}


@pytest.mark.parametrize(
    ("size", "cpus", "mib"),
    [
        ("s-1vcpu-512mb-10gb", 1, 512),
        ("s-2vcpu-4gb", 2, 4096),
        ("s-2vcpu-8gb-160gb-intel", 2, 8192),
        ("c-2", 2, 4096),
        ("c-60-intel", 60, 122_880),
        ("so1_5-32vcpu-256gb", 32, 262_144),
        ("db-amd-1vcpu-2gb", 1, 2048),
    ],
)
def test_a_slug_says_what_a_size_holds(size: str, cpus: int, mib: int) -> None:
    assert size in DROPLET_SIZES | POSTGRES_SIZES
    assert cpus_and_memory_mib(size) == (cpus, mib)


def test_every_size_that_is_listed_says_what_it_holds() -> None:
    assert all(cpus_and_memory_mib(size) for size in DROPLET_SIZES | POSTGRES_SIZES | VALKEY_SIZES)
    assert all(connections(size) > 0 for size in POSTGRES_SIZES)


def test_a_size_that_is_spelled_in_a_new_way_says_nothing() -> None:
    assert cpus_and_memory_mib("x9-large") is None


def test_the_local_digitalocean_sells_the_same() -> None:
    for size in DROPLET_SIZES:
        cpus, mib = cpus_and_memory_mib(size) or (0, 0)
        sold = droplet_size(size)
        assert (sold["vcpus"], sold["memory"]) == (cpus, mib)
    for wrong in ("s-3vcpu-4gb", "db-s-1vcpu-1gb", "gpu-h100x1-80gb"):
        with pytest.raises(ApiError):
            droplet_size(wrong)
    for engine, sizes in (("pg", POSTGRES_SIZES), ("valkey", VALKEY_SIZES)):
        for size in sizes:
            check_cluster_size(engine, size, 1)
    for engine, size, nodes in (
        ("pg", "m-2vcpu-16gb", 1),
        ("pg", "db-s-8vcpu-32gb", 1),
        ("valkey", "gd-2vcpu-8gb", 1),
        ("valkey", "db-amd-1vcpu-2gb", 1),
        ("pg", "db-s-1vcpu-1gb", 2),
        ("valkey", "db-s-1vcpu-1gb", 3),
    ):
        with pytest.raises(ApiError):
            check_cluster_size(engine, size, nodes)
