"""The private bucket through which a group's configuration travels to its droplets, and where images come from."""

from collections.abc import Mapping
from dataclasses import dataclass

from model import releases
from model.data import BucketPlan, plan_exports
from model.environment import EnvironmentFile
from model.layout import Placement
from model.naming import Names
from model.service_variables import REGISTRY_TOKEN


@dataclass(frozen=True, kw_only=True)
class RegistryPlan:
    """Where images are pulled from, and who pulls them."""

    host: str
    """With the port, if there is one: what Docker files a login under."""
    username: str | None
    """None: the token stands for both."""
    token_variable: str
    """The name of the sensitive Terraform variable that holds the token."""


@dataclass(frozen=True, kw_only=True)
class ConfigPlan:
    """What one group's services run with."""

    bucket: str
    status_bucket: str
    """Where the group's droplets say how they are; no other group writes there."""
    control_status_bucket: str
    """The status bucket of the group that runs the isolation job; every group reads it."""
    region: str
    images: Mapping[str, str]
    """By service: the full reference, ``registry/repository:tag`` or ``registry/repository@sha256:...``."""
    settings: Mapping[str, str]
    """Environment variables that are no secret."""
    secrets: Mapping[str, Mapping[str, str]]
    """By service and environment variable: the name of the sensitive Terraform variable that holds its value."""
    registry: RegistryPlan
    """Where the images are pulled from."""
    exports: BucketPlan
    """The bucket for exports and snapshots, for the services that use it."""


def config_bucket(names: Names, group: str) -> str:
    """Name the bucket with a group's configuration."""
    return names.bucket(f"config-{group}")


def status_bucket(names: Names, group: str) -> str:
    """Name the bucket in which a group's droplets say how they are."""
    return names.bucket(f"status-{group}")


def plan_config(file: EnvironmentFile, names: Names, placement: Placement, *, control: str) -> ConfigPlan:
    """Decide what a group's services run with; ``control`` is the group that runs the isolation job."""
    return ConfigPlan(
        bucket=config_bucket(names, placement.group),
        status_bucket=status_bucket(names, placement.group),
        control_status_bucket=status_bucket(names, control),
        region=file.region,
        images=releases.images(file, placement),
        settings=releases.settings(file),
        secrets=releases.secrets(file, placement),
        registry=plan_registry(file),
        exports=plan_exports(file, names),
    )


def plan_registry(file: EnvironmentFile) -> RegistryPlan:
    """Decide how images are pulled."""
    return RegistryPlan(
        host=file.registry.url.partition("/")[0],
        username=file.registry.username,
        token_variable=releases.terraform_variable(file.environment, REGISTRY_TOKEN),
    )
