"""What an operator is told where a bucket does not answer, or refuses: what is wrong, and what to do."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ops.bucket import Bucket
from ops.errors import OperationError

KEY, SECRET = "SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY"


class _Refusing:
    """A client whose every request fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, _: str) -> Any:
        def fail(**_: object) -> None:
            raise self.error

        return fail


def _told(error: Exception) -> str:
    with pytest.raises(OperationError) as raised:
        Bucket("staging-backups", _Refusing(error)).keys()
    return str(raised.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("NoSuchBucket", "there is no such bucket in its region. A deploy makes it"),
        ("InvalidAccessKeyId", f"DigitalOcean knows no such key as {KEY} holds"),
        ("SignatureDoesNotMatch", f"{SECRET} is not the secret of the key in {KEY}"),
        ("AccessDenied", f"the key in {KEY} may not do this (list its objects): .env.example says"),
        ("SlowDown", "list its objects: SlowDown. Try again; if it stays, https://status.digitalocean.com"),
    ],
)
def test_a_refusal_is_told_with_what_to_do(code: str, words: str) -> None:
    told = _told(ClientError({"Error": {"Code": code}}, "ListObjectsV2"))
    assert told.startswith("staging-backups: ")
    assert words in told
    assert "list_objects_v2" not in told


def test_no_answer_is_told_with_what_to_look_at() -> None:
    told = _told(EndpointConnectionError(endpoint_url="https://fra1.digitaloceanspaces.com/"))
    assert "Spaces did not answer (list its objects: Could not connect to the endpoint URL" in told
    assert "Is your network up" in told
