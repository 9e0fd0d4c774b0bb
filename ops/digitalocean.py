"""What is read of DigitalOcean while a deploy waits: droplets, pools, health checks, and objects of Spaces.

Terraform runs a program that needs this with any Python (ops/wait_until_serving.py), so it is written with the standard
library alone. Nothing is written but objects, by who asks for a run (ops/remote_run.py).
"""

import hashlib
import hmac
import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops.api_client import ApiError, Client, read
from ops.waiting import SYSTEM_CLOCK, CannotTellError, Clock, TryAgainError

REQUEST_SECONDS = 10
# A load balancer's sample is taken about every two minutes: a longer window never misses the last one.
WINDOW_SECONDS = 10 * 60

HTTP_UNAUTHORIZED, HTTP_FORBIDDEN, HTTP_NOT_FOUND = 401, 403, 404

# Amazon S3 API reference, "Error responses": SlowDown (503) asks to send it again; a request that is wrong (400 to 499)
# changes nothing. Other errors of a server's leave open what it did before.
_NOT_DONE = frozenset({*range(400, 500), 503})

# Spaces is not AWS, and its signatures may name any region.
_SIGNING_REGION = "us-east-1"


@dataclass(frozen=True)
class Droplet:
    """A droplet as the API describes it.

    Attributes:
        id: DigitalOcean's id, which also names the droplet's status object.
        name: its name.
        status: ``new``, ``active``, ``off`` or ``archive``.
        addresses: its IPv4 addresses.
        public: the one that SSH reaches it by from outside; empty while it has none.
    """

    id: str
    name: str
    status: str
    addresses: tuple[str, ...] = ()
    public: str = ""

    @property
    def names(self) -> frozenset[str]:
        """What a metric may call it."""
        return frozenset({self.id, self.name, *self.addresses})


class Api:
    """The endpoints of DigitalOcean's API that are read here."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Api":
        """Take address and token from the variables that the provider reads.

        Raises:
            CannotTellError: there is no token, or the address is none.
        """
        if not (environ.get("DIGITALOCEAN_TOKEN") or environ.get("DIGITALOCEAN_ACCESS_TOKEN")):
            raise CannotTellError("DIGITALOCEAN_TOKEN is not set; see .env.example")
        try:
            # A program that waits asks again by itself.
            return cls(Client.of(environ, seconds=REQUEST_SECONDS, tries=1))
        except ApiError as error:
            raise CannotTellError(str(error)) from None

    def droplet(self, droplet_id: str) -> Droplet:
        """Return a droplet.

        Raises:
            CannotTellError: it does not exist.
        """
        with self._asking(gone="the droplet is gone"):
            found = self._client.get(f"/v2/droplets/{_quoted(droplet_id)}")
        return _droplet(found["droplet"])

    def tagged(self, tag: str) -> list[Droplet]:
        """Return the droplets with a tag, by name."""
        with self._asking():
            found = [_droplet(one) for one in self._client.pages("/v2/droplets", "droplets", tag_name=tag)]
        return sorted(found, key=lambda one: (one.name, one.id))

    def members(self, pool: str) -> list[str]:
        """Return the ids of a pool's droplets (OpenAPI document, autoscale_pool_list_members).

        Raises:
            CannotTellError: the pool does not exist.
        """
        path = f"/v2/droplets/autoscale/{_quoted(pool)}/members"
        with self._asking(gone="the pool is gone"):
            return [str(one["droplet_id"]) for one in self._client.pages(path, "droplets")]

    def health(self, load_balancer: str, until: float) -> list[Any]:
        """Return what a load balancer reports on its droplets: one series per droplet, as Prometheus writes them.

        OpenAPI document, monitoring_get_lb_droplets_health_checks.
        """
        path = "/v2/monitoring/metrics/load_balancer/droplets_health_checks"
        with self._asking():
            answer = self._client.get(
                path, lb_id=load_balancer, start=int(until) - WINDOW_SECONDS, end=int(until)
            )
        return list(answer["data"]["result"])

    @contextmanager
    def _asking(self, gone: str = "") -> Iterator[None]:
        """Turn what goes wrong into the two ways in which a question is not answered."""
        try:
            yield
        except ApiError as error:
            if error.status in {HTTP_UNAUTHORIZED, HTTP_FORBIDDEN}:
                raise CannotTellError(
                    f"{error}: the token needs the scopes droplet:read and monitoring:read"
                ) from None
            if error.status == HTTP_NOT_FOUND and gone:
                raise CannotTellError(gone) from None
            raise TryAgainError(str(error)) from None


class MaybeWrittenError(TryAgainError):
    """The request to write was sent, and no answer says whether it was carried out."""


class Spaces:
    """Objects in the Spaces of a region, read with the key that the provider has."""

    def __init__(self, endpoint: str, access_key: str, secret_key: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self._endpoint = urllib.parse.urlsplit(endpoint)
        self._access_key, self._secret_key, self._clock = access_key, secret_key, clock

    @classmethod
    def of(cls, environ: Mapping[str, str], region: str, clock: Clock = SYSTEM_CLOCK) -> "Spaces":
        """Take the key, and another address if there is one, from the variables that the provider reads.

        Raises:
            CannotTellError: there is no key, or the address is none.
        """
        names = ("SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY")
        if missing := [name for name in names if not environ.get(name)]:
            verb = "are" if len(missing) > 1 else "is"
            raise CannotTellError(f"{' and '.join(missing)} {verb} not set; see .env.example")
        # Provider documentation, "spaces_endpoint": a template with the region.
        template = environ.get("SPACES_ENDPOINT_URL") or "https://{{.Region}}.digitaloceanspaces.com"
        endpoint = template.replace("{{.Region}}", region)
        if urllib.parse.urlsplit(endpoint).scheme not in {"http", "https"}:
            raise CannotTellError(f"SPACES_ENDPOINT_URL is not an address: {template!r}")
        return cls(endpoint, environ[names[0]], environ[names[1]], clock)

    def read(self, bucket: str, key: str) -> bytes | None:
        """Return an object's content; None if there is no such object.

        Raises:
            CannotTellError: the key may not read it.
            TryAgainError: Spaces did not answer.
        """
        return self._send("GET", bucket, key)

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object.

        Raises:
            CannotTellError: the key may not write it, or there is no such bucket.
            MaybeWrittenError: the request was sent, and not answered.
            TryAgainError: it was not written: Spaces was not reached, or refused.
        """
        if self._send("PUT", bucket, key, content) is None:
            raise CannotTellError(f"there is no bucket {bucket}")

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; nothing happens if there is none.

        Raises:
            CannotTellError: the key may not delete it.
            TryAgainError: Spaces did not answer.
        """
        self._send("DELETE", bucket, key)

    def _send(self, method: str, bucket: str, key: str, body: bytes = b"") -> bytes | None:
        host = f"{bucket}.{self._endpoint.netloc}"
        path = "/" + urllib.parse.quote(key, safe="/-_.~")
        headers = sign(
            host,
            path,
            access_key=self._access_key,
            secret_key=self._secret_key,
            at=self._clock.time(),
            method=method,
            body=body,
        )
        if body:
            headers["content-type"] = "application/json"
        request = urllib.request.Request(  # noqa: S310  (Spaces.of checks the address)
            f"{self._endpoint.scheme}://{host}{path}", headers=headers, method=method, data=body or None
        )
        try:
            return read(request, REQUEST_SECONDS)
        except urllib.error.HTTPError as error:
            if error.code == HTTP_NOT_FOUND:
                return None
            if error.code in {HTTP_UNAUTHORIZED, HTTP_FORBIDDEN}:
                verb = "read" if method == "GET" else "write"
                raise CannotTellError(
                    f"Spaces answered {error.code}: the key in SPACES_ACCESS_KEY_ID may not {verb} the bucket {bucket}"
                ) from None
            refused = TryAgainError if method == "GET" or error.code in _NOT_DONE else MaybeWrittenError
            raise refused(f"Spaces answered {error.code}") from None
        except urllib.error.URLError as error:
            # What goes wrong until the whole request is sent (urllib.request, AbstractHTTPHandler.do_open).
            raise TryAgainError(f"Spaces was not reached: {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            unanswered = TryAgainError if method == "GET" else MaybeWrittenError
            raise unanswered(f"Spaces did not answer: {error}") from None


def sign(
    host: str,
    path: str,
    *,
    access_key: str,
    secret_key: str,
    at: datetime,
    method: str = "GET",
    body: bytes = b"",
) -> dict[str, str]:
    """Return the headers of a request without a query.

    Amazon S3 API reference, "Signature Calculations for the Authorization Header".
    """
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    payload = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": payload, "x-amz-date": stamp}
    signed = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"{method}\n{path}\n\n{lines}\n{signed}\n{payload}"
    scope = f"{stamp[:8]}/{_SIGNING_REGION}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), "sha256").hex()
    return {
        **headers,
        "authorization": f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={signed}, "
        f"Signature={signature}",
    }


def _quoted(part: str) -> str:
    return urllib.parse.quote(part, safe="")


def _droplet(found: Mapping[str, Any]) -> Droplet:
    networks = found.get("networks", {}).get("v4", [])
    addresses = tuple(network["ip_address"] for network in networks)
    public = next((one["ip_address"] for one in networks if one.get("type") == "public"), "")
    return Droplet(str(found["id"]), found["name"], found["status"], addresses, public)
