"""Private buckets, and keys that open them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from cdktf import TerraformLocal
from cdktf_cdktf_provider_digitalocean.data_digitalocean_spaces_bucket import DataDigitaloceanSpacesBucket
from cdktf_cdktf_provider_digitalocean.spaces_bucket import (
    SpacesBucket,
    SpacesBucketLifecycleRule,
    SpacesBucketLifecycleRuleExpiration,
    SpacesBucketLifecycleRuleNoncurrentVersionExpiration,
    SpacesBucketVersioning,
)
from cdktf_cdktf_provider_digitalocean.spaces_bucket_object import SpacesBucketObject
from cdktf_cdktf_provider_digitalocean.spaces_key import SpacesKey, SpacesKeyGrant
from constructs import Construct

from constructs_lib.lifecycle import KEEP
from constructs_lib.terraform_text import address, string
from model import bucket_access
from model.naming import spaces_endpoint
from model.private_bucket import PrivateBucketPlan
from model.service_variables import BUCKET_VARIABLES

# The parts of an upload that its client gave up are paid for and no object shows them.
ABORT_UPLOAD_DAYS = 1


def versioned_bucket(
    scope: Construct,
    construct_id: str,
    *,
    name: str,
    region: str,
    noncurrent_days: int,
    expire_days: int | None = None,
    expire_folders: Mapping[str, int] = MappingProxyType({}),
) -> SpacesBucket:
    """Make a private bucket that no plan destroys.

    Args:
        scope: the construct that it belongs to.
        construct_id: its id there.
        name: the bucket's name.
        region: where it is.
        noncurrent_days: how long an overwritten or deleted object stays readable.
        expire_days: how long an object stays that is not written again; None keeps it.
        expire_folders: the same in days for folders; earlier versions of their objects go as soon, or sooner.
    """
    folders = [
        SpacesBucketLifecycleRule(
            id=f"expire-{folder}",
            enabled=True,
            prefix=f"{folder}/",
            expiration=SpacesBucketLifecycleRuleExpiration(days=days),
            # No longer than the others: of two rules that hold for a version, it is not documented which one wins.
            noncurrent_version_expiration=SpacesBucketLifecycleRuleNoncurrentVersionExpiration(
                days=min(days, noncurrent_days)
            ),
        )
        for folder, days in sorted(expire_folders.items())
    ]
    return SpacesBucket(
        scope,
        construct_id,
        name=name,
        region=region,
        acl="private",
        force_destroy=False,
        versioning=SpacesBucketVersioning(enabled=True),
        lifecycle_rule=[
            SpacesBucketLifecycleRule(
                id="expire-old-versions",
                enabled=True,
                expiration=SpacesBucketLifecycleRuleExpiration(days=expire_days) if expire_days else None,
                noncurrent_version_expiration=SpacesBucketLifecycleRuleNoncurrentVersionExpiration(
                    days=noncurrent_days
                ),
                abort_incomplete_multipart_upload_days=ABORT_UPLOAD_DAYS,
            ),
            *folders,
        ],
        lifecycle=KEEP,
    )


class PrivateBucket(Construct):
    """A private, versioned bucket, and a key that reads it and nothing else.

    Attributes:
        name: the bucket's name, known now.
        urn: what is assigned to the project.
    """

    def __init__(self, scope: Construct, construct_id: str, *, plan: PrivateBucketPlan) -> None:
        super().__init__(scope, construct_id)
        self.name = plan.name
        self._region = plan.region
        self._bucket = versioned_bucket(
            self, "bucket", name=plan.name, region=plan.region, noncurrent_days=plan.noncurrent_days
        )
        self._key = SpacesKey(
            self,
            "reader",
            name=plan.name,
            grant=[SpacesKeyGrant(bucket=self._bucket.name, permission=bucket_access.WRITTEN_BY_TERRAFORM)],
        )
        self.urn = self._bucket.urn

    def grant(self) -> SpacesKeyGrant:
        """Return the right to read the bucket, for another key."""
        return SpacesKeyGrant(bucket=self._bucket.name, permission=bucket_access.CREDENTIALS)

    def variables(self, name: str) -> dict[str, str]:
        """Return how a service reaches the bucket: by environment variable an expression, without `${}`."""
        key = self._key.fqn
        values = (
            string(self.name),
            string(spaces_endpoint(self._region)),
            f"{key}.access_key",
            f"{key}.secret_key",
        )
        return {f"{name}_{part}": value for part, value in zip(BUCKET_VARIABLES, values, strict=True)}

    def objects(self, construct_id: str, *, each: TerraformLocal, key: str, content: str) -> None:
        """Add an object for each entry of a map of tenants: see `add_objects`."""
        add_objects(
            self,
            construct_id,
            bucket=self._bucket.name,
            region=self._region,
            each=each,
            key=key,
            content=content,
        )


class FoundBucket(Construct):
    """A private bucket that another stack of the environment made, found by name.

    Attributes:
        name: the bucket's name, known now.
    """

    def __init__(self, scope: Construct, construct_id: str, *, name: str, region: str) -> None:
        super().__init__(scope, construct_id)
        self.name = name
        self._region = region
        # A plan fails here, and not halfway through its deploy, while the bucket is not there.
        self._bucket = DataDigitaloceanSpacesBucket(self, "bucket", name=name, region=region)

    def objects(self, construct_id: str, *, each: TerraformLocal, key: str, content: str) -> None:
        """Add an object for each entry of a map of tenants: see `add_objects`."""
        add_objects(
            self,
            construct_id,
            bucket=self._bucket.id,
            region=self._region,
            each=each,
            key=key,
            content=content,
        )

    def object(
        self, construct_id: str, *, key: str, content: str, after: SpacesBucketObject | None = None
    ) -> tuple[SpacesBucketObject, str]:
        """Add one JSON object, and return it with an expression for its text.

        Args:
            construct_id: its id.
            key: its key in the bucket.
            content: an expression, without `${}`, for what its JSON says.
            after: what must be written before.
        """
        text = address(TerraformLocal(self, f"{construct_id}-content", f"${{jsonencode({content})}}"))
        written = _json_object(
            self,
            construct_id,
            self._bucket.id,
            self._region,
            key,
            f"${{{text}}}",
            after=[after] if after else None,
        )
        return written, text


TenantObjects = PrivateBucket | FoundBucket
"""Where a stack puts an object for each of its tenants."""


def add_objects(
    scope: Construct,
    construct_id: str,
    *,
    bucket: str,
    region: str,
    each: TerraformLocal,
    key: str,
    content: str,
) -> None:
    """Add an object for each entry of a map of tenants; ``content`` is an expression, without `${}`, for its JSON.

    The map is the resource's own `for_each`: see `tenant_databases`.
    """
    objects = _json_object(scope, construct_id, bucket, region, key, f"${{jsonencode({content})}}")
    objects.add_override("for_each", f"${{{each.fqn}}}")


def _json_object(
    scope: Construct,
    construct_id: str,
    bucket: str,
    region: str,
    key: str,
    text: str,
    *,
    after: Sequence[SpacesBucketObject] | None = None,
) -> SpacesBucketObject:
    return SpacesBucketObject(
        scope,
        construct_id,
        bucket=bucket,
        region=region,
        key=key,
        acl="private",
        content=text,
        content_type="application/json",
        depends_on=after,
    )
