"""The one provider, at the version that runs rather than the one the bindings were made from."""

from cdktf import TerraformStack
from cdktf_cdktf_provider_digitalocean.provider import DigitaloceanProvider

# The bindings are frozen at 2.71.0, where deleting a certificate in use gives up after 30 s, among other things.
# Configuration written for 2.71 applied and settled with 2.99.1.
PROVIDER_VERSION = ">= 2.99.1, < 3.0.0"

# S3 state locking by lock file left its experimental stage in Terraform 1.11 (Terraform documentation, "S3 backend:
# State Locking"); OpenTofu has it from 1.10 and numbers its releases apart.
TERRAFORM_VERSION = ">= 1.10.0"

# DigitalOcean's API allows 250 requests a minute and 5,000 an hour for a token (API documentation, "Rate Limit").
# 4 a second stays below the first; more retries than the default 4 ride out the second.
REQUESTS_PER_SECOND = 4
HTTP_RETRY_MAX = 8


def use_digitalocean(stack: TerraformStack) -> None:
    """Configure the provider of a stack; token and Spaces keys come from Terraform's environment only."""
    DigitaloceanProvider(
        stack, "digitalocean", requests_per_second=REQUESTS_PER_SECOND, http_retry_max=HTTP_RETRY_MAX
    )
    stack.add_override("terraform.required_providers.digitalocean.version", PROVIDER_VERSION)
    stack.add_override("terraform.required_version", TERRAFORM_VERSION)
