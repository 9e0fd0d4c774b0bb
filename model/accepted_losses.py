"""`accepted_losses:` of environment.yaml: what is gone at DigitalOcean and may be made anew, empty.

The plan guard reads it from the last commit (docs/plan-guard.md), so that two people have seen it. It changes no stack.
"""

from typing import Annotated

from pydantic import Field, StringConstraints

from model.schema import Schema, Text

LossName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9_-]+)?$", max_length=200)
]
# ISO 8601, a calendar date. Whether a month has that day is the guard's to say, which has the clock as well.
Day = Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]


class AcceptedLoss(Schema):
    """One resource that was lost outside of Terraform, and that an apply may make again without its data."""

    resource: LossName = Field(
        description="Its name at DigitalOcean, as the plan guard writes it: staging-pg-shared for a cluster with "
        "everything in it, staging-pg-shared/control_plane for one database of a cluster that still exists."
    )
    until: Day = Field(
        description='The last day (UTC) on which this counts, such as "2026-12-04": at most 14 days ahead.'
    )
    reason: Text = Field(description="What happened, and where the data comes back from.")
