"""Spaces, asked with the keys that the provider and Terraform's backend use."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ENDPOINT = "https://{{.Region}}.digitaloceanspaces.com"
"""The provider's own default of SPACES_ENDPOINT_URL; it puts the region in."""

UNKNOWN_KEY = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSecurity"})
"""S3's codes for a key that does not exist, or whose secret is wrong."""


class SpacesError(Exception):
    """Spaces did not answer, or refused.

    Attributes:
        code: S3's; empty if there was no answer.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Key:
    """One key, used at one endpoint.

    Attributes:
        access_key: its public half; empty if a profile has none.
    """

    def __init__(self, endpoint: str, session: Any, environ: Mapping[str, str]) -> None:
        found = session.get_credentials()
        self.access_key: str = found.access_key if found else ""
        # Spaces does not support the checksums that AWS clients send.
        config = Config(
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"total_max_attempts": 2},
            # Those of the variables that Terraform gets, which need not be this process's own.
            proxies={
                scheme: proxy
                for scheme in ("http", "https")
                if (proxy := environ.get(f"{scheme.upper()}_PROXY") or environ.get(f"{scheme}_proxy"))
            },
        )
        self._client: Any = session.client("s3", endpoint_url=endpoint, config=config)

    @classmethod
    def of_provider(cls, environ: Mapping[str, str], region: str) -> "Key":
        """Return the key with which the provider makes buckets and objects."""
        endpoint = (environ.get("SPACES_ENDPOINT_URL") or ENDPOINT).replace("{{.Region}}", region)
        session = boto3.session.Session(
            aws_access_key_id=environ.get("SPACES_ACCESS_KEY_ID"),
            aws_secret_access_key=environ.get("SPACES_SECRET_ACCESS_KEY"),
            region_name="us-east-1",
        )
        return cls(endpoint, session, environ)

    @classmethod
    def of_backend(cls, environ: Mapping[str, str], backend: Mapping[str, Any]) -> "Key":
        """Return the key with which Terraform reads and writes a state."""
        session = boto3.session.Session(
            aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY"),
            profile_name=environ.get("AWS_PROFILE") or None,
            region_name=backend["region"],
        )
        return cls(backend["endpoints"]["s3"], session, environ)

    def buckets(self) -> list[str]:
        """Return the names of all buckets of the region."""
        return [str(one["Name"]) for one in self._call("list_buckets").get("Buckets", [])]

    def look_into(self, bucket: str) -> None:
        """Read the list of a bucket's objects, as far as one."""
        self._call("list_objects_v2", Bucket=bucket, MaxKeys=1)

    def _call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = getattr(self._client, operation)(**arguments)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            raise SpacesError(f"Spaces answered {code} to {operation}", code) from None
        except (BotoCoreError, ValueError) as error:
            raise SpacesError(f"Spaces did not answer {operation}: {error}") from None
        return answer


def backend_of(folder: Path) -> Mapping[str, Any] | None:
    """Return the s3 backend of the stack in a folder; None if its state is in a file."""
    stack = json.loads((folder / "cdk.tf.json").read_text(encoding="utf-8"))
    found: Mapping[str, Any] | None = stack["terraform"]["backend"].get("s3")
    return found
