"""What Terraform puts into a group's bucket is what the droplets' program takes."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from cloud_init.compose import render_compose
from cloud_init.nginx import render_nginx
from droplet.converge import objects as bucket
from droplet.converge.migrations import KEY as MIGRATIONS
from droplet.converge.migrations import images_of
from droplet.converge.paths import Paths
from droplet.converge.tenants import KEY
from droplet.migrate.board import Board, as_text
from droplet.migrate.obstacles import Obstacles
from droplet.migrate.run import REQUESTS
from droplet.migrate.telling import DETAILS_KEY as DETAILS
from droplet.migrate.wanted import Wanted, read_wanted
from model.droplets import DropletGroupPlan
from model.env_file import env_file
from model.loader import load_environments
from model.maintenance import MAINTENANCE_KEY
from model.migration_status import DETAILS_KEY, SUMMARY_KEY, State, parse_details, parse_summary, retry_key
from model.plan import plan_environment
from model.status import makes_release
from model.telemetry import TELEMETRY_KEY
from stacks.app import synthesize
from tests.cloud_init.conftest import GROUPS
from tests.droplet.machine import OBJECTS, with_manifest
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
            MAINTENANCE_KEY,
            "backups.json",
            "isolation/environment.json",
            "manifests/environment.json",
            "migrations.json",
            "dashboards.json",
            "observability.json",
            "observability-secrets.json",
            "pool.json",
            TELEMETRY_KEY,
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
        images = bucket.check_release(names["release.json"].encode())
        # The observability group may run no service.
        assert images or "observability.json" in names
        bucket.check_env("settings.env", names["settings.env"].replace("$${", "${").encode())


def test_what_terraform_computes_has_the_form_that_a_droplet_reads(
    objects: dict[str, dict[str, str]],
) -> None:
    for names in objects.values():
        secrets = {name: text for name, text in names.items() if bucket.holds_secrets(name)}
        assert secrets or "observability.json" in names
        for name, text in secrets.items():
            # With each expression replaced by a value without anything to escape.
            bucket.check_env(name, re.sub(r"\$\{.*?\}(?=\"\n)", "value", text).encode())


def test_droplets_read_what_terraform_says_of_migrations(
    objects: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    """Every group reads which images are waited for, and the control group how to migrate."""
    texts = {names["migrations.json"] for names in objects.values() if "migrations.json" in names}
    (text,) = texts
    service, image = "tenant-api", "registry.digitalocean.com/presence360/tenant-api:1.4.1"
    assert images_of(text.encode())[service] == image
    paths = Paths(state=tmp_path)
    bucket_of_droplet = {**OBJECTS, "migrations.json": text, "settings.env": env_file({"A": 'b "c" $d\\'})}
    for key, content in with_manifest(bucket_of_droplet).items():
        (paths.incoming / key).parent.mkdir(parents=True, exist_ok=True)
        (paths.incoming / key).write_text(content, encoding="utf-8")
    wanted = read_wanted(paths)
    assert wanted is not None
    job = wanted.jobs["tenants"]
    assert (job.image, job.command) == (image, ["alembic", "upgrade", "head"])
    assert job.variables == {
        "A": 'b "c" $d\\',
        "HOME": "/tmp",  # noqa: S108  in the container
        "PRESENCE360_SERVICE": "tenant-api",
        "PRESENCE360_JOB": "migrate-tenants",
    }
    assert (wanted.parallel, wanted.share, set(wanted.jobs)) == (4, 95, {"control_plane", "tenants"})


def test_operators_read_what_the_control_group_says() -> None:
    wanted = Wanted({}, "ab" * 32, {"tenant-api": "registry/tenant-api:1"}, (), 4, 100, None)

    def clock() -> float:
        return 1_800_000_000.0

    board = Board(wanted, "staging-app-1", clock, Obstacles(clock))
    board.known.set()
    said = parse_summary(as_text(board.summary()))
    assert (said.state, said.images, said.failed) == (State.DONE, {"tenant-api": "registry/tenant-api:1"}, ())
    assert parse_details(as_text(board.details())) == ()
    assert (SUMMARY_KEY, DETAILS, retry_key("a")) == (MIGRATIONS, DETAILS_KEY, f"{REQUESTS}a.json")
