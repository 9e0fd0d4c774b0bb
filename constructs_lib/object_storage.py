"""The bucket for consented snapshots and exports, and the key that services write it with.

There is no prefix for raw video: it is never stored.
"""

from cdktf_cdktf_provider_digitalocean.spaces_bucket import (
    SpacesBucket,
    SpacesBucketLifecycleRule,
    SpacesBucketLifecycleRuleExpiration,
    SpacesBucketLifecycleRuleNoncurrentVersionExpiration,
    SpacesBucketVersioning,
)
from cdktf_cdktf_provider_digitalocean.spaces_key import SpacesKey, SpacesKeyGrant
from constructs import Construct

from constructs_lib.lifecycle import KEEP
from constructs_lib.private_bucket import ABORT_UPLOAD_DAYS
from model.data import BucketPlan
from model.service_variables import KEY_VARIABLES

# A deleted object's old version is a way back from a mistake for a week, and then it is gone as consent demands.
NONCURRENT_DAYS = 7


class ExportsBucket(Construct):
    """A private, versioned bucket whose objects expire by prefix, and a key that reads and writes it and nothing else.

    It is one key for all churches' objects: a key opens whole buckets (docs/digitalocean.md), and services tell
    churches apart.

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
        self._key = SpacesKey(
            self,
            "writer",
            name=plan.name,
            grant=[SpacesKeyGrant(bucket=bucket.name, permission="readwrite")],
        )
        self.name = bucket.name
        self.urn = bucket.urn

    def key_variables(self, name: str) -> dict[str, str]:
        """Return the key that writes here: by environment variable an expression, without `${}`."""
        key = self._key.fqn
        values = (f"{key}.access_key", f"{key}.secret_key")
        return {f"{name}_{part}": value for part, value in zip(KEY_VARIABLES, values, strict=True)}
