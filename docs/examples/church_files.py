"""Addresses that let a person's browser upload or download one file of a church, for minutes.

Only services hold the bucket's key, and it opens every church's files. So a service decides who may do what, and signs
that one request. Whether a person in a picture agreed to it is the application's to know, before it signs.
"""

import mimetypes
import os
import re
import uuid
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

SECONDS = 300
"""How long a signature is good for: a slow connection begins its upload in that time."""


@dataclass(frozen=True)
class Kind:
    """What may be stored below one prefix. Its objects expire after the days that `storage:` says.

    Attributes:
        prefix: the platform's, from the environment.
        types: the content types that are taken. There is none of video or audio: raw video is never stored.
        most_bytes: of one file.
    """

    prefix: str
    types: frozenset[str]
    most_bytes: int


EXPORTS = Kind(
    os.environ["EXPORTS_PREFIX"],
    frozenset({"application/pdf", "application/zip", "text/csv"}),
    100 * 1024 * 1024,
)
SNAPSHOTS = Kind(
    os.environ["SNAPSHOTS_PREFIX"], frozenset({"image/jpeg", "image/png", "image/webp"}), 5 * 1024 * 1024
)


class RefusedError(Exception):
    """The file may not be stored; the message may be shown to a person."""


def client() -> Any:
    """Return the bucket's client. Addresses name the bucket in the host, as a browser's policy of content expects."""
    return boto3.client(
        "s3",
        endpoint_url=os.environ["EXPORTS_ENDPOINT"],
        region_name=os.environ["EXPORTS_REGION"],
        aws_access_key_id=os.environ["EXPORTS_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["EXPORTS_SECRET_ACCESS_KEY"],
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "virtual"},
            # Checksums that newer boto3 adds by itself would be headers that the browser has to send.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def new_key(kind: Kind, church: uuid.UUID, content_type: str) -> str:
    """Return a key for a new file of a church. It holds nothing that a person wrote.

    Raises:
        RefusedError: files of this type are not stored there.
    """
    if content_type not in kind.types:
        allowed = ", ".join(sorted(kind.types))
        raise RefusedError(f"Files of type {content_type} are not stored. Allowed: {allowed}.")
    return f"{kind.prefix}{church}/{uuid.uuid4()}{mimetypes.guess_extension(content_type)}"


def upload_form(s3: Any, kind: Kind, key: str, content_type: str) -> dict[str, Any]:
    """Return `url` and `fields` of a form that uploads one file, of this type and no larger than the kind's most.

    It is a form and not a signed PUT, because a PUT's signature says nothing of the size.
    """
    fields = {"Content-Type": content_type, "success_action_status": "201"}
    conditions: list[Any] = [
        {"Content-Type": content_type},
        {"success_action_status": "201"},
        ["content-length-range", 1, kind.most_bytes],
    ]
    form: dict[str, Any] = s3.generate_presigned_post(
        os.environ["EXPORTS_BUCKET"], key, Fields=fields, Conditions=conditions, ExpiresIn=SECONDS
    )
    return form


def download_address(s3: Any, key: str, church: uuid.UUID, file_name: str) -> str:
    """Return an address that downloads a file of a church under a name; a browser saves it and never shows it.

    Raises:
        RefusedError: the file is another church's.
    """
    kinds = (EXPORTS, SNAPSHOTS)
    if not any(key.startswith(f"{kind.prefix}{church}/") for kind in kinds):
        raise RefusedError("There is no such file.")
    safe = re.sub(r"[^\w. -]", "_", file_name, flags=re.ASCII) or "file"
    parameters = {
        "Bucket": os.environ["EXPORTS_BUCKET"],
        "Key": key,
        "ResponseContentDisposition": f'attachment; filename="{safe}"',
        "ResponseCacheControl": "private, no-store",
    }
    return str(s3.generate_presigned_url("get_object", Params=parameters, ExpiresIn=SECONDS))
