"""The private bucket through which a group's configuration travels to its droplets, and where images come from."""

from collections.abc import Mapping
from dataclasses import dataclass

from model import releases
from model.environment import EnvironmentFile
from model.layout import Placement
from model.naming import Names


@dataclass(frozen=True, kw_only=True)
class ConfigPlan:
    """What one group's services run with."""

    bucket: str
    region: str
    images: Mapping[str, str]
    """By service: the full reference, ``registry/repository:tag`` or ``registry/repository@sha256:...``."""
    settings: Mapping[str, str]
    """Environment variables that are no secret."""
    secrets: Mapping[str, str]
    """By environment variable: the name of the sensitive Terraform variable that holds its value."""


@dataclass(frozen=True, kw_only=True)
class RegistryPlan:
    """Where images are pulled from, and who pulls them."""

    host: str
    """With the port, if there is one: what Docker files a login under."""
    username: str | None
    """None: the token stands for both."""
    token_variable: str
    """The name of the sensitive Terraform variable that holds the token."""


def config_bucket(names: Names, group: str) -> str:
    """Name the bucket with a group's configuration."""
    return names.bucket(f"config-{group}")


def plan_config(file: EnvironmentFile, names: Names, placement: Placement) -> ConfigPlan:
    """Decide what a group's services run with."""
    return ConfigPlan(
        bucket=config_bucket(names, placement.group),
        region=file.region,
        images=releases.images(file, placement),
        settings=releases.settings(file),
        secrets=releases.secrets(file, placement),
    )


def plan_registry(file: EnvironmentFile) -> RegistryPlan:
    """Decide how images are pulled."""
    return RegistryPlan(
        host=file.registry.url.partition("/")[0],
        username=file.registry.username,
        token_variable=releases.terraform_variable(file.environment, releases.REGISTRY_TOKEN),
    )
