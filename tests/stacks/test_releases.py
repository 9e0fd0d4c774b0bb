"""An edit of a release, a setting, a secret or a limit changes objects of its groups, and nothing else."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from model.loader import load_environments
from model.plan import plan_environment
from stacks.app import synthesize
from tests.support import ENVIRONMENTS

Edit = Callable[[dict[str, Any], dict[str, Any]], None]


def synthesized(folder: Path, edit: Edit | None = None) -> dict[str, dict[str, Any]]:
    """By stack: its JSON, of the operators' files as they are or with an edit of staging's."""
    files = folder / "environments"
    shutil.copytree(ENVIRONMENTS, files, ignore=shutil.ignore_patterns("*.lock"))
    if edit:
        paths = [files / "staging" / name for name in ("environment.yaml", "tenants.yaml")]
        contents = [yaml.safe_load(path.read_text()) for path in paths]
        edit(*contents)
        for path, content in zip(paths, contents, strict=True):
            path.write_text(yaml.safe_dump(content, sort_keys=False))
    plans = [plan_environment(environment) for environment in load_environments(files)]
    synthesize(plans, folder / "cdktf.out", local_state=True)
    return {
        path.parent.name: json.loads(path.read_text())
        for path in (folder / "cdktf.out" / "stacks").glob("*/cdk.tf.json")
    }


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return synthesized(tmp_path_factory.mktemp("unchanged"))


def differences(before: Any, after: Any, path: str = "") -> set[str]:
    """Where two documents differ, as paths to the innermost values."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = before.keys() | after.keys()
        return {
            difference
            for key in keys
            for difference in differences(before.get(key), after.get(key), f"{path}/{key}")
        }
    return set() if before == after else {path}


def changed(unchanged: dict[str, dict[str, Any]], folder: Path, edit: Edit) -> set[str]:
    """Whose content an edit changes, as `config-app/release-json`; nothing else may change."""
    found = differences(unchanged, synthesized(folder, edit))
    readable = set()
    for path in found:
        stack, section, kind, *rest = path.strip("/").split("/")
        assert stack == "staging", path
        if section == "locals":
            readable.add(re.sub(r"_([\w-]+)-content$", r"/\1", re.sub(r"_[0-9A-F]{8}$", "", kind)))
            continue
        assert (section, kind) == ("resource", "digitalocean_spaces_bucket_object"), path
        name, attribute = rest
        assert attribute in {"content", "etag"}, path
        construct = unchanged[stack][section][kind][name]["//"]["metadata"]["path"]
        readable.add(construct.removeprefix("staging/"))
    return readable


def with_manifests(*objects: str) -> set[str]:
    """The objects that an edit changes, and the manifests of their groups, which list their digests."""
    groups = {name.partition("/")[0] for name in objects if name.startswith("config-")}
    return {*objects, *(f"{group}/manifests-environment-json" for group in groups)}


def release(service: str, version: str) -> Edit:
    return lambda environment, _: environment["releases"].update({service: version})


@pytest.mark.parametrize(
    ("service", "group"), [("tenant-api", "app"), ("web-control-plane", "app"), ("worker", "worker")]
)
def test_a_release_changes_one_object_and_the_manifest_of_the_group_that_runs_it(
    unchanged: dict[str, dict[str, Any]], tmp_path: Path, service: str, group: str
) -> None:
    for number, version in enumerate(["1.4.3", "sha256:" + "ab" * 32]):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert changed(unchanged, folder, release(service, version)) == with_manifests(
            f"config-{group}/release-json"
        )


def test_a_setting_changes_one_object_of_each_group(
    unchanged: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    def edit(environment: dict[str, Any], _: dict[str, Any]) -> None:
        environment["settings"]["LOG_LEVEL"] = "warning"

    assert changed(unchanged, tmp_path, edit) == with_manifests(
        "config-app/settings-env", "config-worker/settings-env"
    )


def test_a_tenants_limit_changes_nginx_of_the_group_that_answers_to_it(
    unchanged: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    def edit(_: dict[str, Any], tenants: dict[str, Any]) -> None:
        tenants["tenants"][0]["limits"] = {"requests_per_second": 50}

    # The second is the map that the tenant's entry in the directory is made from.
    assert changed(unchanged, tmp_path, edit) == with_manifests(
        "config-app/nginx-conf", "tenant-plane_databases_tenants"
    )


def test_a_secrets_other_reader_changes_the_secrets_of_that_service_alone(
    unchanged: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    def edit(environment: dict[str, Any], _: dict[str, Any]) -> None:
        environment["secrets"]["MNOTIFY_API_KEY"].append("tenant-api")

    assert changed(unchanged, tmp_path, edit) == {"config-app/secrets-tenant-api-env"}
