"""A Spaces bucket as operators' programs use it: lists, streams large objects, and erases every version."""

import hashlib
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.credentials import check_spaces
from ops.errors import OperationError
from ops.waiting import LOOK_AT_THE_NETWORK

_KEYS = ("SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY")
_ENDPOINT = "https://{{.Region}}.digitaloceanspaces.com"
_CHUNK_BYTES = 1024 * 1024
_MISSING = frozenset({"404", "NoSuchKey"})
# The second: another one is being written at this moment (Amazon S3 user guide, "Conditional writes").
_EXISTS = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
_WORDS = {
    "list_objects_v2": "list its objects",
    "list_object_versions": "list its versions",
    "put_object": "write an object",
    "delete_objects": "delete objects",
}
"""What an operation of boto3 does, for a message."""
# DeleteObjects takes this many at a time (Amazon S3 API reference).
_ERASED_AT_ONCE = 1000


@dataclass(frozen=True)
class Version:
    """One version of an object, or the mark of a deletion.

    Attributes:
        key: the object's.
        version: its id.
        current: whether it is the newest.
        deleted: whether it is the mark of a deletion.
        bytes: its length; 0 for a mark.
        at: when it was written.
    """

    key: str
    version: str
    current: bool
    deleted: bool
    bytes: int
    at: datetime


@dataclass(frozen=True)
class Dated:
    """An object, and when it was written.

    Attributes:
        content: of the object.
        at: when it was written.
        ago: how long ago that was. Both are by the clock of Spaces: those of two programs, or droplets, may differ.
    """

    content: bytes
    at: datetime
    ago: timedelta


class Bucket:
    """One bucket, opened with the key in the variables that the provider reads.

    Attributes:
        name: the bucket's.
    """

    def __init__(self, name: str, client: Any) -> None:
        self.name, self._client = name, client

    @classmethod
    def of(cls, environ: Mapping[str, str], region: str, name: str) -> "Bucket":
        """Return a bucket of a region.

        Raises:
            UsageError: there is no key.
            OperationError: the address of Spaces is none.
        """
        check_spaces(environ)
        endpoint = (environ.get("SPACES_ENDPOINT_URL") or _ENDPOINT).replace("{{.Region}}", region)
        if urllib.parse.urlsplit(endpoint).scheme not in {"http", "https"}:
            raise OperationError(f"SPACES_ENDPOINT_URL is not an address: {endpoint!r}")
        # Spaces does not support the checksums that AWS clients send.
        config = Config(
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"total_max_attempts": 5, "mode": "standard"},
        )
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=environ[_KEYS[0]],
            aws_secret_access_key=environ[_KEYS[1]],
            region_name="us-east-1",
            config=config,
        )
        return cls(name, client)

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys of the objects with a prefix, sorted."""
        found: list[str] = []
        more: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", Bucket=self.name, Prefix=prefix, **more)
            found += [str(one["Key"]) for one in page.get("Contents", [])]
            if not page.get("IsTruncated"):
                return sorted(found)
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def read(self, key: str) -> bytes | None:
        """Return a small object; None if there is none."""
        try:
            answer = self._client.get_object(Bucket=self.name, Key=key)
            content: bytes = answer["Body"].read()
        except (ClientError, BotoCoreError) as error:
            if _code(error) in _MISSING:
                return None
            raise self._failed(f"read {key}", error) from None
        return content

    def read_dated(self, key: str) -> Dated | None:
        """Return a small object, and how long ago it was written, both by the clock of Spaces; None if there is none.

        Raises:
            OperationError: it cannot be read, or the answer has no time.
        """
        try:
            answer = self._client.get_object(Bucket=self.name, Key=key)
            content: bytes = answer["Body"].read()
        except (ClientError, BotoCoreError) as error:
            if _code(error) in _MISSING:
                return None
            raise self._failed(f"read {key}", error) from None
        try:
            # RFC 9110, section 6.6.1: a server with a clock says the time of each answer.
            now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        except (KeyError, ValueError):
            raise OperationError(f"{self.name}: the answer to read {key} has no time") from None
        at: datetime = answer["LastModified"]
        return Dated(content, at.astimezone(UTC), max(now - at, timedelta()))

    def write(self, key: str, content: bytes) -> None:
        """Write a small object."""
        self._call("put_object", Bucket=self.name, Key=key, Body=content)

    def create(self, key: str, content: bytes) -> bool:
        """Write a small object if there is none; return whether it was written.

        Spaces was seen to honour If-None-Match (docs/digitalocean.md, "State locks need one header").
        """
        try:
            self._client.put_object(Bucket=self.name, Key=key, Body=content, IfNoneMatch="*")
        except (ClientError, BotoCoreError) as error:
            if _code(error) in _EXISTS:
                return False
            raise self._failed(f"write {key}", error) from None
        return True

    def fetch(self, key: str, into: Path | None = None) -> tuple[int, str]:
        """Read an object as a stream, into a file if one is named; return its length and its digest."""
        digest, size = hashlib.sha256(), 0
        file = into.open("wb") if into else None
        try:
            body = self._client.get_object(Bucket=self.name, Key=key)["Body"]
            for chunk in body.iter_chunks(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
                if file:
                    file.write(chunk)
        except (ClientError, BotoCoreError) as error:
            raise self._failed(f"read {key}", error) from None
        finally:
            if file:
                file.close()
        return size, digest.hexdigest()

    def put(self, file: Path, key: str) -> None:
        """Write an object from a file, in parts if it is large."""
        try:
            self._client.upload_file(str(file), self.name, key)
        except (ClientError, BotoCoreError, boto3.exceptions.S3UploadFailedError) as error:
            raise self._failed(f"write {key}", error) from None

    def versions(self, prefix: str) -> Iterator[Version]:
        """Yield every version of the objects with a prefix, and every mark of a deletion."""
        more: dict[str, str] = {}
        while True:
            page = self._call("list_object_versions", Bucket=self.name, Prefix=prefix, **more)
            for kind in ("Versions", "DeleteMarkers"):
                for one in page.get(kind, []):
                    yield Version(
                        str(one["Key"]),
                        str(one["VersionId"]),
                        bool(one["IsLatest"]),
                        kind == "DeleteMarkers",
                        int(one.get("Size", 0)),
                        one["LastModified"],
                    )
            if not page.get("IsTruncated"):
                return
            more = {
                "KeyMarker": page["NextKeyMarker"],
                **({"VersionIdMarker": marker} if (marker := page.get("NextVersionIdMarker")) else {}),
            }

    def written(self, prefix: str) -> list[datetime]:
        """Return when each version of the objects with a prefix was written, or deleted."""
        return [one.at for one in self.versions(prefix)]

    def erase(self, prefix: str) -> int:
        """Delete every version of the objects with a prefix; return how many."""
        return self.remove(list(self.versions(prefix)))

    def remove(self, found: Sequence[Version]) -> int:
        """Delete these versions, and none that came after them; return how many."""
        for begin in range(0, len(found), _ERASED_AT_ONCE):
            part = [
                {"Key": one.key, "VersionId": one.version} for one in found[begin : begin + _ERASED_AT_ONCE]
            ]
            answer = self._call("delete_objects", Bucket=self.name, Delete={"Objects": part, "Quiet": True})
            if errors := answer.get("Errors"):
                raise OperationError(
                    f"{self.name}: {errors[0].get('Key')} was not deleted: {errors[0].get('Code')}"
                )
        return len(found)

    def _call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = getattr(self._client, operation)(**arguments)
        except (ClientError, BotoCoreError) as error:
            raise self._failed(operation, error) from None
        return answer

    def _failed(self, what: str, error: Exception) -> OperationError:
        code, told = _code(error), _WORDS.get(what, what)
        if code == "NoSuchBucket":
            remedy = (
                "there is no such bucket in its region. A deploy makes it (presence360 plan, then presence360 apply). "
                "If the environment is deployed, is this another account's key (.env)?"
            )
        elif code == "InvalidAccessKeyId":
            remedy = f"DigitalOcean knows no such key as {_KEYS[0]} holds: it is deleted or mistyped (.env.example)"
        elif code == "SignatureDoesNotMatch":
            remedy = f"{_KEYS[1]} is not the secret of the key in {_KEYS[0]}: see .env.example"
        elif code in {"AccessDenied", "403"}:
            remedy = (
                f"the key in {_KEYS[0]} may not do this ({told}): .env.example says which rights an operator's key "
                "needs"
            )
        elif isinstance(error, BotoCoreError):
            remedy = f"Spaces did not answer ({told}: {error}). {LOOK_AT_THE_NETWORK}"
        else:
            remedy = f"{told}: {code or error}. Try again; if it stays, https://status.digitalocean.com"
        return OperationError(f"{self.name}: {remedy}")


def _code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""
