"""What Terraform puts into a group's bucket is what the droplets' program takes."""

import json
import re
from collections.abc import Mapping

import pytest

from cloud_init.compose import render_compose
from cloud_init.nginx import render_nginx
from droplet.converge import objects as bucket
from droplet.converge.tenants import KEY
from model.droplets import DropletGroupPlan
from model.env_file import env_file
from model.loader import load_environments
from model.plan import plan_environment
from model.status import makes_release
from stacks.app import synthesize
from tests.cloud_init.conftest import GROUPS
from tests.support import ENVIRONMENTS


@pytest.mark.parametrize("name", GROUPS)
def test_every_service_of_a_group_has_an_image(plans: Mapping[str, DropletGroupPlan], name: str) -> None:
    plan = plans[name]
    images = bucket.check_release(json.dumps({"images": dict(plan.config.images)}).encode())
    assert set(images) == {service.name for service in plan.placement.services}
    compose = render_compose(plan)
    for service in plan.placement.services:
        assert f"${{{bucket.image_variable(service.name)}:?}}" in compose


@pytest.mark.parametrize("name", GROUPS)
def test_a_groups_settings_are_well_formed(plans: Mapping[str, DropletGroupPlan], name: str) -> None:
    bucket.check_env("settings.env", env_file(plans[name].config.settings).encode())


@pytest.mark.parametrize("name", GROUPS)
def test_objects_are_small(plans: Mapping[str, DropletGroupPlan], name: str) -> None:
    for text in (render_compose(plans[name]), render_nginx(plans[name])):
        assert len(text.encode()) < bucket.MAX_OBJECT_BYTES / 10


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """By bucket: the objects that Terraform would write, by key, with their content."""
    found: dict[str, dict[str, str]] = {}
    folder = tmp_path_factory.mktemp("contract")
    plans = [plan_environment(environment) for environment in load_environments(ENVIRONMENTS)]
    synthesize(plans, folder, local_state=True)
    for path in sorted((folder / "stacks").glob("*/cdk.tf.json")):
        stack = json.loads(path.read_text())
        for resource in stack["resource"].get("digitalocean_spaces_bucket_object", {}).values():
            if "for_each" in resource:
                continue  # a tenant's, in a bucket that services read
            bucket = f"{path.parent.name} {resource['bucket']}"
            content = resource["content"]
            if local := re.fullmatch(r"\$\{local\.(.+)\}", content):
                content = stack["locals"][local[1]]
            found.setdefault(bucket, {})[resource["key"]] = content
    return found


def test_a_bucket_has_the_objects_that_a_droplet_looks_for(objects: dict[str, dict[str, str]]) -> None:
    assert len(objects) == len(GROUPS)
    for names in objects.values():
        own = {bucket.secrets_of(service) for service in json.loads(names["release.json"])["images"]}
        assert set(names) >= {*bucket.REQUIRED, *own, "programs.json", "manifests/environment.json"}
        assert set(names) <= {
            *bucket.REQUIRED,
            *own,
            *bucket.OPTIONAL,
            "programs.json",
            KEY,
            "isolation/environment.json",
            "manifests/environment.json",
            "pool.json",
        }
        # The droplets and Terraform name a release after the same objects.
        assert [name for name in names if bucket.makes_release(name)] == [
            name for name in names if makes_release(name)
        ]


def test_the_groups_that_answer_to_tenants_names_know_them(objects: dict[str, dict[str, str]]) -> None:
    lists = {bucket.split("_")[2]: names[KEY] for bucket, names in objects.items() if KEY in names}
    assert set(lists) == {"bucket.config-app", "bucket.config-tenant"}
    for text in lists.values():
        assert "grace" in json.loads(text)["slugs"]


def test_a_release_is_what_a_droplet_reads(objects: dict[str, dict[str, str]]) -> None:
    for names in objects.values():
        assert bucket.check_release(names["release.json"].encode())
        bucket.check_env("settings.env", names["settings.env"].replace("$${", "${").encode())


def test_what_terraform_computes_has_the_form_that_a_droplet_reads(
    objects: dict[str, dict[str, str]],
) -> None:
    for names in objects.values():
        secrets = {name: text for name, text in names.items() if bucket.holds_secrets(name)}
        assert secrets
        for name, text in secrets.items():
            # With each expression replaced by a value without anything to escape.
            bucket.check_env(name, re.sub(r"\$\{.*?\}(?=\"\n)", "value", text).encode())
