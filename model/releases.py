"""Releases, settings and secrets: what the operators' files say of them, and what each droplet group gets.

None of it is in user data, because a change of user data replaces droplets. It travels through a bucket.
"""

import re
from collections.abc import Mapping

from model.environment import EnvironmentFile
from model.errors import Findings, did_you_mean, shown
from model.layout import Placement
from model.services import CATALOGUE

# What the platform itself tells services. An operator's variable of the same name would be two truths.
ENVIRONMENT = "PRESENCE360_ENVIRONMENT"
BASE_DOMAIN = "PRESENCE360_BASE_DOMAIN"
CONTROL_PLANE_DATABASE_URL = "CONTROL_PLANE_DATABASE_URL"
VALKEY_URL = "VALKEY_URL"
PLATFORM_VARIABLES = frozenset({ENVIRONMENT, BASE_DOMAIN, CONTROL_PLANE_DATABASE_URL, VALKEY_URL})


def images(file: EnvironmentFile, placement: Placement) -> Mapping[str, str]:
    """Return the full reference of each service's image: by tag, or by digest."""
    written: Mapping[str, str] = {**file.releases}
    references = {}
    for service in placement.services:
        release = written[service.name]
        separator = "@" if release.startswith("sha256:") else ":"
        references[service.name] = f"{file.registry.url}/{service.image}{separator}{release}"
    return references


def settings(file: EnvironmentFile) -> Mapping[str, str]:
    """Return the environment variables that are no secret, the platform's own included, sorted."""
    platform = {ENVIRONMENT: file.environment, BASE_DOMAIN: file.base_domain}
    return dict(sorted({**platform, **file.settings}.items()))


def secrets(file: EnvironmentFile, placement: Placement) -> Mapping[str, str]:
    """Return by environment variable the Terraform variable, for the secrets that a group's services need."""
    here = {service.name for service in placement.services}
    return {
        variable: terraform_variable(file.environment, variable)
        for variable, services in sorted(file.secrets.items())
        if here.intersection(services)
    }


def terraform_variable(environment: str, variable: str) -> str:
    """Name the Terraform variable that holds a secret: ``staging_mnotify_api_key``.

    The environment is in it, so that one `.env` serves several environments and none gets another's secrets.
    """
    return f"{environment}_{variable}".lower().replace("-", "_")
