"""Releases, settings and secrets: what the operators' files say of them, and what each droplet group gets.

None of it is in user data, because a change of user data replaces droplets. It travels through a bucket.
"""

import re
from collections.abc import Iterable, Mapping

from model.environment import EnvironmentFile
from model.errors import Findings, shown
from model.layout import Placement
from model.services import CATALOGUE, Plane, Store

# Variables that the platform sets for services. An operator's variable of the same name would contradict them.
ENVIRONMENT = "PRESENCE360_ENVIRONMENT"
BASE_DOMAIN = "PRESENCE360_BASE_DOMAIN"
CONTROL_PLANE_DATABASE_URL = "CONTROL_PLANE_DATABASE_URL"
VALKEY_URL = "VALKEY_URL"
TENANT_CREDENTIALS = "TENANT_CREDENTIALS"
TENANT_DIRECTORY = "TENANT_REGISTRY"
"""Begins the variables by which the control plane reads the directory of tenants; services know them by this name."""
BUCKET_VARIABLES = ("BUCKET", "ENDPOINT", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
"""How a service reaches a private bucket: `TENANT_CREDENTIALS_BUCKET` and so on."""
PLATFORM_VARIABLES = frozenset({ENVIRONMENT, BASE_DOMAIN, CONTROL_PLANE_DATABASE_URL, VALKEY_URL}) | {
    f"{bucket}_{part}" for bucket in (TENANT_CREDENTIALS, TENANT_DIRECTORY) for part in BUCKET_VARIABLES
}

REGISTRY_TOKEN = "REGISTRY_TOKEN"  # noqa: S105 (a name)
"""Becomes the Terraform variable of the registry's token; no service gets it."""

CA_FILE = "/etc/presence360/ca.pem"
"""Where a container that connects to Postgres finds the clusters' certificate authorities."""

ISOLATION_BESIDE = "control-plane-api"
"""The isolation job runs where this service does: it connects to Postgres, and works for the control plane."""

# A name like this is a secret's, and the files are in git. PUBLIC_KEY and the like are spared.
_SECRET_NAME = re.compile(r"(?<!PUBLIC_)(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|KEY|DSN)S?(_|$)")
# An address with a password in it, and DigitalOcean's, AWS's and PEM's own marks.
_SECRET_VALUE = re.compile(
    r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@|\bdo[opr]_v1_[0-9a-f]{8}|\bDO00[0-9A-Z]{16}\b"
    r"|\bAKIA[0-9A-Z]{16}\b|-----BEGIN"
)

_FLOATING_TAGS = frozenset({"latest", "main", "master", "stable", "edge", "nightly"})


def check_releases(file: EnvironmentFile, findings: Findings) -> None:
    """Check that every service has a release, and that variables are what they seem.

    A file whose shape is wrong somewhere lacks the sections that are wrong; the others are checked.
    """
    if hasattr(file, "releases"):
        _check_tags(file, findings)
    if hasattr(file, "settings"):
        _check_settings(file, findings)
    if hasattr(file, "secrets"):
        _check_secrets(file, findings)


def _check_tags(file: EnvironmentFile, findings: Findings) -> None:
    for missing in sorted(CATALOGUE.keys() - file.releases.keys()):
        findings.add(
            ("releases",),
            f"there is no release of {shown(missing)}",
            f'Add a line such as `{missing}: "1.4.2"`: every service needs a release.',
        )
    for service, release in file.releases.items():
        if release in _FLOATING_TAGS:
            findings.add(
                ("releases", service),
                f"{shown(release)} is a tag that moves: what runs would change without an edit",
                "Write a tag that is never pushed twice, or the image's digest: sha256:...",
            )


def _check_settings(file: EnvironmentFile, findings: Findings) -> None:
    for variable, value in file.settings.items():
        path = ("settings", variable)
        if variable in PLATFORM_VARIABLES:
            _add_platform_variable(path, variable, findings)
        elif variable in getattr(file, "secrets", {}):
            findings.add(
                path,
                f"{shown(variable)} is also in `secrets`",
                "Keep one of the two: a service gets one value.",
                at_key=True,
            )
        elif _SECRET_NAME.search(variable):
            findings.add(
                path,
                f"{shown(variable)} looks like the name of a secret, and this file is in git",
                f"Write `{variable}: [service, ...]` under `secrets`, and keep the value out of these files.",
                at_key=True,
            )
        elif _SECRET_VALUE.search(value):
            # The value is not repeated: messages end up in CI's logs.
            findings.add(
                path,
                "the value contains a password or a key, and this file is in git",
                f"Write `{variable}: [service, ...]` under `secrets`, and replace the password or key: it is exposed.",
            )


def _check_secrets(file: EnvironmentFile, findings: Findings) -> None:
    for variable, services in file.secrets.items():
        path = ("secrets", variable)
        if variable in PLATFORM_VARIABLES or variable == REGISTRY_TOKEN:
            _add_platform_variable(path, variable, findings)
        for index, service in enumerate(services):
            if service in services[:index]:
                findings.add((*path, index), f"{shown(service)} is listed twice", "Remove one of the two.")


def _add_platform_variable(path: tuple[str, str], variable: str, findings: Findings) -> None:
    taken = ", ".join(sorted(PLATFORM_VARIABLES | {REGISTRY_TOKEN}))
    findings.add(
        path,
        f"{shown(variable)} is set by the platform itself",
        f"Remove it, or choose another name. Taken: {taken}.",
        at_key=True,
    )


def images(file: EnvironmentFile, placement: Placement) -> Mapping[str, str]:
    """Return the full reference of each service's image: by tag, or by digest."""
    references = {}
    for service in placement.services:
        release = file.releases[service.name]
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


def reads_control_plane_database(placement: Placement) -> bool:
    """Tell whether a group runs a service of the control plane that connects to Postgres."""
    return _reads_database(placement, Plane.CONTROL)


def reads_tenants_databases(placement: Placement) -> bool:
    """Tell whether a group runs a service of the tenant plane that connects to Postgres."""
    return _reads_database(placement, Plane.TENANT)


def keeps_tenants_apart(placement: Placement) -> bool:
    """Tell whether a group runs the isolation job: the one whose droplets may hold the clusters' own passwords."""
    return any(service.name == ISOLATION_BESIDE for service in placement.services)


def control_group(placements: Iterable[Placement]) -> str:
    """Return the name of the group that runs the isolation job."""
    (group,) = (placement.group for placement in placements if keeps_tenants_apart(placement))
    return group


def _reads_database(placement: Placement, plane: Plane) -> bool:
    return any(service.plane is plane and Store.POSTGRES in service.stores for service in placement.services)
