"""Releases, settings and secrets: what the operators' files say of them, and what each droplet group gets.

None of it is in user data, because a change of user data replaces droplets. It travels through a bucket.
"""

import re
from collections.abc import Iterable, Mapping

from model.environment import EnvironmentFile
from model.errors import Findings, did_you_mean, shown
from model.layout import Placement
from model.secret_values import is_secret
from model.service_variables import BASE_DOMAIN, ENVIRONMENT, REGISTRY_TOKEN, why_not
from model.services import CATALOGUE, Service

CA_FILE = "/etc/presence360/ca.pem"
"""Where a container that connects to Postgres finds the clusters' certificate authorities."""

ISOLATION_BESIDE = "control-plane-api"
"""The isolation job runs where this service does: it connects to Postgres, and works for the control plane."""

# A name like this is a secret's, and the files are in git. PUBLIC_KEY and the like are spared.
_SECRET_NAME = re.compile(r"(?<!PUBLIC_)(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|KEY|DSN)S?(_|$)")
# A measure of a secret, which is none: TOKEN_TTL_SECONDS, PASSWORD_MIN_LENGTH. Its value is a number or a switch.
_MEASURE_NAME = re.compile(
    r"_(TTL|MILLISECONDS|MS|SECONDS|SECS|MINUTES|HOURS|DAYS|LENGTH|SIZE|BITS|BYTES|COUNT|LIMIT|ROUNDS|ATTEMPTS|RETRIES|"
    r"MIN|MAX|ENABLED|DISABLED|REQUIRED|ALLOWED)$"
)
_MEASURE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ms|[smhd])?|true|false|yes|no|on|off")

# A tag that is pushed again and again: by its words, or by a version that others begin with (1, v1.4).
_MOVING_WORDS = frozenset(
    {
        "latest", "main", "master", "trunk", "head", "stable", "edge", "nightly", "dev", "devel", "develop",
        "development", "test", "testing", "qa", "staging", "stage", "prod", "production", "live", "release", "current",
        "next", "canary", "beta", "alpha", "rc", "snapshot", "preview", "unstable", "default", "lts",
    }
)  # fmt: skip
_MOVING_VERSION = re.compile(r"v?[0-9]+(\.[0-9]+)?", re.IGNORECASE)


def check_releases(file: EnvironmentFile, findings: Findings) -> None:
    """Check that every service has a release, and that variables are what they seem.

    A file whose shape is wrong somewhere lacks the sections that are wrong; the others are checked.
    """
    if hasattr(file, "releases"):
        _check_tags(file, findings)
    if hasattr(file, "settings"):
        _check_settings(file, findings)
    if hasattr(file, "settings") and hasattr(file, "public_settings"):
        _check_public_settings(file, findings)
    if hasattr(file, "secrets"):
        _check_secrets(file, findings)


def _check_tags(file: EnvironmentFile, findings: Findings) -> None:
    placed = _placed(file)
    required = {service.name for service in CATALOGUE.values() if service.required}
    for missing in sorted((required | placed) - file.releases.keys()):
        findings.add(
            ("releases",),
            f"there is no release of {shown(missing)}",
            f'Add a line such as `{missing}: "1.4.2"`: every service needs a release.',
        )
    for service in file.releases if placed else ():
        if service not in placed and not CATALOGUE[service].required:
            findings.add(
                ("releases", service),
                f"no group runs {shown(service)}, so nothing would be released",
                f"Add {service} to the `services` of one group, or remove this line.",
                at_key=True,
            )
    for service, release in file.releases.items():
        moves = release.lower() in _MOVING_WORDS
        if moves or _MOVING_VERSION.fullmatch(release):
            findings.add(
                ("releases", service),
                f"{shown(release)} is a tag that moves: what runs would change without an edit"
                if moves
                else f"{shown(release)} is a tag that moves with each smaller release: what runs would change "
                f"without an "
                "edit",
                "Write a tag that is never pushed twice, such as 1.4.2, or the image's digest: sha256:...",
            )


def _placed(file: EnvironmentFile) -> set[str]:
    """Return the services that groups run; none where the groups are wrong."""
    return {service for group in getattr(file, "groups", {}).values() for service in group.services}


def _check_settings(file: EnvironmentFile, findings: Findings) -> None:
    for variable, value in file.settings.items():
        path = ("settings", variable)
        if refused := why_not(variable, value):
            _refuse(path, variable, refused, findings)
        elif variable in getattr(file, "secrets", {}):
            findings.add(
                path,
                f"{shown(variable)} is also in `secrets`",
                "Keep one of the two: a service gets one value.",
                at_key=True,
            )
        elif _named_like_a_secret(variable, value) and variable not in getattr(file, "public_settings", ()):
            findings.add(
                path,
                f"{shown(variable)} looks like the name of a secret, and this file is in git",
                f"Write `{variable}: [service, ...]` under `secrets`, and keep the value out of these files. If "
                f"it is no "
                f"secret, add {variable} to `public_settings`.",
                at_key=True,
            )
        elif is_secret(value):
            # The value is not repeated: messages end up in CI's logs.
            findings.add(
                path,
                "the value contains a password or a key, and this file is in git",
                f"Write `{variable}: [service, ...]` under `secrets`, and replace the password or key: it is exposed.",
            )


def _named_like_a_secret(variable: str, value: str) -> bool:
    if _MEASURE_NAME.search(variable) and _MEASURE.fullmatch(value):
        return False
    return bool(_SECRET_NAME.search(variable))


def _check_public_settings(file: EnvironmentFile, findings: Findings) -> None:
    for index, variable in enumerate(file.public_settings):
        if variable not in file.settings:
            findings.add(
                ("public_settings", index),
                f"there is no setting {shown(variable)}",
                f"{did_you_mean(variable, file.settings)}Remove it: it would let a secret of this name pass later.",
            )


def check_registry(file: EnvironmentFile, findings: Findings) -> None:
    """Find a registry that is a stranger's, and a login that cannot work."""
    host, _, path = file.registry.url.partition("/")
    if "." not in host and ":" not in host:
        findings.add(
            ("registry", "url"),
            f"{shown(file.registry.url)} names no host, so Docker would pull from Docker Hub, where anybody may have "
            "pushed these names",
            "Begin with the registry's host: registry.digitalocean.com/presence360.",
        )
    elif not path:
        findings.add(
            ("registry", "url"),
            f"{shown(file.registry.url)} has a host and no path: the images would be {host}/tenant-api and so on",
            f"Add the path that your images have in common: {host}/presence360.",
        )
    if ":" in (file.registry.username or ""):
        findings.add(
            ("registry", "username"),
            "a user name cannot hold a colon: what follows it would be taken for a part of the password (RFC 7617)",
            "Write the name alone. The token is TF_VAR_"
            + terraform_variable(file.environment, REGISTRY_TOKEN)
            + ".",
        )


def _check_secrets(file: EnvironmentFile, findings: Findings) -> None:
    placed = _placed(file)
    for variable, services in file.secrets.items():
        path = ("secrets", variable)
        if refused := why_not(variable, None):
            _refuse(path, variable, refused, findings)
        for index, service in enumerate(services):
            if service in services[:index]:
                findings.add((*path, index), f"{shown(service)} is listed twice", "Remove one of the two.")
            elif placed and service not in placed and not CATALOGUE[service].required:
                findings.add(
                    (*path, index),
                    f"no group runs {shown(service)}",
                    f"Add {service} to the `services` of one group, or remove it here.",
                )


def _refuse(path: tuple[str, str], variable: str, refused: tuple[str, str], findings: Findings) -> None:
    reason, remedy = refused
    findings.add(path, f"{shown(variable)} {reason}", remedy, at_key=True)


def images(file: EnvironmentFile, placement: Placement) -> Mapping[str, str]:
    """Return the full reference of each service's image: by tag, or by digest."""
    return {service.name: image(file, service) for service in placement.services}


def image(file: EnvironmentFile, service: Service) -> str:
    """Return the full reference of a service's image."""
    release = file.releases[service.name]
    separator = "@" if release.startswith("sha256:") else ":"
    return f"{file.registry.url}/{service.image}{separator}{release}"


def settings(file: EnvironmentFile) -> Mapping[str, str]:
    """Return the environment variables that are no secret, the platform's own included, sorted."""
    platform = {ENVIRONMENT: file.environment, BASE_DOMAIN: file.base_domain}
    return dict(sorted({**platform, **file.settings}.items()))


def secrets(file: EnvironmentFile, placement: Placement) -> Mapping[str, Mapping[str, str]]:
    """Return by service and environment variable the Terraform variable, for the operators' secrets in a group."""
    return {
        service.name: {
            variable: terraform_variable(file.environment, variable)
            for variable, readers in sorted(file.secrets.items())
            if service.name in readers
        }
        for service in placement.services
    }


def terraform_variable(environment: str, variable: str) -> str:
    """Name the Terraform variable that holds a secret: ``staging_mnotify_api_key``.

    The environment is in it, so that one `.env` serves several environments and none gets another's secrets.
    """
    return f"{environment}_{variable}".lower().replace("-", "_")


def keeps_tenants_apart(placement: Placement) -> bool:
    """Tell whether a group runs the isolation job: the one whose droplets may hold the clusters' own passwords."""
    return any(service.name == ISOLATION_BESIDE for service in placement.services)


def control_group(placements: Iterable[Placement]) -> str:
    """Return the name of the group that runs the isolation job."""
    (group,) = (placement.group for placement in placements if keeps_tenants_apart(placement))
    return group
