"""Spaces: buckets by host name through the proxy, keys that open what they are granted, regions, what survives."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.local_digitalocean.server import Server

# Neither comes with types.
boto3: Any = importlib.import_module("boto3")
Config: Any = importlib.import_module("botocore.config").Config
ClientError: type[Exception] = importlib.import_module("botocore.exceptions").ClientError

BUCKET = "presence360-staging-exports"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path).start()
    yield server
    server.stop()
    server.spaces.forget()


def client(server: Server, *, region: str = "fra1", key: tuple[str, str] | None = None) -> Any:
    """S3's client as a droplet or the provider has it: bucket in the host name, which only the proxy resolves."""
    known = server.environment()
    access, secret = key or (known["SPACES_ACCESS_KEY_ID"], known["SPACES_SECRET_ACCESS_KEY"])
    return boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=known["SPACES_ENDPOINT_URL"].replace("{{.Region}}", region),
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        config=Config(
            proxies={"http": known["HTTP_PROXY"]},
            s3={"addressing_style": "virtual"},
            retries={"total_max_attempts": 1},
            request_checksum_calculation="when_required",
        ),
    )


def code(error: pytest.ExceptionInfo[Exception]) -> str:
    return str(vars(error.value)["response"]["Error"]["Code"])


def test_a_bucket_is_made_versioned_and_emptied(server: Server) -> None:
    s3 = client(server)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    versions = {
        s3.put_object(Bucket=BUCKET, Key="a/b.txt", Body=text)["VersionId"] for text in (b"one", b"two")
    }
    assert len(versions) == 2
    assert s3.get_object(Bucket=BUCKET, Key="a/b.txt")["Body"].read() == b"two"
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == "fra1"
    with pytest.raises(ClientError) as refused:
        s3.delete_bucket(Bucket=BUCKET)
    assert code(refused) == "BucketNotEmpty"
    for version in versions:
        s3.delete_object(Bucket=BUCKET, Key="a/b.txt", VersionId=version)
    s3.delete_bucket(Bucket=BUCKET)
    assert server.account.tables["buckets"] == {}


def test_a_bucket_is_in_one_region(server: Server) -> None:
    client(server).create_bucket(Bucket=BUCKET)
    with pytest.raises(ClientError) as refused:
        client(server, region="nyc3").list_objects(Bucket=BUCKET)
    assert code(refused) == "NoSuchBucket"


def test_a_key_opens_what_it_is_granted_and_nothing_else(server: Server) -> None:
    s3 = client(server)
    for bucket in (BUCKET, "other"):
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="a", Body=b"text")
    key = {
        "access_key": "LOCALREADER",
        "name": "reader",
        "grants": [{"bucket": BUCKET, "permission": "read"}],
    }
    server.account.tables["spaces_keys"]["LOCALREADER"] = key
    reader = client(server, key=("LOCALREADER", "secret"))
    assert reader.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"text"
    all_forbidden: tuple[Callable[[], object], ...] = (
        lambda: reader.put_object(Bucket=BUCKET, Key="a", Body=b"mine"),
        lambda: reader.delete_object(Bucket=BUCKET, Key="a"),
        lambda: reader.get_object(Bucket="other", Key="a"),
        lambda: reader.create_bucket(Bucket="mine"),
    )
    for forbidden in all_forbidden:
        with pytest.raises(ClientError) as refused:
            forbidden()
        assert code(refused) == "AccessDenied"
    with pytest.raises(ClientError) as refused:
        client(server, key=("NOBODY", "secret")).get_object(Bucket=BUCKET, Key="a")
    assert code(refused) == "InvalidAccessKeyId"


def test_objects_and_their_versions_survive_a_restart(server: Server, tmp_path: Path) -> None:
    s3 = client(server)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=BUCKET, Key="a", Body=b"text", ContentType="text/plain")["VersionId"]
    server.spaces.forget()
    again = Server(tmp_path).start()
    try:
        found = client(again).get_object(Bucket=BUCKET, Key="a")
        assert (found["Body"].read(), found["VersionId"], found["ContentType"]) == (
            b"text",
            version,
            "text/plain",
        )
        client(again).put_object(Bucket=BUCKET, Key="a", Body=b"more")
        assert len(client(again).list_object_versions(Bucket=BUCKET)["Versions"]) == 2
    finally:
        again.stop()


def test_calls_to_spaces_are_logged_by_operation_and_suffer_faults(server: Server) -> None:
    s3 = client(server)
    s3.create_bucket(Bucket=BUCKET)
    server.faults.set({"faults": [f"PUT /{BUCKET}/a 503"]})
    with pytest.raises(ClientError):
        s3.put_object(Bucket=BUCKET, Key="a", Body=b"text")
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"text")
    logged = [(call.service, call.route, call.path, call.status) for call in server.calls]
    assert logged == [
        ("spaces", "CreateBucket", f"/{BUCKET}/", 200),
        ("spaces", "", f"/{BUCKET}/a", 503),
        ("spaces", "PutObject", f"/{BUCKET}/a", 200),
    ]
