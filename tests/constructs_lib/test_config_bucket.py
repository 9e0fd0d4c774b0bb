"""The bucket through which a group's configuration travels: as Terraform gets it, as a droplet finds it."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from model.loader import load_environments
from model.plan import plan_environment
from model.service_variables import PLATFORM_VARIABLES
from model.status import RELEASE_OBJECTS, makes_release, parse_manifest
from stacks.app import synthesize
from tests.support import ENVIRONMENTS

ROOT = Path(__file__).parents[2]
GROUPS = {"staging": ("app", "worker"), "production": ("control", "observability", "tenant", "worker")}
SERVICES = {
    "app": ("tenant-api", "web-tenant", "control-plane-api", "web-control-plane"),
    "worker": ("worker",),
}
# As nasty as an operator's password manager can make it.
SECRET = "it's \"$HOME\" \\ ${x} %{y} #\t'"


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outdir = tmp_path_factory.mktemp("cdktf.out")
    plans = [plan_environment(environment) for environment in load_environments(ENVIRONMENTS)]
    synthesize(plans, outdir, local_state=True)
    return outdir / "stacks"


@pytest.fixture(scope="module")
def staging(stacks: Path) -> dict[str, Any]:
    return read(stacks / "staging")


def read(stack: Path) -> dict[str, Any]:
    return dict(json.loads((stack / "cdk.tf.json").read_text()))


def of_group(stack: dict[str, Any], kind: str, group: str) -> list[dict[str, Any]]:
    return [
        body
        for body in stack["resource"][kind].values()
        if body["//"]["metadata"]["path"].split("/")[1] in {f"config-{group}", f"group-{group}"}
    ]


def objects(stack: dict[str, Any], group: str) -> dict[str, dict[str, Any]]:
    """A group's objects by key, each with what its content comes to in the JSON."""
    found = {}
    for body in of_group(stack, "digitalocean_spaces_bucket_object", group):
        local = re.fullmatch(r"\$\{local\.([\w-]+)\}", body["content"])
        found[body["key"]] = {**body, "content": stack["locals"][local[1]] if local else body["content"]}
    return found


def assert_forgets_after_a_day(rule: dict[str, Any], prefix: str) -> None:
    """Commands and their output: who asked for them has read them by then."""
    assert (rule["enabled"], rule["prefix"]) == (True, prefix)
    assert rule["expiration"] == rule["noncurrent_version_expiration"] == {"days": 1}


@pytest.mark.parametrize("environment", GROUPS)
def test_each_group_has_one_private_versioned_bucket_that_cleans_up(stacks: Path, environment: str) -> None:
    stack = read(stacks / environment)
    for group in GROUPS[environment]:
        (bucket,) = of_group(stack, "digitalocean_spaces_bucket", group)
        assert bucket["name"] == f"presence360-{environment}-config-{group}"
        assert bucket["region"] == "fra1"
        assert bucket["acl"] == "private"
        assert bucket["versioning"] == {"enabled": True}
        assert bucket["force_destroy"] is False
        assert bucket["lifecycle"] == {"prevent_destroy": True}
        rule, requests = bucket["lifecycle_rule"]
        assert rule["enabled"] is True
        assert "prefix" not in rule
        assert rule["noncurrent_version_expiration"] == {"days": 30}
        assert rule["abort_incomplete_multipart_upload_days"] == 1
        # An expiry of current objects would end the configuration itself.
        assert "expiration" not in rule
        assert_forgets_after_a_day(requests, "requests/")


@pytest.mark.parametrize("environment", GROUPS)
def test_its_key_writes_its_own_status_bucket_alone_and_reads_the_control_groups(
    stacks: Path, environment: str
) -> None:
    stack = read(stacks / environment)
    control = {"staging": "app", "production": "control"}[environment]
    for group in GROUPS[environment]:
        (key,) = of_group(stack, "digitalocean_spaces_key", group)
        grants = [(named(stack, grant["bucket"]), grant["permission"]) for grant in key["grant"]]
        own = f"presence360-{environment}-status-{group}"
        wanted = [(f"presence360-{environment}-config-{group}", "read"), (own, "readwrite")]
        if group != control:
            wanted.append((f"presence360-{environment}-status-{control}", "read"))
        # Where the receiver of telemetry says how it is reached. And production's control group answers, at a public
        # name, whether alerts arrive.
        if environment == "production" and group != "observability":
            wanted.append((f"presence360-{environment}-status-observability", "read"))
        # Its droplets have pools, which log in as the tenants do.
        if (environment, group) not in {("production", "control"), ("production", "observability")}:
            wanted.append((f"presence360-{environment}-tenant-credentials", "read"))
        assert grants == wanted


def named(stack: dict[str, Any], reference: str) -> str:
    """Return the name of the bucket that a grant refers to, so that the key comes after it."""
    found = re.fullmatch(r"\$\{digitalocean_spaces_bucket\.([\w-]+)\.name\}", reference)
    assert found
    return str(stack["resource"]["digitalocean_spaces_bucket"][found[1]]["name"])


@pytest.mark.parametrize("environment", GROUPS)
def test_each_group_has_a_status_bucket_that_forgets(stacks: Path, environment: str) -> None:
    stack = read(stacks / environment)
    found = {
        body["name"]: body
        for body in stack["resource"]["digitalocean_spaces_bucket"].values()
        if "-status-" in body["name"]
    }
    assert set(found) == {f"presence360-{environment}-status-{group}" for group in GROUPS[environment]}
    assigned = json.dumps(stack["resource"]["digitalocean_project_resources"])
    for bucket in found.values():
        assert (bucket["region"], bucket["acl"]) == ("fra1", "private")
        assert bucket["versioning"] == {"enabled": True}
        assert bucket["lifecycle"] == {"prevent_destroy": True}
        rule, runs = bucket["lifecycle_rule"]
        assert (rule["enabled"], rule["expiration"]) == (True, {"days": 3})
        assert rule["noncurrent_version_expiration"] == {"days": 1}
        assert_forgets_after_a_day(runs, "runs/")
    for address in stack["resource"]["digitalocean_spaces_bucket"]:
        assert f"digitalocean_spaces_bucket.{address}.urn" in assigned


def test_a_groups_objects_are_private_and_in_its_own_bucket(staging: dict[str, Any]) -> None:
    for group in GROUPS["staging"]:
        found = objects(staging, group)
        assert set(found) == {
            "ca.pem", "compose.yaml", "nginx.conf", "programs.json", "registry.json", "release.json", "settings.env",
            "maintenance.json", "manifests/environment.json", "pool.json", "telemetry.json",
            *(f"secrets.{service}.env" for service in SERVICES[group]),
            # Where the control plane's API runs, the isolation job does (droplet/isolation).
            # Tenants' host names reach the same group here.
            *(("isolation/environment.json", "tenants.json") if group == "app" else ()),
            # It keeps the metrics, too.
            *(("observability.json", "observability-secrets.json") if group == "app" else ()),
        }  # fmt: skip
        for body in found.values():
            assert body["acl"] == "private"
            assert body["region"] == "fra1"
            assert f"digitalocean_spaces_bucket.config-{group}_bucket_" in body["bucket"]


def test_a_droplet_is_born_with_its_own_groups_key_and_after_its_configuration(
    staging: dict[str, Any],
) -> None:
    for group in GROUPS["staging"]:
        (droplet,) = of_group(staging, "digitalocean_droplet", group)
        # Whatever else the user data holds of `${` is escaped.
        user_data = staging["locals"][droplet["user_data"].removeprefix("${local.").removesuffix("}")]
        references = set(re.findall(r"(?<!\$)\$\{([^}]*)\}", user_data))
        assert {reference.split(".")[0] for reference in references} == {"digitalocean_spaces_key"}
        assert {reference.split(".")[1].split("_")[0] for reference in references} == {f"config-{group}"}
        assert {reference.rsplit(".", 1)[1] for reference in references} == {"access_key", "secret_key"}
        wanted = {f"config-{group}_{name.translate({46: '-', 47: '-'})}" for name in objects(staging, group)}
        assert wanted <= {re.sub(r"_[0-9A-F]{8}$", "", name.split(".")[1]) for name in droplet["depends_on"]}


def test_user_data_with_marks_of_a_template_arrives_as_it_was_rendered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from cloud_init.user_data import render_user_data  # noqa: PLC0415

    monkeypatch.setattr(
        "constructs_lib.droplet_group.render_user_data",
        lambda *args: render_user_data(*args) + "# ${HOME} %{http_code}\n",
    )
    plans = [plan_environment(environment) for environment in load_environments(ENVIRONMENTS)]
    synthesize(plans, tmp_path, local_state=True)
    stack = read(tmp_path / "stacks" / "staging")
    for droplet in stack["resource"]["digitalocean_droplet"].values():
        user_data = stack["locals"][droplet["user_data"].removeprefix("${local.").removesuffix("}")]
        assert "# $${HOME} %%{http_code}\n" in user_data


def test_a_plan_sees_what_was_changed_by_hand(staging: dict[str, Any], computed: dict[str, str]) -> None:
    for group in GROUPS["staging"]:
        for body in of_group(staging, "digitalocean_spaces_bucket_object", group):
            if body["content"].startswith("${local."):
                assert body["etag"] == body["content"].replace("${", "${md5(").replace("}", ")}")
            else:
                content = computed[f"{group}/{body['key']}"]
                assert body["etag"] == hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()


def test_secrets_come_from_sensitive_variables_without_a_default(staging: dict[str, Any]) -> None:
    names = {
        "staging_mnotify_api_key",
        "staging_observability_token",
        "staging_registry_token",
        "staging_rekognition_access_key_id",
        "staging_rekognition_secret_access_key",
        "staging_session_signing_key",
    }
    assert set(staging["variable"]) == names
    for variable in staging["variable"].values():
        assert variable["sensitive"] is True
        assert variable["nullable"] is False
        assert variable["type"] == "string"
        assert "default" not in variable


@pytest.mark.parametrize("environment", GROUPS)
def test_a_service_gets_its_own_secrets_and_no_others(stacks: Path, environment: str) -> None:
    stack = read(stacks / environment)
    found, asked = {}, {}
    for group in GROUPS[environment]:
        for key, body in objects(stack, group).items():
            asked[key] = set(re.findall(rf"\bvar\.{environment}_(\w+)", body["content"]))
            if key.startswith("secrets."):
                names = re.findall(r"^([A-Z_0-9]+)=", body["content"], re.MULTILINE)
                found[key.split(".")[1]] = names
                # What no operator named is the platform's, so that none may set it.
                assert set(names) - {name.upper() for name in asked[key]} <= PLATFORM_VARIABLES

    def bucket(name: str) -> list[str]:
        return [f"{name}_{part}" for part in ("ACCESS_KEY_ID", "BUCKET", "ENDPOINT", "SECRET_ACCESS_KEY")]

    tenants, directory = bucket("TENANT_CREDENTIALS"), bucket("TENANT_REGISTRY")
    exports = ["EXPORTS_ACCESS_KEY_ID", "EXPORTS_SECRET_ACCESS_KEY"]
    # The control plane does not know the tenants' passwords, nor the tenant plane the control plane's database: where
    # they share droplets, as in staging, and where they do not.
    assert found == {
        "tenant-api": [*exports, "SESSION_SIGNING_KEY", *tenants, "VALKEY_URL"],
        "worker": [
            *exports, "MNOTIFY_API_KEY", "REKOGNITION_ACCESS_KEY_ID", "REKOGNITION_SECRET_ACCESS_KEY", *tenants,
            "VALKEY_URL",
        ],
        "control-plane-api": ["CONTROL_PLANE_DATABASE_URL", "SESSION_SIGNING_KEY", *directory, "VALKEY_URL"],
        "web-tenant": [],
        "web-control-plane": [],
    }  # fmt: skip
    # An operator's secret is in no other object than the files of the services that it names.
    alerting = {"staging": set(), "production": {"alert_email_password", "alert_slack_url"}}[environment]
    assert {key: names for key, names in asked.items() if names} == {
        "registry.json": {"registry_token"},
        # What keeps the metrics and sends the alerts reads it, and root.
        "observability-secrets.json": {"observability_token", *alerting},
        "secrets.tenant-api.env": {"session_signing_key"},
        "secrets.control-plane-api.env": {"session_signing_key"},
        "secrets.worker.env": {
            "mnotify_api_key",
            "rekognition_access_key_id",
            "rekognition_secret_access_key",
        },
    }


def test_release_and_settings_are_what_the_operators_wrote(staging: dict[str, Any]) -> None:
    assert json.loads(objects(staging, "worker")["release.json"]["content"]) == {
        "images": {"worker": "registry.digitalocean.com/presence360/worker:1.4.2"}
    }
    assert objects(staging, "worker")["settings.env"]["content"].splitlines()[1:] == [
        'LOG_LEVEL="debug"',
        'PRESENCE360_BASE_DOMAIN="staging.presence360.app"',
        'PRESENCE360_ENVIRONMENT="staging"',
    ]


def test_no_image_is_in_what_a_release_must_not_change(staging: dict[str, Any]) -> None:
    for group in GROUPS["staging"]:
        others = {
            key: body["content"] for key, body in objects(staging, group).items() if key != "release.json"
        }
        (droplet,) = of_group(staging, "digitalocean_droplet", group)
        assert "1.4.2" not in droplet["user_data"] + "".join(others.values())
        assert "$${WORKER_IMAGE:?}" in objects(staging, "worker")["compose.yaml"]["content"]


def test_a_replaced_droplet_does_not_share_its_successors_name(staging: dict[str, Any], stacks: Path) -> None:
    def names(stack: dict[str, Any], group: str) -> list[str]:
        return sorted(body["name"] for body in of_group(stack, "digitalocean_droplet", group))

    (name,) = names(staging, "app")
    assert re.fullmatch(r"staging-app-1-[0-9a-f]{6}", name)
    environments = load_environments(ENVIRONMENTS)
    plan = plan_environment(next(one for one in environments if one.file.environment == "staging"))
    # Another base domain is another nginx.conf at first boot, so other user data, so another droplet.
    moved = [
        type(group)(**{**vars(group), "vpc_range": "10.61.0.0/20"}) if group.group == "app" else group
        for group in plan.groups
    ]
    outdir = stacks.parent / "moved"
    synthesize([type(plan)(**{**vars(plan), "groups": tuple(moved)})], outdir, local_state=True)
    other = read(outdir / "stacks" / "staging")
    assert names(other, "app") != names(staging, "app")
    assert names(other, "worker") == names(staging, "worker")


@pytest.fixture(scope="module")
def computed(staging: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The contents of staging's objects as Terraform computes them from values in the resources' places."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not on the PATH")
    folder = tmp_path_factory.mktemp("terraform")
    contents = {
        f"{group}/{key}": body["content"]
        for group in GROUPS["staging"]
        for key, body in objects(staging, group).items()
    }
    given = {
        ("digitalocean_database_cluster", "private_host"): "private-db.example.org",
        ("digitalocean_database_cluster", "port"): 25060,
        ("digitalocean_database_cluster", "user"): "default",
        ("digitalocean_database_cluster", "database"): "defaultdb",
        ("digitalocean_spaces_key", "access_key"): "DO00READER",
        ("digitalocean_spaces_key", "secret_key"): "reader's secret",
        ("digitalocean_database_cluster", "password"): "p/w:@? +",
        ("digitalocean_database_user", "name"): "control_plane",
        ("digitalocean_database_user", "password"): "AVNS_a'b$c\\d e",
        ("digitalocean_database_db", "name"): "control_plane",
        (
            "digitalocean_database_ca",
            "certificate",
        ): "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    }
    variables: dict[str, Any] = {name: {"sensitive": True} for name in staging["variable"]}
    values: dict[str, Any] = dict.fromkeys(staging["variable"], SECRET)
    # The manifest is computed from the others' contents, which are locals.
    names = {name for content in contents.values() for name in re.findall(r"local\.([\w-]+)", content)}
    text = json.dumps([contents, {name: staging["locals"][name] for name in sorted(names)}])
    for index, ((kind, attribute), value) in enumerate(given.items()):
        text = re.sub(rf"(data\.)?{kind}\.[\w-]+\.{attribute}\b", f"var.given{index}", text)
        variables[f"given{index}"] = {}
        values[f"given{index}"] = value
    texts, locals_ = json.loads(text)
    stack = {
        "variable": variables,
        "locals": locals_,
        "output": {
            f"o{index}": {"value": content, "sensitive": True} for index, content in enumerate(texts.values())
        },
    }
    (folder / "main.tf.json").write_text(json.dumps(stack))
    (folder / "terraform.tfvars.json").write_text(json.dumps(values))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TF_VAR_")}
    for command in (["init"], ["apply", "-auto-approve"]):
        done = subprocess.run(
            ["terraform", *command, "-input=false", "-no-color"],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    shown = subprocess.run(["terraform", "output", "-json"], cwd=folder, check=True, capture_output=True)
    outputs = json.loads(shown.stdout)
    return {name: outputs[f"o{index}"]["value"] for index, name in enumerate(contents)}


def test_compose_hands_services_the_secrets_as_they_are(computed: dict[str, str], tmp_path: Path) -> None:
    from tests.constructs_lib.test_terraform_text import compose_command  # noqa: PLC0415

    compose = compose_command()
    for name in ("compose.yaml", "settings.env", *(f"secrets.{service}.env" for service in SERVICES["app"])):
        (tmp_path / name).write_text(computed[f"app/{name}"], newline="")
    images = json.loads(computed["app/release.json"])["images"]
    variables = {f"{service.upper().replace('-', '_')}_IMAGE": image for service, image in images.items()}
    shown = subprocess.run(
        [*compose, "config", "--format", "json"],
        cwd=tmp_path,
        env={**os.environ, **variables},
        check=True,
        capture_output=True,
    )
    services = json.loads(shown.stdout)["services"]
    assert {service: body["image"] for service, body in services.items()} == images
    environment = {
        name: value.replace("$$", "$") for name, value in services["control-plane-api"]["environment"].items()
    }
    assert environment["SESSION_SIGNING_KEY"] == SECRET
    assert environment["LOG_LEVEL"] == "debug"
    assert services["tenant-api"]["environment"]["EXPORTS_SECRET_ACCESS_KEY"] == "reader's secret"
    for name, body in services.items():
        assert ("CONTROL_PLANE_DATABASE_URL" in body["environment"]) == (name == "control-plane-api")
        assert ("SESSION_SIGNING_KEY" in body["environment"]) == name.endswith("-api")
    assert environment["CONTROL_PLANE_DATABASE_URL"] == (
        "postgresql://control_plane:AVNS_a%27b%24c%5Cd%20e@private-db.example.org:25060/control_plane"
        "?sslmode=verify-full&sslrootcert=/etc/presence360/ca.pem&options=-c%20role%3Dcontrol_plane_owner"
    )
    assert environment["VALKEY_URL"] == (
        "rediss://default:p%2Fw%3A%40%3F%20%2B@private-db.example.org:25060/0"
        "?ssl_cert_reqs=required&ssl_check_hostname=true&ssl_ca_certs=/etc/presence360/ca.pem"
    )


def test_the_registrys_login_is_dockers_own_file(computed: dict[str, str]) -> None:
    for group in GROUPS["staging"]:
        assert json.loads(computed[f"{group}/registry.json"]) == {
            "auths": {
                "registry.digitalocean.com": {
                    "auth": base64.b64encode(f"{SECRET}:{SECRET}".encode()).decode()
                }
            }
        }


def test_the_clusters_authorities_are_one_file(computed: dict[str, str]) -> None:
    assert computed["worker/ca.pem"] == "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def test_text_of_ours_arrives_as_it_was_rendered(computed: dict[str, str]) -> None:
    from cloud_init.compose import render_compose  # noqa: PLC0415
    from cloud_init.nginx import render_nginx  # noqa: PLC0415
    from cloud_init.programs import render_programs  # noqa: PLC0415

    environments = load_environments(ENVIRONMENTS)
    plan = plan_environment(next(one for one in environments if one.file.environment == "staging"))
    for group in plan.groups:
        assert computed[f"{group.group}/compose.yaml"] == render_compose(group)
        assert computed[f"{group.group}/nginx.conf"] == render_nginx(group)
        assert computed[f"{group.group}/programs.json"] == render_programs(group)


def test_a_droplets_program_takes_what_terraform_writes(computed: dict[str, str]) -> None:
    from droplet.converge.objects import check_env, check_registry, check_release  # noqa: PLC0415

    for group in GROUPS["staging"]:
        for service in SERVICES[group]:
            check_env(f"secrets.{service}.env", computed[f"{group}/secrets.{service}.env"].encode())
        check_env("settings.env", computed[f"{group}/settings.env"].encode())
        check_registry(computed[f"{group}/registry.json"].encode())
        assert check_release(computed[f"{group}/release.json"].encode())


def test_the_manifest_is_what_a_droplet_computes_from_the_objects(
    computed: dict[str, str], tmp_path: Path
) -> None:
    """Terraform's digests and the droplet's, over the same contents; and the operators' reading of the manifest."""
    from droplet.converge.manifest import read_set  # noqa: PLC0415
    from droplet.converge.paths import Paths  # noqa: PLC0415

    for group in GROUPS["staging"]:
        paths = Paths(state=tmp_path / group)
        contents = {
            key.partition("/")[2]: text for key, text in computed.items() if key.startswith(f"{group}/")
        }
        for key, text in contents.items():
            (paths.incoming / key).parent.mkdir(parents=True, exist_ok=True)
            (paths.incoming / key).write_text(text, newline="")
        told = parse_manifest(contents.pop("manifests/environment.json"))
        assert set(told.objects) == set(contents)
        fetched = read_set(paths)
        assert (told.release, told.programs) == (fetched.digest, fetched.programs)
        assert set(fetched.release) == {key for key in contents if makes_release(key)}
        assert set(fetched.release) > RELEASE_OBJECTS
        assert fetched.programs == hashlib.sha256(contents["programs.json"].encode()).hexdigest()[:16]


def test_the_manifest_is_written_after_everything_it_lists(staging: dict[str, Any]) -> None:
    for group in GROUPS["staging"]:
        bodies = of_group(staging, "digitalocean_spaces_bucket_object", group)
        (last,) = [body for body in bodies if body["key"].startswith("manifests/")]
        assert len(last["depends_on"]) == len(bodies) - 1
        assert all("depends_on" not in body for body in bodies if body is not last)
        for droplet in of_group(staging, "digitalocean_droplet", group):
            assert any("_manifests-environment-json_" in address for address in droplet["depends_on"])


def test_the_isolation_job_is_told_what_it_reads(computed: dict[str, str]) -> None:
    cluster = {
        "name": "shared", "host": "private-db.example.org", "port": 25060, "user": "default", "password": "p/w:@? +",
        "database": "defaultdb", "sslmode": "verify-full",
        "ca": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    }  # fmt: skip
    assert json.loads(computed["app/isolation/environment.json"]) == {
        "clusters": [cluster],
        "connections": 5,
        "overrides": {},
        "statement_timeout_ms": 60_000,
        "idle_in_transaction_timeout_ms": 60_000,
        "extensions": [],
    }
