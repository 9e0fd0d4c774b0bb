"""Where Terraform's state lives, and the stack that makes that place."""

from collections.abc import Sequence

from cdktf import LocalBackend, S3Backend, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_digitalocean.spaces_key import SpacesKey, SpacesKeyGrant
from constructs import Construct

from constructs_lib.private_bucket import versioned_bucket
from constructs_lib.provider import use_digitalocean
from model.bucket_access import SERVICE_KEYS, Bucket
from model.naming import BOOTSTRAP_STACK
from model.state import StatePlan

# How long an overwritten state stays as a way back.
NONCURRENT_STATE_DAYS = 90


SPACES = "https://{{.Region}}.digitaloceanspaces.com"
"""Where Spaces are: the default, and the form, of the provider's SPACES_ENDPOINT_URL."""


def use_state(stack: TerraformStack, plan: StatePlan, *, local: bool, spaces: str = SPACES) -> None:
    """Keep a stack's state in its environment's Space, or in a local file where somebody asks for that."""
    if local:
        use_local_state(stack)
    else:
        use_spaces_state(stack, plan, spaces)


def use_spaces_state(stack: TerraformStack, plan: StatePlan, spaces: str) -> None:
    """Keep a stack's state in its environment's Space, locked while somebody works on it.

    The keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: as an argument they would be in the output.
    """
    S3Backend(
        stack,
        bucket=plan.bucket,
        key=plan.key,
        # Spaces is not AWS: the region is one that Terraform accepts, and AWS's own checks are skipped.
        region="us-east-1",
        endpoints={"s3": spaces.replace("{{.Region}}", plan.region)},
        skip_credentials_validation=True,
        skip_requesting_account_id=True,
        skip_metadata_api_check=True,
        skip_region_validation=True,
        skip_s3_checksum=True,
    )
    # The library is older than the argument.
    stack.add_override("terraform.backend.s3.use_lockfile", True)


def use_local_state(stack: TerraformStack) -> None:
    """Keep a stack's state in a file beside cdktf.json; it holds secrets and git ignores it."""
    LocalBackend(stack, path=f"../../../terraform.{stack.node.id}.tfstate")


class BootstrapStack(TerraformStack):
    """The state buckets of all environments, and for each a key that opens it alone.

    Its own state is local, because there is no bucket yet when it is deployed. It can be rebuilt by import.
    """

    def __init__(self, scope: Construct, *, plans: Sequence[StatePlan]) -> None:
        super().__init__(scope, BOOTSTRAP_STACK)
        use_local_state(self)
        use_digitalocean(self)
        for plan in plans:
            bucket = versioned_bucket(
                self,
                f"{plan.environment}-state",
                name=plan.bucket,
                region=plan.region,
                noncurrent_days=NONCURRENT_STATE_DAYS,
            )
            key = SpacesKey(
                self,
                f"{plan.environment}-state-key",
                name=bucket.name,
                grant=[SpacesKeyGrant(bucket=bucket.name, permission=SERVICE_KEYS[Bucket.STATE])],
            )
            TerraformOutput(self, f"{plan.environment}_state_bucket", value=bucket.name)
            TerraformOutput(
                self,
                f"{plan.environment}_state_key",
                description="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for this environment's state.",
                value={"access_key_id": key.access_key, "secret_access_key": key.secret_key},
                sensitive=True,
            )
