"""`backups:` of environment.yaml: dumps of our own, where they go, who can read them, and how long they are kept."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from model.drill_time import MOST_HOURS
from model.ip_ranges import Region
from model.schema import Label, Schema

Hour = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
# age's specification, "The X25519 recipient type": Bech32 with the prefix `age`, of 32 bytes.
RECIPIENT_PATTERN = r"^age1[02-9ac-hj-np-z]{58}$"
Recipient = Annotated[str, StringConstraints(pattern=RECIPIENT_PATTERN)]


class Keep(Schema):
    """How long dumps are kept in the second bucket."""

    days: int = Field(
        default=14,
        ge=2,
        le=90,
        description="Days that every dump is kept; in the first bucket all of them, and no longer.",
    )
    weeks: int = Field(default=8, ge=0, le=104, description="Weeks that the first dump of a week is kept.")
    months: int = Field(
        default=12, ge=0, le=120, description="Months that the first dump of a month is kept."
    )


class Drill(Schema):
    """The weekly restore drill (docs/drill.md)."""

    rpo_hours: int = Field(
        default=30,
        ge=1,
        le=192,
        description="How many hours of data a restore may lose. A drill fails when the newest backup, or a church's "
        "newest dump, is older. DigitalOcean makes a backup each day.",
    )
    rto_minutes: int = Field(
        default=240,
        ge=10,
        le=2880,
        description="How many minutes may pass from the decision to restore a cluster until a church is served again.",
    )
    every_days: int = Field(
        default=30,
        ge=7,
        le=90,
        description="Within how many days each database is restored and looked through at least once.",
    )
    hours: int = Field(
        default=MOST_HOURS,
        ge=1,
        description=f"How many hours one drill may take, at most {MOST_HOURS}: with its fork it has to fit into a job "
        "of GitHub's. What is left is first in the next one.",
    )


class Backups(Schema):
    """Dumps of our own, one of every database each night (docs/backups.md)."""

    copy_region: Region = Field(
        description="The region of the second bucket, which no droplet has a key for: another one than `region`. It "
        "can never be changed."
    )
    recipients: Mapping[Label, Recipient] = Field(
        min_length=1,
        description="Who can read dumps: age's public keys by name (`age-keygen`), the operators' and the drill's. "
        "Each reads everything, so that one lost key loses nothing. The private keys stay off droplets.",
    )
    keep: Keep = Field(default=Keep())
    drill: Drill | None = Field(
        default=None,
        description="The weekly restore drill: a fork of a cluster, looked through and destroyed. `{}` takes the "
        "defaults.",
    )
    hour: Hour = Field(
        default="01:00", description='When the night\'s dumps begin, in UTC, in quotes: "01:00".'
    )
    # Each has three sessions on its cluster (model/pool.py).
    parallel: int = Field(
        default=2,
        ge=1,
        le=8,
        description="How many databases are dumped at a time, in all clusters together.",
    )
    rate_mib: int = Field(
        default=32,
        ge=1,
        le=1000,
        description="How many MiB of each dump are taken a second at most, so that churches do not notice it.",
    )
