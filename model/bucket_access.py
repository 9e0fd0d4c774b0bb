"""Which key opens which bucket, and how far. Grants are made from this table, and a policy compares them with it.

A key is named after the bucket that it is for, without `presence360-<environment>-`. This file imports nothing, because
the policies run where the rest of the model cannot: in checkov's own environment.
"""

from enum import StrEnum
from typing import Literal

Permission = Literal["read", "readwrite"]


class Bucket(StrEnum):
    """What a bucket is for: the part of its name behind the environment. A group's name follows some."""

    CONFIGURATION = "config"
    """Of a group: all that its droplets fetch."""
    STATUS = "status"
    """Of a group: what its droplets say of themselves."""
    CREDENTIALS = "tenant-credentials"
    DIRECTORY = "tenant-registry"
    EXPORTS = "exports"
    METRICS = "metrics"
    BACKUPS = "backups"
    """Dumps of databases."""
    BACKUPS_COPY = "backups-copy"
    """The same in another region, out of the reach of every droplet."""
    STATE = "state"
    """Of Terraform."""


OWN_CONFIGURATION: Permission = "read"
"""A droplet that could write it would choose what its group runs."""
OWN_STATUS: Permission = "readwrite"
OTHERS_STATUS: Permission = "read"
"""Of the control group and the observability group: migrations, the watchdog, who receives telemetry."""
CREDENTIALS: Permission = "read"
"""Of groups whose services use the tenants' databases."""
WRITTEN_BY_TERRAFORM: Permission = "read"
"""The key of a service for a bucket whose objects Terraform writes."""

SERVICE_KEYS: dict[Bucket, Permission] = {
    Bucket.CREDENTIALS: WRITTEN_BY_TERRAFORM,
    Bucket.DIRECTORY: WRITTEN_BY_TERRAFORM,
    Bucket.EXPORTS: "readwrite",
    Bucket.METRICS: "readwrite",
    Bucket.BACKUPS: "readwrite",
    Bucket.STATE: "readwrite",
}
"""Keys that open the one bucket they are named after."""

COPIER_KEY: dict[Bucket, Permission] = {Bucket.BACKUPS: "read", Bucket.BACKUPS_COPY: "readwrite"}
"""Of the workflow that copies dumps, named after the second bucket. No droplet has it."""
