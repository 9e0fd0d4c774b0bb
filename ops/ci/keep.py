"""Where a plan waits for its approval: the environment's own state bucket.

A plan holds the state, so it belongs where the state is, opened by the key that opens the state. An artifact of a CI
is readable by everyone who can read the repository, and an encrypted one needs one more long-lived secret.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.cdktf_cli import UsageError
from ops.ci.errors import StepError

PREFIX = "plans/"
DEPLOYED = "deployed/"
STALE_AFTER = timedelta(days=30)
"""An approval is waited for 30 days at most (GitHub, "Reviewing deployments"): older plans are nobody's."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Client(Protocol):
    """The part of an S3 client that is used here; boto3 has no types of its own."""

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> Mapping[str, Any]: ...  # noqa: D102, N803
    def get_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]: ...  # noqa: D102, N803
    def delete_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]: ...  # noqa: D102, N803
    def list_objects_v2(self, *, Bucket: str, Prefix: str) -> Mapping[str, Any]: ...  # noqa: D102, N803


@dataclass(frozen=True)
class PlanStore:
    """Plans below ``plans/<id>/`` in a state bucket."""

    client: Client
    bucket: str

    @classmethod
    def of_stack(cls, folder: Path, environ: Mapping[str, str]) -> Self:
        """Find the bucket where Terraform finds it: in the stack's backend, with the backend's key.

        Raises:
            UsageError: the stack's state is no bucket's.
        """
        stack = json.loads((folder / "cdk.tf.json").read_text(encoding="utf-8"))
        backend = stack["terraform"]["backend"].get("s3")
        if backend is None:
            raise UsageError(
                [f"{folder.name} keeps its state in a file here, so its plans stay here: leave KEEP out"]
            )
        session = boto3.session.Session(
            aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY"),
            profile_name=environ.get("AWS_PROFILE") or None,
            region_name=backend["region"],
        )
        # Spaces is not AWS: as in the backend, no checksums that it does not know.
        config = Config(
            request_checksum_calculation="when_required", response_checksum_validation="when_required"
        )
        client: Client = session.client("s3", endpoint_url=backend["endpoints"]["s3"], config=config)
        return cls(client, backend["bucket"])

    def put(self, name: str, folder: Path) -> None:
        """Keep every file of a folder under a name, and drop what nobody will approve any more."""
        self._drop_old()
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            self._call(
                "put_object", Key=_key(name, file.relative_to(folder).as_posix()), Body=file.read_bytes()
            )

    def get(self, name: str, folder: Path) -> None:
        """Bring back what was kept under a name.

        Raises:
            StepError: nothing is.
        """
        prefix = _key(name, "")
        found = self._call("list_objects_v2", Prefix=prefix).get("Contents", [])
        if not found:
            raise StepError(
                f"no plan {name} is kept in {self.bucket}: it was applied, or it is older than "
                f"{STALE_AFTER.days} days. Plan again, and review that."
            )
        for entry in found:
            file = (folder / entry["Key"].removeprefix(prefix)).resolve()
            if not file.is_relative_to(folder.resolve()):
                raise StepError(f"{self.bucket} holds {entry['Key']}, which is no plan's file")
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.write_bytes(self._call("get_object", Key=entry["Key"])["Body"].read())

    def drop(self, name: str) -> None:
        """Delete what was kept under a name."""
        for entry in self._call("list_objects_v2", Prefix=_key(name, "")).get("Contents", []):
            self._call("delete_object", Key=entry["Key"])

    def deployed(self, stack: str) -> str:
        """Return the commit that a stack was last deployed from; empty where this bucket does not know."""
        return (self.read(f"{DEPLOYED}{stack}") or b"").decode().strip()

    def read(self, key: str) -> bytes | None:
        """Return an object of the bucket, or None."""
        found = self._call("list_objects_v2", Prefix=key).get("Contents", [])
        if key not in {entry["Key"] for entry in found}:
            return None
        content: bytes = self._call("get_object", Key=key)["Body"].read()
        return content

    def remember_deployed(self, stack: str, commit: str) -> None:
        """Note which commit a stack was deployed from: the next plan is judged against what it knew of tenants."""
        if commit:
            self._call("put_object", Key=f"{DEPLOYED}{stack}", Body=f"{commit}\n".encode())

    def _drop_old(self) -> None:
        oldest = datetime.now(UTC) - STALE_AFTER
        for entry in self._call("list_objects_v2", Prefix=PREFIX).get("Contents", []):
            if entry["LastModified"] < oldest:
                self._call("delete_object", Key=entry["Key"])

    def _call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = getattr(self.client, operation)(Bucket=self.bucket, **arguments)
        except (BotoCoreError, ClientError) as error:
            raise StepError(f"the state bucket {self.bucket} does not answer {operation}: {error}") from error
        return answer


def _key(name: str, file: str) -> str:
    if not _ID.fullmatch(name):
        raise UsageError(
            [f"KEEP={name!r} is no name for a plan: letters, digits, dots, - and _, at most 100"]
        )
    return f"{PREFIX}{name}/{file}"
