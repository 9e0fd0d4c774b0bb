"""The operators' own environments, planned, and the programs that run on droplets, as modules."""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

from model.droplets import DropletGroupPlan
from model.loader import load_environments
from model.plan import plan_environment
from tests.support import ENVIRONMENTS

ROOT = Path(__file__).parents[2]


def program(name: str) -> ModuleType:
    """Load a program that runs on droplets."""
    spec = importlib.util.spec_from_file_location(f"on_droplet_{name}", ROOT / f"cloud_init/files/{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def plans() -> Mapping[str, DropletGroupPlan]:
    """By environment and group: ``staging-app``."""
    return {
        group.name: group
        for environment in load_environments(ENVIRONMENTS)
        for group in plan_environment(environment).groups
    }
