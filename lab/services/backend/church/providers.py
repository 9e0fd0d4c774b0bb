"""Rekognition and mNotify, as the worker asks them: each request is counted and is a span, without a word of people."""

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from .outbound import asking

# Settings. Without them they are asked where everybody finds them: AWS' endpoint of the region, and mNotify's.
REKOGNITION = os.environ.get("REKOGNITION_ENDPOINT")
MNOTIFY = os.environ.get("MNOTIFY_ENDPOINT", "https://api.mnotify.com")

# Amazon Rekognition, API reference, SearchFacesByImage, "Errors".
_THROTTLED = {"ProvisionedThroughputExceededException", "ThrottlingException", "LimitExceededException"}


class RejectedError(Exception):
    """Raised where mNotify answered, and sends no such message."""


@cache
def _rekognition() -> Any:
    return boto3.client(
        "rekognition",
        endpoint_url=REKOGNITION,
        aws_access_key_id=os.environ["REKOGNITION_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["REKOGNITION_SECRET_ACCESS_KEY"],
        region_name=os.environ.get("REKOGNITION_REGION", "eu-west-1"),
        # What is throttled is given back to its queue, not waited for.
        config=Config(connect_timeout=3, read_timeout=10, retries={"max_attempts": 0}),
    )


def faces(tenant: str, picture: bytes) -> list[str]:
    """Return whose face it is, by Rekognition's ids in the church's collection."""
    with asking("rekognition", _outcome_of_rekognition, operation="SearchFacesByImage"):
        found = _rekognition().search_faces_by_image(CollectionId=tenant, Image={"Bytes": picture})
    return [match["Face"]["ExternalImageId"] for match in found["FaceMatches"]]


def _outcome_of_rekognition(error: Exception) -> str:
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    return "throttled" if code in _THROTTLED else "error"


def message(phone: str, text: str) -> None:
    """Have mNotify send a message.

    Raises:
        RejectedError: it sends none: the number, the key or the balance.
    """
    # The key is in the address (mNotify, BMS API, "Quick bulk SMS"): no span and no log line may have an address.
    key = urllib.parse.urlencode({"key": os.environ["MNOTIFY_API_KEY"]})
    wanted = {"recipient": [phone], "sender": "Church", "message": text, "is_schedule": False}
    request = urllib.request.Request(  # noqa: S310  a setting, which the platform's operators write
        f"{MNOTIFY}/api/sms/quick?{key}",
        data=json.dumps(wanted).encode(),
        headers={"Content-Type": "application/json"},
    )
    with asking("mnotify", _outcome_of_mnotify):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                said = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            error.close()
            raise RejectedError(f"status {error.code}") from None
        if said.get("status") != "success":
            raise RejectedError("not sent")


def _outcome_of_mnotify(error: Exception) -> str:
    return "rejected" if isinstance(error, RejectedError) else "error"
