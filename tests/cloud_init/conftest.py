"""The groups of the environments that tests read, planned."""

from collections.abc import Mapping

import pytest

from model.droplets import DropletGroupPlan
from model.loader import load_environments
from model.plan import plan_environment
from tests.support import ENVIRONMENTS

GROUPS = [
    "production-control",
    "production-observability",
    "production-tenant",
    "production-worker",
    "staging-app",
    "staging-worker",
]


@pytest.fixture(scope="session")
def plans() -> Mapping[str, DropletGroupPlan]:
    """By environment and group: ``staging-app``."""
    return {
        group.name: group
        for environment in load_environments(ENVIRONMENTS)
        for group in plan_environment(environment).groups
    }
