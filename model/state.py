"""Where Terraform keeps a stack's state."""

from dataclasses import dataclass

from model.environment import EnvironmentFile
from model.naming import Names

PROVIDER_LOCK_FILE = ".terraform.lock.hcl"
"""The providers' hashes: the name that Terraform, Dependabot and Renovate look for."""


@dataclass(frozen=True, kw_only=True)
class StatePlan:
    """The object that holds a stack's state."""

    environment: str
    bucket: str
    region: str
    key: str


def plan_state(file: EnvironmentFile, names: Names, stack: str) -> StatePlan:
    """Decide where a stack's state is."""
    return StatePlan(
        environment=file.environment, bucket=names.bucket("state"), region=file.region, key=f"{stack}.tfstate"
    )
