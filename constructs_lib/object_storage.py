"""The bucket for consented snapshots and exports. There is no prefix for raw video: it is never stored."""

from cdktf_cdktf_provider_digitalocean.spaces_bucket import (
    SpacesBucket,
    SpacesBucketLifecycleRule,
    SpacesBucketLifecycleRuleExpiration,
    SpacesBucketLifecycleRuleNoncurrentVersionExpiration,
    SpacesBucketVersioning,
)
from constructs import Construct

from constructs_lib.lifecycle import KEEP
from constructs_lib.private_bucket import ABORT_UPLOAD_DAYS
from model.data import BucketPlan

# A deleted object's old version is a way back from a mistake for a week, and then it is gone as consent demands.
NONCURRENT_DAYS = 7


class ExportsBucket(Construct):
    """A private, versioned bucket whose objects expire by prefix.

    Attributes:
        name: the bucket's name.
        urn: what is assigned to the project.
    """

    def __init__(self, scope: Construct, construct_id: str, *, plan: BucketPlan) -> None:
        super().__init__(scope, construct_id)
        bucket = SpacesBucket(
            self,
            "bucket",
            name=plan.name,
            region=plan.region,
            acl="private",
            force_destroy=False,
            versioning=SpacesBucketVersioning(enabled=True),
            lifecycle_rule=[
                SpacesBucketLifecycleRule(
                    id=f"expire-{prefix.rstrip('/')}",
                    prefix=prefix,
                    enabled=True,
                    expiration=SpacesBucketLifecycleRuleExpiration(days=days),
                    noncurrent_version_expiration=SpacesBucketLifecycleRuleNoncurrentVersionExpiration(
                        days=NONCURRENT_DAYS
                    ),
                    abort_incomplete_multipart_upload_days=ABORT_UPLOAD_DAYS,
                )
                for prefix, days in plan.ttl_days.items()
            ],
            lifecycle=KEEP,
        )
        self.name = bucket.name
        self.urn = bucket.urn
