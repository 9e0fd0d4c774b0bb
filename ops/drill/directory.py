"""The churches of a source as the directory has them, with how services reach each: read from the buckets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.naming import CONTROL_PLANE_DATABASE, CONTROL_PLANE_USER
from model.plan import EnvironmentPlan
from model.tenancy import Tier
from ops.bucket import Bucket
from ops.errors import OperationError

_RETIRED = "retired"


@dataclass(frozen=True)
class Directory:
    """What the directory names in one cluster.

    Attributes:
        databases: each with the user that logs in; None for a church that is not served.
        records: by database, the object with the church's credentials.
    """

    databases: Mapping[str, str | None]
    records: Mapping[str, Mapping[str, Any]]


def read(plan: EnvironmentPlan, source: str, directory: Bucket, credentials: Bucket) -> Directory:
    """Read the directory, and the credentials of those who are in a cluster.

    Raises:
        OperationError: something in it cannot be read.
    """
    databases: dict[str, str | None] = {}
    records: dict[str, Mapping[str, Any]] = {}
    if plan.control_plane.cluster == source:
        databases[CONTROL_PLANE_DATABASE] = CONTROL_PLANE_USER
    for key in directory.keys():  # noqa: SIM118  (a bucket is no mapping)
        entry = _json(directory, key)
        if _home(plan, entry) != source or entry.get("status") == _RETIRED:
            continue
        database = str(entry["database"])
        databases[database] = None
        where = entry.get("credentials")
        if isinstance(where, Mapping):
            record = _json(credentials, str(where["key"]))
            records[database] = record
            databases[database] = str(record.get("user"))
    return Directory(dict(sorted(databases.items())), records)


def _home(plan: EnvironmentPlan, entry: Mapping[str, Any]) -> str:
    """Return the cluster that has a church, as the plan calls it."""
    if entry.get("tier") == Tier.DEDICATED:
        return str(entry["id"])
    cell = str(entry.get("cell") or "")
    return cell if cell in {one.cell for one in plan.cells} else plan.tenant_plane.cluster


def _json(bucket: Bucket, key: str) -> Mapping[str, Any]:
    content = bucket.read(key)
    try:
        value = json.loads(content or b"")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, Mapping):
        raise OperationError(f"{bucket.name}/{key} is no JSON object")
    return value
