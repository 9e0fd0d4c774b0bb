"""What is read of DigitalOcean, and how requests to Spaces are signed."""

from datetime import UTC, datetime
from typing import Any

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ops.api_client import PAGE
from ops.bucket import Bucket
from ops.digitalocean import Api, Spaces, sign
from ops.errors import UsageError
from ops.waiting import CannotTellError
from tests.ops.cloud import APP, Cloud

NOW = datetime(2026, 11, 26, 9, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize("key", ["droplets/412345678.json", "a b/ü+~.json"])
def test_a_request_is_signed_as_amazons_own_client_does(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """The local DigitalOcean checks no signature, and the real one does."""
    host = "presence360-staging-status-app.fra1.digitaloceanspaces.com"
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **_: NOW.replace(tzinfo=None))
    request = AWSRequest("GET", f"https://{host}/{key}")
    signer: Any = botocore.auth.S3SigV4Auth(Credentials("AKEY", "secret"), "s3", "us-east-1")
    # Amazon's client signs "unsigned" over HTTPS; we sign the empty body, as Spaces also takes over HTTP.
    request.context["payload_signing_enabled"] = True
    path = signer._normalize_url_path(f"/{key}")
    signer.add_auth(request)
    ours = sign(host, path, access_key="AKEY", secret_key="secret", at=NOW)
    assert ours["x-amz-date"] == request.headers["X-Amz-Date"]
    assert ours["x-amz-content-sha256"] == request.headers["X-Amz-Content-SHA256"]
    assert ours["authorization"] == request.headers["Authorization"]


def test_all_pages_of_droplets_are_read(cloud: Cloud) -> None:
    cloud.server.account.quotas = type(cloud.server.account.quotas)(droplets=PAGE + 9)
    names = [f"app-{number}" for number in range(PAGE + 1)]
    for name in names:
        cloud.add(name)
    cloud.add("worker-1", "worker")
    found = Api.of(cloud.environ).tagged("staging-group-app")
    assert [one.name for one in found] == sorted(names)


def test_an_object_is_read_and_one_that_is_not_there_is_none(cloud: Cloud) -> None:
    cloud.server.spaces.put(APP, "droplets/a b.json", b"content")
    spaces = Spaces.of(cloud.environ, "fra1", cloud.time.clock)
    assert spaces.read(APP, "droplets/a b.json") == b"content"
    assert spaces.read(APP, "droplets/c.json") is None


@pytest.mark.parametrize("name", ["DIGITALOCEAN_API_URL", "SPACES_ENDPOINT_URL"])
def test_an_address_that_is_none_is_refused(cloud: Cloud, name: str) -> None:
    environ = {**cloud.environ, name: "file:///etc/passwd"}
    with pytest.raises(CannotTellError, match=f"{name} is not an address: 'file:///etc/passwd'"):
        Api.of(environ), Spaces.of(environ, "fra1")


def test_every_missing_variable_of_a_key_is_named_at_once() -> None:
    both = "SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY are not set"
    with pytest.raises(CannotTellError, match=both):
        Spaces.of({}, "fra1")
    with pytest.raises(UsageError) as raised:
        Bucket.of({}, "fra1", "dumps")
    assert [problem.partition(" ")[0] for problem in raised.value.problems] == [
        "SPACES_ACCESS_KEY_ID",
        "SPACES_SECRET_ACCESS_KEY",
    ]
