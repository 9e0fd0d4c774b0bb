"""Two buckets for dumps of our own, in two regions, and the two keys: one that writes dumps, one that copies them."""

import json

from cdktf import TerraformOutput
from cdktf_cdktf_provider_digitalocean.spaces_key import SpacesKey, SpacesKeyGrant
from constructs import Construct

from constructs_lib.private_bucket import versioned_bucket
from constructs_lib.terraform_text import address, string
from model.backups import DUMPS, NONCURRENT_DAYS, REQUEST_DAYS, REQUESTS, BackupsPlan
from model.bucket_access import COPIER_KEY, SERVICE_KEYS, Bucket
from model.naming import spaces_endpoint
from model.restore_drill import REPORT_DAYS, REPORTS


class Backups(Construct):
    """The buckets, which no plan destroys, and their keys.

    The writer's key opens the first bucket alone, and is on the droplets of the control group. The copier's reads the
    first and writes the second, and is on no droplet: what breaks into a droplet reaches no copy.

    Attributes:
        settings: an expression, without `${}`, for what the job that dumps is told; sensitive.
        urns: what is assigned to the project.
    """

    def __init__(self, scope: Construct, construct_id: str, *, plan: BackupsPlan) -> None:
        super().__init__(scope, construct_id)
        first = versioned_bucket(
            self,
            "bucket",
            name=plan.bucket,
            region=plan.region,
            noncurrent_days=NONCURRENT_DAYS,
            expire_folders={DUMPS: plan.keep_days, REQUESTS: REQUEST_DAYS, REPORTS: REPORT_DAYS},
        )
        second = versioned_bucket(
            self,
            "copy",
            name=plan.copy_bucket,
            region=plan.copy_region,
            noncurrent_days=NONCURRENT_DAYS,
            expire_folders=plan.copy_days,
        )
        writer = SpacesKey(
            self,
            "writer",
            name=plan.bucket,
            grant=[SpacesKeyGrant(bucket=first.name, permission=SERVICE_KEYS[Bucket.BACKUPS])],
        )
        copier = SpacesKey(
            self,
            "copier",
            name=plan.copy_bucket,
            grant=[
                SpacesKeyGrant(bucket=first.name, permission=COPIER_KEY[Bucket.BACKUPS]),
                SpacesKeyGrant(bucket=second.name, permission=COPIER_KEY[Bucket.BACKUPS_COPY]),
            ],
        )
        key = address(writer)
        self.settings = (
            f"{{ bucket = {string(plan.bucket)}, endpoint = {string(spaces_endpoint(plan.region))}, "
            f"access_key = {key}.access_key, secret_key = {key}.secret_key, "
            f"recipients = {json.dumps(plan.recipients)}, hour = {string(plan.hour)}, "
            f"parallel = {plan.parallel}, rate_mib = {plan.rate_mib}{', drill = true' if plan.drill else ''} }}"
        )
        self.urns = [first.urn, second.urn]
        output = TerraformOutput(
            self,
            "key",
            description="SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY of the workflow that copies dumps "
            "(docs/backups.md). No droplet has this key.",
            value={"access_key_id": copier.access_key, "secret_access_key": copier.secret_key},
            sensitive=True,
        )
        output.override_logical_id("backups_copy_key")
