"""Releases, settings, secrets and limits: what operators may write of them, and what groups get."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from model.droplets import DropletGroupPlan
from model.env_file import quoted
from model.errors import InvalidInputError
from model.loader import load_environments
from model.plan import EnvironmentPlan, plan_environment
from model.releases import terraform_variable
from model.secret_values import HIDDEN
from tests.support import ENVIRONMENTS

DIGEST = "sha256:" + "0123456789abcdef" * 4


class Files:
    """Staging's files in a folder of their own, to be changed."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(ENVIRONMENTS / "staging", folder / "staging", ignore=shutil.ignore_patterns("*.lock"))
        self.folder = folder
        self.environment: dict[str, Any] = yaml.safe_load((folder / "staging/environment.yaml").read_text())
        self.tenants: dict[str, Any] = yaml.safe_load((folder / "staging/tenants.yaml").read_text())

    def plan(self) -> EnvironmentPlan:
        (self.folder / "staging/environment.yaml").write_text(
            yaml.safe_dump(self.environment, sort_keys=False)
        )
        (self.folder / "staging/tenants.yaml").write_text(yaml.safe_dump(self.tenants, sort_keys=False))
        (environment,) = load_environments(self.folder)
        return plan_environment(environment)

    def group(self, name: str) -> DropletGroupPlan:
        return next(group for group in self.plan().groups if group.group == name)

    def problems(self) -> list[tuple[str, str, str]]:
        with pytest.raises(InvalidInputError) as raised:
            self.plan()
        return [(problem.path, problem.message, problem.remedy) for problem in raised.value.problems]

    def problem(self) -> tuple[str, str, str]:
        (problem,) = self.problems()
        return problem


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_an_image_is_registry_repository_and_release(files: Files) -> None:
    files.environment["registry"]["url"] = "registry.example.org:5000/team"
    files.environment["releases"] |= {"tenant-api": "2.0.0-rc.1", "web-tenant": DIGEST}
    images = files.group("app").config.images
    assert images["tenant-api"] == "registry.example.org:5000/team/tenant-api:2.0.0-rc.1"
    assert images["web-tenant"] == f"registry.example.org:5000/team/web-tenant@{DIGEST}"
    assert set(images) == {"tenant-api", "web-tenant", "control-plane-api", "web-control-plane"}
    assert files.plan().registry.host == "registry.example.org:5000"


def test_every_service_has_a_release(files: Files) -> None:
    del files.environment["releases"]["worker"]
    assert files.problem() == (
        "releases",
        "there is no release of 'worker'",
        'Add a line such as `worker: "1.4.2"`: every service needs a release.',
    )


def test_an_unknown_service_has_none(files: Files) -> None:
    files.environment["releases"]["wroker"] = "1.0.0"
    path, message, remedy = files.problem()
    assert (path, message) == ("releases.wroker", "there is no service 'wroker'")
    assert remedy.startswith("Did you mean 'worker'? Choose one of: tenant-api, worker,")


@pytest.mark.parametrize(
    ("release", "message"),
    [
        ("latest", "'latest' is a tag that moves: what runs would change without an edit"),
        ("1.0/x", "'1.0/x' is not allowed"),
        ("sha256:abc", "'sha256:abc' is not allowed"),
        (".5", "'.5' is not allowed"),
        (1.4, "1.4 is not text"),
        ("", "'' is not allowed"),
    ],
)
def test_a_release_is_a_tag_that_stays_or_a_digest(files: Files, release: object, message: str) -> None:
    files.environment["releases"]["worker"] = release
    assert files.problem()[:2] == ("releases.worker", message)


@pytest.mark.parametrize(
    "url", ["https://registry.example.org/x", "registry.example.org/", "Registry.org/x", "a b"]
)
def test_a_registry_is_a_host_and_a_path(files: Files, url: str) -> None:
    files.environment["registry"]["url"] = url
    assert files.problem()[:2] == ("registry.url", f"{url!r} is not allowed")


def test_settings_reach_every_group_beside_the_platforms_own(files: Files) -> None:
    files.environment["settings"] = {"LOG_LEVEL": "it's $HOME\\", "EMPTY": ""}
    for group in files.plan().groups:
        assert group.config.settings == {
            "EMPTY": "",
            "LOG_LEVEL": "it's $HOME\\",
            "PRESENCE360_BASE_DOMAIN": "staging.presence360.app",
            "PRESENCE360_ENVIRONMENT": "staging",
        }


@pytest.mark.parametrize(
    "name",
    ["DB_PASSWORD", "SECRET", "API_TOKEN", "SMTP_PASSWD", "SIGNING_KEY", "APIKEY", "KEY_ID", "KEYS",
     "AWS_CREDENTIALS", "SENTRY_DSN", "CLIENT_SECRET_ID"],
)  # fmt: skip
def test_what_is_called_like_a_secret_is_no_setting(files: Files, name: str) -> None:
    files.environment["settings"] = {name: "x"}
    assert files.problem() == (
        f"settings.{name}",
        f"{name!r} looks like the name of a secret, and this file is in git",
        f"Write `{name}: [service, ...]` under `secrets`, and keep the value out of these files. If it is no "
        f"secret, add "
        f"{name} to `public_settings`.",
    )


@pytest.mark.parametrize("name", ["VAPID_PUBLIC_KEY", "KEYBOARD", "TOKENIZER", "SECRETARY_EMAIL"])
def test_what_only_sounds_like_a_secret_is_a_setting(files: Files, name: str) -> None:
    files.environment["settings"] = {name: "x"}
    assert files.group("app").config.settings[name] == "x"


@pytest.mark.parametrize(
    "value",
    ["postgres://user:hunter2@db.example.org/x", "dop_v1_0123456789abcdef", "-----BEGIN PGP MESSAGE-----",
     "AKIAIOSFODNN7EXAMPLE", "DO00ABCDEFGHIJKLMNOP"],  # pragma: allowlist secret
)  # fmt: skip
def test_a_value_that_is_a_secret_is_refused_and_not_repeated(files: Files, value: str) -> None:
    files.environment["settings"] = {"UPSTREAM": value}
    path, message, remedy = files.problem()
    assert path == "settings.UPSTREAM"
    assert "password or a key" in message
    assert value not in message + remedy


@pytest.mark.parametrize("value", ["https://example.org/a@b", "10.60.0.1:8000", "a: b@c"])
def test_an_address_without_a_password_is_a_setting(files: Files, value: str) -> None:
    files.environment["settings"] = {"UPSTREAM": value}
    assert files.group("worker").config.settings["UPSTREAM"] == value


@pytest.mark.parametrize("section", ["settings", "secrets"])
@pytest.mark.parametrize("name", ["log_level", "1ST", "A-B", "A" * 64])
def test_a_variable_has_a_portable_name(files: Files, section: str, name: str) -> None:
    files.environment[section] = {name: "x" if section == "settings" else ["worker"]}
    told = repr(name) if len(name) < 60 else f"{repr(name)[:57]}..."
    place = name if len(name) < 60 else told
    if section == "secrets":
        # What stands here may be a secret's value, and nothing of it is shown.
        place = told = HIDDEN
    assert files.problem() == (
        f"{section}.{place}",
        f"the name {told} is not allowed",
        "Use 1 to 63 of A-Z, 0-9 and underscores, starting with a letter: LOG_LEVEL.",
    )


@pytest.mark.parametrize("section", ["settings", "secrets"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("VALKEY_URL", "is set by the platform itself"),
        ("LD_PRELOAD", "makes programs load other code, or changes libc"),
    ],
)
def test_what_the_platform_sets_or_does_harm_is_refused(
    files: Files, section: str, name: str, message: str
) -> None:
    files.environment[section] = {name: "x" if section == "settings" else ["worker"]}
    assert files.problem()[:2] == (f"{section}.{name}", f"{name!r} {message}")


def test_a_variable_is_a_setting_or_a_secret(files: Files) -> None:
    files.environment["settings"] = {"SHARED": "x"}
    files.environment["secrets"] = {"SHARED": ["worker"]}
    assert files.problem()[:2] == ("settings.SHARED", "'SHARED' is also in `secrets`")


def test_a_service_gets_the_secrets_that_name_it_only(files: Files) -> None:
    files.environment["secrets"] = {
        "FOR_WORKER": ["worker"],
        "FOR_API": ["control-plane-api"],
        "FOR_BOTH": ["worker", "tenant-api"],
    }
    assert files.group("worker").config.secrets == {
        "worker": {"FOR_BOTH": "staging_for_both", "FOR_WORKER": "staging_for_worker"}
    }
    # Also where services share droplets.
    assert files.group("app").config.secrets == {
        "tenant-api": {"FOR_BOTH": "staging_for_both"},
        "web-tenant": {},
        "control-plane-api": {"FOR_API": "staging_for_api"},
        "web-control-plane": {},
    }


@pytest.mark.parametrize(
    ("services", "path", "message"),
    [
        ([], "secrets.X", "this is empty"),
        (["wroker"], "secrets.X[0]", f"{HIDDEN} is not one of the allowed values"),
        (["worker", "worker"], "secrets.X[1]", "'worker' is listed twice"),
        ("worker", "secrets.X", "'worker' is not a list"),
    ],
)
def test_a_secret_names_services(files: Files, services: object, path: str, message: str) -> None:
    files.environment["secrets"] = {"X": services}
    assert files.problem()[:2] == (path, message)


def test_settings_and_secrets_may_be_left_out(files: Files) -> None:
    del files.environment["settings"], files.environment["secrets"]
    config = files.group("app").config
    assert not any(config.secrets.values())
    assert set(config.settings) == {"PRESENCE360_BASE_DOMAIN", "PRESENCE360_ENVIRONMENT"}


def test_a_tenants_own_limit_stands_beside_its_host_name(files: Files) -> None:
    files.tenants["tenants"][0]["limits"] = {"requests_per_second": 50}
    files.tenants["tenants"][1]["limits"] = {"requests_per_second": 20}  # no other than everybody's
    limits = files.group("app").rate_limits
    assert limits.default == 20
    assert limits.overrides == {"grace.staging.presence360.app": 50}
    # No tenant's name reaches the worker: its configuration need not change with them.
    assert files.group("worker").rate_limits.overrides == {}


@pytest.mark.parametrize(
    ("droplets", "share"),
    [
        ({"replicas": 1}, 50),
        # While one changes, the other has all of a church's requests.
        ({"replicas": 2}, 50),
        ({"replicas": 3}, 25),
        ({"replicas": 4}, 17),
        # Of a pool the fewest count; a quarter of them may be away.
        ({"autoscale": {"min": 2, "max": 6, "cpu": 0.6}}, 50),
        ({"autoscale": {"min": 8, "max": 9, "cpu": 0.6}}, 9),
    ],
)
def test_droplets_share_a_tenants_limit(files: Files, droplets: dict[str, object], share: int) -> None:
    # The group that keeps the metrics has one droplet.
    del files.environment["observability"], files.environment["groups"]["app"]["replicas"]
    files.environment["groups"]["app"] |= droplets
    files.environment["limits"]["requests_per_second"] = 50
    assert files.group("app").rate_limits.default == share


def test_a_limit_that_is_the_same_on_a_droplet_changes_nothing_there(files: Files) -> None:
    del files.environment["observability"]
    files.environment["groups"]["app"]["replicas"] = 3
    files.environment["limits"]["requests_per_second"] = 50
    files.tenants["tenants"][0]["limits"] = {"requests_per_second": 49}
    limits = files.group("app").rate_limits
    assert (limits.default, limits.overrides) == (25, {})


def test_the_slugs_of_all_tenants_reach_the_groups_that_serve_them(files: Files) -> None:
    slugs = sorted(tenant["slug"] for tenant in files.tenants["tenants"])
    assert list(files.group("app").tenant_slugs) == slugs
    assert files.group("worker").tenant_slugs == ()


def test_the_audit_log_is_kept_where_it_is_asked_for(files: Files) -> None:
    assert not files.group("app").auditd
    files.environment["hardening"] = {"auditd": True}
    assert files.group("app").auditd


@pytest.mark.parametrize("rate", [0, 1001, "20", 1.5])
def test_a_limit_is_a_whole_number_in_bounds(files: Files, rate: object) -> None:
    files.environment["limits"]["requests_per_second"] = rate
    files.tenants["tenants"][0]["limits"] = {"requests_per_second": rate}
    paths = [path for path, _, _ in files.problems()]
    assert paths == ["limits.requests_per_second", "tenants[0].limits.requests_per_second"]


def test_turns_are_as_many_as_replicas(files: Files) -> None:
    del files.environment["observability"]
    files.environment["groups"]["app"]["replicas"] = 3
    assert files.group("app").turns == 3
    del files.environment["groups"]["app"]["replicas"]
    files.environment["groups"]["app"]["autoscale"] = {"min": 2, "max": 6, "cpu": 0.6}
    assert files.group("app").turns == 4


def test_a_value_is_quoted_for_compose() -> None:
    assert quoted('a\\"$\nb') == '"a\\\\\\"\\$\\nb"'


def test_a_terraform_variable_can_be_set_in_a_shell() -> None:
    assert terraform_variable("pre-prod", "MNOTIFY_API_KEY") == "pre_prod_mnotify_api_key"
