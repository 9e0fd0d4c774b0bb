"""The private buckets in which droplets say how they are: one for each group."""

from collections.abc import Sequence

from cdktf_cdktf_provider_digitalocean.spaces_key import SpacesKeyGrant
from constructs import Construct

from constructs_lib.private_bucket import versioned_bucket
from model import bucket_access, runs
from model.droplets import DropletGroupPlan

# A droplet writes its object again every few minutes (model/status.py). The last one of a droplet that is gone stays
# this long, for somebody who asks what happened, and so that a canary that failed and fell silent holds its group.
EXPIRE_DAYS = 3
# Every bucket has versions (policies/rules/spaces.py); an earlier status has no use.
NONCURRENT_DAYS = 1


class StatusBuckets(Construct):
    """A private bucket for each group, which that group's key alone writes.

    They hold no data of people: release, phase, result and time. They are protected all the same, because a group's
    turns follow what is in them, and Spaces blocks the name of a destroyed bucket for a week or more.

    Attributes:
        urns: what is assigned to the project.
    """

    def __init__(self, scope: Construct, construct_id: str, *, groups: Sequence[DropletGroupPlan]) -> None:
        super().__init__(scope, construct_id)
        buckets = {
            group.config.status_bucket: versioned_bucket(
                self,
                group.group,
                name=group.config.status_bucket,
                region=group.config.region,
                noncurrent_days=NONCURRENT_DAYS,
                expire_days=EXPIRE_DAYS,
                expire_folders={runs.RUNS: runs.EXPIRE_DAYS},
            )
            for group in groups
        }
        # References, so that a key comes after the buckets that it opens.
        self._names = {name: bucket.name for name, bucket in buckets.items()}
        self.urns = [bucket.urn for bucket in buckets.values()]

    def grants(self, plan: DropletGroupPlan) -> list[SpacesKeyGrant]:
        """Return what a group's key may do here: write its own bucket, read the control and observability groups'."""
        own, watchdog = plan.config.status_bucket, plan.watchdog
        receivers = plan.telemetry.receivers if plan.telemetry else None
        # In this order, so that a group without the others has the grants that it had.
        others = dict.fromkeys((plan.config.control_status_bucket, watchdog or own, receivers or own))
        return [
            SpacesKeyGrant(bucket=self._names[own], permission=bucket_access.OWN_STATUS),
            *(
                SpacesKeyGrant(bucket=self._names[other], permission=bucket_access.OTHERS_STATUS)
                for other in others
                if other != own
            ),
        ]
