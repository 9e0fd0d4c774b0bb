"""Spaces: moto's S3 server, with DigitalOcean's host names, regions and keys in front of it.

Clients ask for buckets by host name, `<bucket>.<region>.digitaloceanspaces.test`. These names do not resolve: the
stand-in is the clients' HTTP proxy (server.py, `environment`), so neither the hosts file nor DNS changes.
"""

import os
import pickle
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug import Request as HttpRequest
from werkzeug import Response

from lab.local_digitalocean import droplet_status, spaces_keys
from lab.local_digitalocean.store import Account

DOMAIN = "digitaloceanspaces.test"
"""In place of digitaloceanspaces.com; a name under .test never resolves (RFC 6761, section 6.2)."""

_HOST = re.compile(rf"^(?:(?P<bucket>[a-z0-9.-]+)\.)?(?P<region>[a-z]{{3}}\d)\.{re.escape(DOMAIN)}(?::\d+)?$")
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")
# Path style needs a host that moto takes for S3 itself.
_MOTO_HOST = "s3.amazonaws.com"
_READS, _MAKES_BUCKET = {"GET", "HEAD"}, {"PUT", "DELETE"}
_OPERATIONS = (
    "versioning",
    "lifecycle",
    "acl",
    "location",
    "versions",
    "cors",
    "policy",
    "uploads",
    "tagging",
)
CREATED = range(200, 300)
ERRORS = {
    "InvalidAccessKeyId": 403,
    "AccessDenied": 403,
    "NoSuchBucket": 404,
}


def is_for_spaces(host: str) -> bool:
    """Tell whether a request's host is one of Spaces."""
    return _HOST.match(host) is not None


class Spaces:
    """Buckets and objects.

    Attributes:
        file: where they are saved; None keeps them in memory only.
    """

    def __init__(self, account: Account, file: Path | None = None) -> None:
        self._account = account
        self.file = file
        self._moto = DomainDispatcherApplication(create_backend_app)
        if file is not None and file.exists():
            # Only save() writes this file, with mode 0600.
            self._backend.buckets.update(pickle.loads(file.read_bytes()))  # noqa: S301
            for name in self._backend.buckets:
                s3_backends.bucket_accounts[name] = ("aws", DEFAULT_ACCOUNT_ID)

    @property
    def _backend(self) -> Any:
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def forget(self) -> None:
        """Drop everything: moto keeps one set of buckets a process."""
        s3_backends.reset()

    def save(self) -> None:
        """Write everything to the file, all or nothing."""
        if self.file is None:
            return
        unfinished = self.file.with_suffix(".unfinished")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            pickle.dump(dict(self._backend.buckets), file)
        unfinished.replace(self.file)

    def content(self, bucket: str, key: str) -> bytes | None:
        """Return an object's content; None if there is none."""
        found = self._backend.buckets.get(bucket)
        stored = None if found is None else self._backend.get_object(bucket, key)
        return None if stored is None else bytes(stored.value)

    def keys(self, bucket: str) -> list[str]:
        """Return the keys of a bucket's objects; none where there is no bucket."""
        found = self._backend.buckets.get(bucket)
        return [] if found is None else sorted(key for key in found.keys)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object as a client with a key would."""
        self._backend.put_object(bucket, key, content)
        self.save()

    def answer(self, environ: dict[str, Any]) -> tuple[Response, str, str]:
        """Answer a request; return the operation's name and ``/bucket/key`` too."""
        request = HttpRequest(environ)
        bucket, region, key = self._address(request)
        operation = operation_of(request.method, bucket, key, request.query_string.decode())
        path = f"/{bucket}/{key}" if bucket else "/"
        refused = self._refusal(request, bucket, region, key)
        if refused is not None:
            return _error(refused, bucket), operation, path
        if operation == "GetBucketLocation":
            return _location(region), operation, path
        if request.method in _READS and key:
            droplet_status.speak(self._account, self, bucket)
        response = self._forward(environ, path)
        if not key and bucket and not request.query_string and response.status_code in CREATED:
            self._remember(request.method, bucket, region)
        if request.method not in _READS:
            self.save()
        return response, operation, path

    def _address(self, request: HttpRequest) -> tuple[str, str, str]:
        match = _HOST.match(request.host)
        if match is None:
            raise ValueError(f"no host of Spaces: {request.host}")
        path = request.path.lstrip("/")
        if match["bucket"]:
            return match["bucket"], match["region"], path
        bucket, _, key = path.partition("/")
        return bucket, match["region"], key

    def _refusal(self, request: HttpRequest, bucket: str, region: str, key: str) -> str | None:
        """Return S3's code for why not, or None."""
        credential = _CREDENTIAL.search(request.headers.get("Authorization", ""))
        access_key = (
            credential[1] if credential else request.args.get("X-Amz-Credential", "").partition("/")[0]
        )
        if not spaces_keys.known(self._account, access_key):
            return "InvalidAccessKeyId"
        what = spaces_keys.READ if request.method in _READS else spaces_keys.WRITE
        if not key and request.method in _MAKES_BUCKET:
            what = spaces_keys.ADMINISTER
        if not spaces_keys.allows(self._account, access_key, bucket, what):
            return "AccessDenied"
        known = self._account.tables["buckets"].get(bucket)
        makes = not key and request.method == "PUT" and not request.query_string
        if bucket and not makes and (known is None or known["region"] != region):
            return "NoSuchBucket"
        return None

    def _remember(self, method: str, bucket: str, region: str) -> None:
        buckets = self._account.tables["buckets"]
        if method == "PUT":
            created = self._account.clock.stamp()
            buckets.setdefault(bucket, {"name": bucket, "region": region, "created_at": created})
        elif method == "DELETE":
            buckets.pop(bucket, None)

    def _forward(self, environ: dict[str, Any], path: str) -> Response:
        inner = {**environ, "HTTP_HOST": _MOTO_HOST, "SERVER_NAME": _MOTO_HOST, "SERVER_PORT": "80"}
        inner |= {"PATH_INFO": path.rstrip("/") or "/" if path.count("/") < 3 else path}  # noqa: PLR2004
        inner["RAW_URI"] = inner["REQUEST_URI"] = inner["PATH_INFO"]
        return Response.from_app(self._moto, inner, buffered=True)


def operation_of(method: str, bucket: str, key: str, query: str) -> str:
    """Name what is asked of S3, as its API reference does."""
    verb = {"PUT": "Put", "GET": "Get", "DELETE": "Delete", "HEAD": "Head", "POST": "Post"}.get(
        method, method
    )
    if not bucket:
        return "ListBuckets"
    if key:
        return f"{verb}Object"
    asked = set(parse_qs(query, keep_blank_values=True))
    for name in _OPERATIONS:
        if name in asked:
            return "ListObjectVersions" if name == "versions" else f"{verb}Bucket{name.capitalize()}"
    return "CreateBucket" if method == "PUT" else "ListObjects" if method == "GET" else f"{verb}Bucket"


def _error(code: str, bucket: str) -> Response:
    body = f"<Error><Code>{code}</Code><BucketName>{escape(bucket)}</BucketName></Error>"
    return _xml(body, ERRORS[code])


def _location(region: str) -> Response:
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    return _xml(f'<LocationConstraint xmlns="{namespace}">{region}</LocationConstraint>', 200)


def _xml(body: str, status: int) -> Response:
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>\n{body}', status, content_type="application/xml")
