"""Store of plans that wait for approval: the environment's own state bucket.

A plan holds the state, so it is kept with the state, under the same key. Everyone who can read the repository can read
an artifact of CI, and an encrypted artifact needs one more long-lived secret.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.arguments import told
from ops.ci.errors import StepError
from ops.errors import UsageError

PREFIX = "plans/"
DEPLOYED = "deployed/"
STALE_AFTER = timedelta(days=30)
"""The longest wait for an approval is 30 days (GitHub, "Reviewing deployments"): older plans are deleted."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Client(Protocol):
    """The part of an S3 client that is used here; boto3 has no types."""

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> Mapping[str, Any]: ...  # noqa: D102, N803
    def get_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]: ...  # noqa: D102, N803
    def delete_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]: ...  # noqa: D102, N803
    def list_objects_v2(self, *, Bucket: str, Prefix: str, **more: str) -> Mapping[str, Any]: ...  # noqa: D102, N803


@dataclass(frozen=True)
class PlanStore:
    """Plans below ``plans/<id>/`` in a state bucket."""

    client: Client
    bucket: str

    @classmethod
    def of_stack(cls, folder: Path, environ: Mapping[str, str]) -> Self:
        """Return the store in the bucket of a stack's backend, with the backend's key.

        Raises:
            UsageError: the stack does not keep its state in a bucket.
        """
        stack = json.loads((folder / "cdk.tf.json").read_text(encoding="utf-8"))
        backend = stack["terraform"]["backend"].get("s3")
        if backend is None:
            raise UsageError(
                [
                    f"{folder.name} keeps its state in a local file, so its plans stay local too: leave KEEP out"
                ]
            )
        session = boto3.session.Session(
            aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY"),
            profile_name=environ.get("AWS_PROFILE") or None,
            region_name=backend["region"],
        )
        # As in the backend: Spaces does not support the checksums that AWS clients send.
        config = Config(
            request_checksum_calculation="when_required", response_checksum_validation="when_required"
        )
        client: Client = session.client("s3", endpoint_url=backend["endpoints"]["s3"], config=config)
        return cls(client, backend["bucket"])

    def put(self, name: str, folder: Path) -> None:
        """Store every file of a folder under a name, and delete plans that are too old."""
        self._drop_old()
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            self._call(
                "put_object", Key=_key(name, file.relative_to(folder).as_posix()), Body=file.read_bytes()
            )

    def get(self, name: str, folder: Path) -> None:
        """Load the files that were stored under a name.

        Raises:
            StepError: there are none.
        """
        prefix = _key(name, "")
        found = list(self._list(prefix))
        if not found:
            raise StepError(
                f"{self.bucket} has no plan {told(name)}: it was applied, or it is older than "
                f"{STALE_AFTER.days} days. Plan again, and review that plan."
            )
        # A plan holds every secret of the state: nobody else may enter the folder.
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        for entry in found:
            file = (folder / entry["Key"].removeprefix(prefix)).resolve()
            if not file.is_relative_to(folder.resolve()):
                raise StepError(f"{self.bucket} holds {entry['Key']}, which is not a file of a plan")
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.write_bytes(self._call("get_object", Key=entry["Key"])["Body"].read())

    def drop(self, name: str) -> None:
        """Delete the files that were stored under a name."""
        for entry in self._list(_key(name, "")):
            self._call("delete_object", Key=entry["Key"])

    def deployed(self, stack: str) -> str:
        """Return the commit that a stack was last deployed from; empty if the bucket does not have it."""
        return (self.read(f"{DEPLOYED}{stack}") or b"").decode().strip()

    def read(self, key: str) -> bytes | None:
        """Return an object of the bucket, or None."""
        if key not in {entry["Key"] for entry in self._list(key)}:
            return None
        content: bytes = self._call("get_object", Key=key)["Body"].read()
        return content

    def remember_deployed(self, stack: str, commit: str) -> None:
        """Store the commit that a stack was deployed from: the next plan is judged against its tenants.lock."""
        if commit:
            self._call("put_object", Key=f"{DEPLOYED}{stack}", Body=f"{commit}\n".encode())

    def _drop_old(self) -> None:
        oldest = datetime.now(UTC) - STALE_AFTER
        for entry in self._list(PREFIX):
            if entry["LastModified"] < oldest:
                self._call("delete_object", Key=entry["Key"])

    def _list(self, prefix: str) -> Iterator[Mapping[str, Any]]:
        """Yield every object below a prefix. An answer has at most 1,000 (S3 API reference, ListObjectsV2)."""
        more: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", Prefix=prefix, **more)
            yield from page.get("Contents", [])
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = getattr(self.client, operation)(Bucket=self.bucket, **arguments)
        except (BotoCoreError, ClientError) as error:
            raise StepError(f"the state bucket {self.bucket} does not answer {operation}: {error}") from error
        return answer


def _key(name: str, file: str) -> str:
    if not _ID.fullmatch(name):
        raise UsageError(
            [f"KEEP={name!r} is not a name for a plan: use at most 100 letters, digits, dots, - and _"]
        )
    return f"{PREFIX}{name}/{file}"
