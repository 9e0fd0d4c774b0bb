"""The tenants' databases: a tenant's credentials from their bucket, its connections through the droplet's pool."""

import json
import os
import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from sqlalchemy import URL, Engine, create_engine

KEPT_SECONDS = 60
"""How long credentials are believed: a rotated or suspended tenant is noticed after that."""

# Read now: without one of them the service does not start, and its release fails at the first droplet.
BUCKET, ENDPOINT, KEY_ID, KEY = (
    os.environ[f"TENANT_CREDENTIALS_{name}"]
    for name in ("BUCKET", "ENDPOINT", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
)


class NotServedError(Exception):
    """The tenant has no credentials: it is suspended, retired, or nobody's."""


@dataclass
class _Known:
    credentials: dict[str, Any]
    engine: Engine
    until: float


_known: dict[str, _Known] = {}
_lock = threading.Lock()


@cache
def _bucket() -> Any:
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=KEY,
        region_name="us-east-1",
        config=Config(connect_timeout=3, read_timeout=5, retries={"max_attempts": 2}),
    )


def engine_for(tenant: str) -> Engine:
    """Return the engine of a tenant's database.

    Raises:
        NotServedError: it has no credentials object.
    """
    with _lock:
        known = _known.get(tenant)
    if known and known.until > time.monotonic():
        return known.engine
    try:
        key = f"tenants/{tenant}.json"
        found = _bucket().get_object(Bucket=BUCKET, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            _forget(tenant)
            raise NotServedError(tenant) from None
        raise
    credentials = json.loads(found["Body"].read())
    with _lock:
        known = _known.get(tenant)
        if not known or known.credentials != credentials:
            known = _known[tenant] = _Known(credentials, _engine(credentials), 0)
        known.until = time.monotonic() + KEPT_SECONDS
        return known.engine


def _forget(tenant: str) -> None:
    with _lock:
        known = _known.pop(tenant, None)
    if known:
        known.engine.dispose()


def _engine(credentials: dict[str, Any]) -> Engine:
    pool = credentials["pool"]
    return create_engine(
        # A Unix socket, so no TLS: from there on it is PgBouncer's part.
        URL.create(
            "postgresql+psycopg",
            username=credentials["user"],
            password=credentials["password"],
            database=credentials["database"],
            query={"host": pool["host"], "port": str(pool["port"])},
        ),
        # A droplet takes 50 clients of one tenant; this is one process of several.
        pool_size=2,
        max_overflow=3,
        pool_timeout=10,
        # An idle connection may have been closed by a rotation or a restart of PgBouncer.
        pool_pre_ping=True,
    )
