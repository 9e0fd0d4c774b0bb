"""Whether the images of `releases:` are in their registry, by the OCI distribution API.

OCI distribution specification 1.1, "Pulling manifests" (`HEAD /v2/<name>/manifests/<reference>`), and the token
authentication that registries share (distribution.github.io, "Token Authentication Specification").
"""

import base64
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from model.plan import EnvironmentPlan
from ops.preflight.finding import Checked

WAIT_VARIABLE = "PRESENCE360_WAIT_SECONDS"
"""Of ops/wait_until_serving.py, which has the standard library only."""

REQUEST_SECONDS = 20
# What a tag may point to: an image or an index of images, as OCI and Docker call them.
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_LOOPBACK = re.compile(r"(localhost|127\.\d+\.\d+\.\d+)(:\d+)?$")


class CannotAskError(Exception):
    """The registry does not say whether it has an image."""


def check(plan: EnvironmentPlan, environ: Mapping[str, str]) -> Checked:
    """Ask for each image of an environment once."""
    token = environ.get(f"TF_VAR_{plan.registry.token_variable}", "")
    registry = Registry(plan.registry.host, plan.registry.username or token, token)
    services: dict[str, list[str]] = {}
    for group in plan.groups:
        for service, reference in group.config.images.items():
            services.setdefault(reference, []).append(service)
    problems: list[str] = []
    for reference, named in sorted(services.items()):
        try:
            if not registry.has(reference):
                problems.append(
                    f"{plan.name}: releases.{named[0]}: the registry has no {reference}. Push the image, or correct "
                    "the release"
                )
        except CannotAskError as error:
            # It is the same for all the others.
            return Checked(tuple(problems), (f"{plan.name}: the images could not be checked: {error}",))
    if environ.get(WAIT_VARIABLE) == "0":
        # An environment that is made before its images are pushed (README.md, First deploy).
        return Checked(notes=tuple(problems))
    return Checked(tuple(problems))


@dataclass
class Registry:
    """A registry of images.

    Attributes:
        host: with its port, if it has one.
        username: who logs in.
        token: the password.
    """

    host: str
    username: str
    token: str
    _granted: dict[str, str] = field(default_factory=dict)

    def has(self, reference: str) -> bool:
        """Whether an image exists.

        Raises:
            CannotAskError: the registry did not say.
        """
        name, separator, version = _split(reference.removeprefix(f"{self.host}/"))
        scheme = "http" if _LOOPBACK.match(self.host) else "https"
        address = f"{scheme}://{self.host}/v2/{name}/manifests/{version}"
        status, challenge = self._head(address, self._granted.get(name))
        if status == HTTPStatus.UNAUTHORIZED:
            self._granted[name] = self._login(challenge, name)
            status, _ = self._head(address, self._granted[name])
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise CannotAskError(f"{self.host} does not let its token read {name} ({status})")
        if status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
            raise CannotAskError(f"{self.host} answered {status} for {name}{separator}{version}")
        return status == HTTPStatus.OK

    def _head(self, address: str, authorization: str | None) -> tuple[int, str]:
        headers = {"Accept": _ACCEPT} | ({"Authorization": authorization} if authorization else {})
        request = urllib.request.Request(address, method="HEAD", headers=headers)  # noqa: S310 (http or https, above)
        try:
            with urllib.request.build_opener().open(request, timeout=REQUEST_SECONDS) as answer:
                return answer.status, ""
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get("WWW-Authenticate", "")
        except OSError as error:
            raise CannotAskError(f"{self.host} did not answer: {error}") from None

    def _login(self, challenge: str, name: str) -> str:
        """Return the header that answers a challenge."""
        basic = "Basic " + base64.b64encode(f"{self.username}:{self.token}".encode()).decode()
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic":
            return basic
        asked = dict(_PARAMETER.findall(rest))
        realm = urllib.parse.urlsplit(asked.get("realm", ""))
        # The token goes to the address that the registry names: never in clear text over a network.
        if kind.lower() != "bearer" or not (
            realm.scheme == "https" or (realm.scheme == "http" and _LOOPBACK.match(realm.netloc))
        ):
            raise CannotAskError(f"{self.host} asks for a login of an unknown kind")
        query = {
            "service": asked.get("service", ""),
            "scope": asked.get("scope") or f"repository:{name}:pull",
        }
        address = f"{realm.geturl()}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(  # noqa: S310  (https, or loopback)
            address, headers={"Authorization": basic} if self.token else {}
        )
        try:
            with urllib.request.build_opener().open(request, timeout=REQUEST_SECONDS) as answer:
                granted = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise CannotAskError(
                    f"{self.host} does not accept the registry's token ({error.code})"
                ) from None
        except (OSError, ValueError) as error:
            raise CannotAskError(f"{realm.netloc} did not answer: {error}") from None
        return f"Bearer {granted.get('token') or granted.get('access_token')}"


def _split(image: str) -> tuple[str, str, str]:
    """Return name, separator and tag or digest."""
    separator = "@" if "@" in image else ":"
    name, _, version = image.rpartition(separator)
    return name, separator, version
