"""The bucket for consented snapshots and exports, and the key that services write it with.

There is no prefix for raw video: it is never stored.
"""

from collections.abc import Sequence

from cdktf_cdktf_provider_digitalocean.spaces_bucket import (
    SpacesBucket,
    SpacesBucketLifecycleRule,
    SpacesBucketLifecycleRuleExpiration,
    SpacesBucketLifecycleRuleNoncurrentVersionExpiration,
    SpacesBucketVersioning,
)
from cdktf_cdktf_provider_digitalocean.spaces_bucket_cors_configuration import (
    SpacesBucketCorsConfiguration,
    SpacesBucketCorsConfigurationCorsRule,
)
from cdktf_cdktf_provider_digitalocean.spaces_key import SpacesKey, SpacesKeyGrant
from constructs import Construct

from constructs_lib.lifecycle import KEEP
from constructs_lib.private_bucket import ABORT_UPLOAD_DAYS
from model.bucket_access import SERVICE_KEYS, Bucket
from model.data import BucketPlan
from model.service_variables import KEY_VARIABLES

# A deleted object's old version is a way back from a mistake for a week, and then it is gone as consent demands.
NONCURRENT_DAYS = 7

# What a page needs for signed downloads (GET), signed uploads (PUT) and signed forms (POST). Deleting is the services'.
METHODS = ("GET", "HEAD", "POST", "PUT")
# What a signed upload may name beside the headers that every page may send; a signature covers what it was made with.
HEADERS = ("Content-Disposition", "Content-Type")
# How long a browser keeps the answer; 10 minutes, so that a change of names is not waited for.
MAX_AGE_SECONDS = 600


class ExportsBucket(Construct):
    """A private, versioned bucket whose objects expire by prefix, and a key that reads and writes it and nothing else.

    Pages of the environment's own names reach it from a browser, by requests that a service has signed.

    It is one key for all churches' objects: a key opens whole buckets (docs/digitalocean.md), and services tell
    churches apart.

    Attributes:
        name: the bucket's name.
        urn: what is assigned to the project.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, plan: BucketPlan, origins: Sequence[str]
    ) -> None:
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
        SpacesBucketCorsConfiguration(
            self,
            "cors",
            bucket=bucket.name,
            region=plan.region,
            cors_rule=[
                SpacesBucketCorsConfigurationCorsRule(
                    allowed_origins=list(origins),
                    allowed_methods=list(METHODS),
                    allowed_headers=list(HEADERS),
                    # Of an upload's answer, for a page that puts the parts of a large one together.
                    expose_headers=["ETag"],
                    max_age_seconds=MAX_AGE_SECONDS,
                )
            ],
        )
        self._key = SpacesKey(
            self,
            "writer",
            name=plan.name,
            grant=[SpacesKeyGrant(bucket=bucket.name, permission=SERVICE_KEYS[Bucket.EXPORTS])],
        )
        self.name = bucket.name
        self.urn = bucket.urn

    def key_variables(self, name: str) -> dict[str, str]:
        """Return the key that writes here: by environment variable an expression, without `${}`."""
        key = self._key.fqn
        values = (f"{key}.access_key", f"{key}.secret_key")
        return {f"{name}_{part}": value for part, value in zip(KEY_VARIABLES, values, strict=True)}
