"""Staging and production compared: what a key explains is explained by it, and nothing else is."""

import copy
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.loader import Environment, load_environments
from ops.edits import by_name
from ops.parity import report
from ops.parity.compare import BY_NAME, Parity, attribute, changed, leaves, of_the_name
from ops.parity.derived import derived_words, without_derived
from ops.parity.run import compare
from ops.parity.steps import NAME, Step, content, named, steps
from ops.summary import read
from stacks.variants import IMPOSSIBLE, synthesize_variants
from tests.support import ENVIRONMENTS

Json = dict[str, Any]


def test_the_steps_lead_from_one_file_to_the_other() -> None:
    both = by_name(load_environments(ENVIRONMENTS))
    first, second = (named(content(both[name]), NAME) for name in ("staging", "production"))
    way = list(steps(first, second))
    assert way[-1][1] == second
    keys = [step.key for step, _ in way]
    assert len(set(keys)) == len(keys) > 20
    assert "groups, observability.group" in keys
    assert "environment" not in keys
    found = {step.key: (step.first, step.second) for step, _ in way}
    assert found["postgres.clusters.shared.size"] == ("db-s-1vcpu-2gb", "db-s-4vcpu-8gb")
    assert found["tenants.yaml"] == ("3 churches", "4 churches")


def test_values_are_shown_as_the_files_write_them() -> None:
    first = {"environment": {"environment": NAME, "on": True, "off": False, "list": [True, 1]}, "tenants": {}}
    second = {"environment": {"environment": NAME, "on": False, "off": True, "list": [False]}, "tenants": {}}
    assert [(step.key, step.first, step.second) for step, _ in steps(first, second)] == [
        ("list", "[true, 1]", "[false]"),
        ("off", "false", "true"),
        ("on", "true", "false"),
    ]


def test_a_place_is_explained_by_each_key_that_changes_it() -> None:
    size, nodes = Step("size", "small", "large"), Step("nodes", "1", "2")
    begin = leaves({"": {"cluster": {"size": "small", "nodes": "1", "total": "small 1"}}})
    middle = leaves({"": {"cluster": {"size": "large", "nodes": "1", "total": "large 1"}}})
    end = leaves({"": {"cluster": {"size": "large", "nodes": "2", "total": "large 2"}}})
    explained = {
        one.step.key: [difference.where for difference in one.differences]
        for one in attribute([(None, begin), (size, middle), (nodes, end)])
    }
    assert explained == {
        "size": ["cluster.size", "cluster.total"],
        "nodes": ["cluster.nodes", "cluster.total"],
    }
    assert len(changed(begin, end)) == 3


@pytest.fixture(scope="module")
def both() -> dict[str, Environment]:
    """Staging and production, and a preview: staging with another time for snapshots and a second Valkey node."""
    found = by_name(load_environments(ENVIRONMENTS))
    file = found["staging"].file
    other = {
        "environment": "preview",
        "storage": file.storage.model_copy(update={"snapshot_ttl_days": 31}),
        "valkey": file.valkey.model_copy(update={"nodes": 2}),
    }
    return found | {"preview": replace(found["staging"], file=file.model_copy(update=other))}


@pytest.fixture(scope="module")
def variants(both: dict[str, Environment], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Preview as it is, and production under the name that comparisons use."""
    folder = tmp_path_factory.mktemp("variants")
    for name, whole in (
        ("preview", content(both["preview"])),
        ("twin", named(content(both["production"]), NAME)),
        ("impossible", {**content(both["preview"]), "tenants": {"tenants": [{"slug": "x"}]}}),
    ):
        (folder / f"{name}.json").write_text(json.dumps(whole), encoding="utf-8")
    synthesize_variants(folder, folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def stacks(synthesized: Path, variants: Path) -> dict[str, Json]:
    found: Json = {**read(synthesized), **read(variants / "preview")}
    return found


@pytest.fixture(scope="module")
def twin(variants: Path) -> Json:
    return {"": read(variants / "twin")[NAME]}


@pytest.mark.slow
def test_every_difference_is_explained_by_its_key(
    both: dict[str, Environment], stacks: dict[str, Json]
) -> None:
    found = compare(both["staging"], both["preview"], stacks)
    assert found.holds
    said = {one.step.key: [difference.where for difference in one.differences] for one in found.explained}
    assert said.keys() == {"storage.snapshot_ttl_days", "valkey.nodes"}
    (lifecycle,) = said["storage.snapshot_ttl_days"]
    assert lifecycle.startswith("digitalocean_spaces_bucket.data_exports_")
    assert said["valkey.nodes"] == ["digitalocean_database_cluster.data_valkey_cluster_2B360DBA.node_count"]
    lines = list(report.lines(found, every=True))
    assert lines[-1] == "staging and preview: their files explain every difference"
    assert "    digitalocean_database_cluster.data_valkey_cluster_2B360DBA.node_count: 1 | 2" in lines
    assert report.as_json(found)["explained"][1]["preview"] == "2"


def test_a_variant_that_cannot_be_says_why(variants: Path) -> None:
    assert "Field required" in (variants / "impossible" / IMPOSSIBLE).read_text(encoding="utf-8")
    assert not (variants / "impossible" / "manifest.json").exists()


def resource(stack: Json, kind: str, part: str) -> Json:
    (found,) = (
        body for address, body in stack["resource"][f"digitalocean_{kind}"].items() if part in address
    )
    only: Json = found
    return only


def makes_something_more(stack: Json) -> None:
    stack["resource"]["digitalocean_monitor_alert"]["more"] = {"type": "v1/insights/droplet/cpu"}


def leaves_something_out(stack: Json) -> None:
    alerts = stack["resource"]["digitalocean_monitor_alert"]
    del alerts[next(iter(alerts))]


def sets_a_limit(stack: Json) -> None:
    resource(stack, "loadbalancer", "tenant")["http_idle_timeout_seconds"] = 600


def opens_a_port(stack: Json) -> None:
    rule = {"protocol": "tcp", "port_range": "8080", "source_addresses": ["0.0.0.0/0"]}
    resource(stack, "firewall", "group-worker")["inbound_rule"].append(rule)


def writes_another_text(stack: Json) -> None:
    (name,) = (name for name in stack["locals"] if name.startswith("group-worker_user-data"))
    stack["locals"][name] = stack["locals"][name].replace("apt", "dnf", 1)


def raises_a_limit(stack: Json) -> None:
    config = resource(stack, "database_postgresql_config", "postgres-shared")
    config["temp_file_limit"] = 104_857_600


def takes_another_snapshot(stack: Json) -> None:
    for number, droplet in enumerate(stack["resource"]["digitalocean_droplet"].values()):
        droplet["image"] = str(1_234_567 + number)


def forges_an_etag(stack: Json) -> None:
    resource(stack, "spaces_bucket_object", "config-tenant_compose-yaml")["etag"] = "0f" * 16


def forges_a_digest(stack: Json) -> None:
    (name,) = (one for one in stack["locals"] if one.startswith("config-tenant_manifests-environment"))
    found = re.search("[0-9a-f]{64}", stack["locals"][name])
    assert found
    stack["locals"][name] = stack["locals"][name].replace(found[0], "0f" * 32)


@pytest.mark.parametrize(
    ("mutate", "where"),
    [
        (raises_a_limit, ".temp_file_limit"),
        (takes_another_snapshot, ".image"),
        (forges_an_etag, ".etag"),
        (forges_a_digest, "config-tenant_manifests-environment"),
        (makes_something_more, "digitalocean_monitor_alert.more.type"),
        (leaves_something_out, "digitalocean_monitor_alert."),
        (sets_a_limit, ".http_idle_timeout_seconds"),
        (opens_a_port, "inbound_rule.2.port_range"),
        (writes_another_text, "locals.group-worker_user-data"),
    ],
)
def test_what_no_file_explains_is_found(
    mutate: Callable[[Json], None], where: str, stacks: dict[str, Json], twin: Json
) -> None:
    assert of_the_name({"": stacks["production"]}, twin, "production") == ()
    changed_stack = copy.deepcopy(stacks["production"])
    mutate(changed_stack)
    found = of_the_name({"": changed_stack}, twin, "production")
    assert any(where in one.where for one in found), [str(one) for one in found]
    parity = Parity("staging", "production", (), {"staging": (), "production": found})
    assert not parity.holds
    told = list(report.findings(parity))
    assert told[0].startswith("production: ")
    assert "under another name they would be" in told[0]
    assert told[-1].startswith("What differs has to follow from a key of environment.yaml")


def test_numbers_and_digests_of_images_are_compared(stacks: dict[str, Json], twin: Json) -> None:
    """Both have a snapshot, a limit or a pinned image, and not the same."""
    for before, ours, theirs in (
        ('"debian-13-x64"', '"1234567"', '"7654321"'),
        ('"temp_file_limit": 5242880', '"temp_file_limit": 5242881', '"temp_file_limit": 104857600'),
        ("tenant-api:1.4.1", f"tenant-api@sha256:{'0f' * 32}", f"tenant-api@sha256:{'1e' * 32}"),
    ):
        pair = [json.dumps(one) for one in (stacks["production"], twin[""])]
        assert all(text.count(before) for text in pair)
        actual, other = (
            json.loads(text.replace(before, after)) for text, after in zip(pair, (ours, theirs), strict=True)
        )
        assert of_the_name({"": actual}, {"": other}, "production") != (), before


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_words_that_follow_from_what_is_compared() -> None:
    objects = {"release.json": digest("release"), "other": digest("other")}
    release = digest(f"release.json {digest('release')}\n")[:16]
    place = ("", "resource", "digitalocean_droplet", "app")
    words = derived_words(
        {
            ("", "locals", "text"): "$${HOME}",
            ("", "locals", "programs"): json.dumps({"files": {"a": ["inside"]}}),
            ("", "locals", "manifest"): json.dumps({"objects": objects, "release": release}),
            (*place, "id"): "512345678",
            (*place, "image"): "7654321",
        }
    )
    known = hashlib.md5(b"${HOME}", usedforsecurity=False).hexdigest()
    for word in (known, digest("inside"), digest("inside")[:16], release, "512345678"):
        assert without_derived(("x",), f"a {word}:", words) == "a #:"
    for word in (digest("elsewhere"), digest("inside")[:20], "7654321", "104857600"):
        assert without_derived(("x",), f"a {word}:", words) == f"a {word}:"
    assert without_derived((*place, "name"), "app-1-3fa9c2", words) == "app-1-#"
    assert without_derived((*place, "size"), "app-1-3fa9c2", words) == "app-1-3fa9c2"


def test_what_may_follow_from_the_name_has_a_reason_and_is_used(stacks: dict[str, Json]) -> None:
    assert all(len(reason) > 40 for reason in BY_NAME.values())
    assert list(BY_NAME) == ["digitalocean_project.*.environment"]
    words = {
        name: resource(stacks[name], "project", "project")["environment"]
        for name in ("staging", "production")
    }
    assert words == {"staging": "Staging", "production": "Production"}
