"""Private buckets that services read with keys of their own."""

from dataclasses import dataclass

from model.environment import EnvironmentFile
from model.naming import Names

# Old credentials work until their user is dropped, and are of no use afterwards.
CREDENTIALS_NONCURRENT_DAYS = 1
DIRECTORY_NONCURRENT_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class PrivateBucketPlan:
    """A private bucket and the key that reads it and nothing else."""

    name: str
    region: str
    noncurrent_days: int
    """How long the object before an edit stays readable."""


def plan_credentials(file: EnvironmentFile, names: Names) -> PrivateBucketPlan:
    """Decide the bucket with the tenants' credentials, which all cells share."""
    return PrivateBucketPlan(
        name=names.bucket("tenant-credentials"),
        region=file.region,
        noncurrent_days=CREDENTIALS_NONCURRENT_DAYS,
    )


def plan_directory(file: EnvironmentFile, names: Names) -> PrivateBucketPlan:
    """Decide the bucket with the directory of tenants, which all cells share; no secret is in it.

    It keeps the name that it was deployed under, from when the directory was called a registry.
    """
    return PrivateBucketPlan(
        name=names.bucket("tenant-registry"),
        region=file.region,
        noncurrent_days=DIRECTORY_NONCURRENT_DAYS,
    )
