"""Draw the pictures of docs/dashboards: `make dashboards`. A test compares what they are of."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from cloud_init.dashboards import render_dashboards
from lab.dashboards.draw import svg
from lab.dashboards.night import CHURCHES, night
from lab.dashboards.store import Chosen, Store, running
from model.dashboards import DashboardsPlan
from model.loader import load_environments
from model.plan import EnvironmentPlan, plan_environment
from ops.paths import ROOT

EXAMPLES = ROOT / "tests" / "environments"
PICTURES = ROOT / "docs" / "dashboards"
CHURCH = "hope"
"""Whose dashboard is drawn."""


@cache
def production() -> EnvironmentPlan:
    """Return the plan of the tests' production."""
    plans = (plan_environment(one) for one in load_environments(EXAMPLES))
    return next(plan for plan in plans if plan.name == "production")


def dashboards() -> dict[str, str]:
    """Return the dashboards of that night, by name."""
    plan = DashboardsPlan("production", "presence360.app", "https://example.org/infrastructure", CHURCHES)
    return {name.removesuffix(".json"): text for name, text in render_dashboards(plan).items()}


def chosen(dashboard: str) -> Chosen:
    """Choose everything that a dashboard can show at once, and one church."""
    known = {}
    for variable in json.loads(dashboard)["templating"]["list"]:
        one = variable["name"] == "church"
        known[variable["name"]] = (CHURCH, CHURCHES[CHURCH]) if one else ("All", variable["allValue"])
    return known


def digest(dashboard: str) -> str:
    """Return what a picture says of the dashboard that it is of."""
    return f"<!-- of {hashlib.sha256(dashboard.encode()).hexdigest()[:16]} -->"


@contextmanager
def filled_store() -> Iterator[Store]:
    """Start a store, and put the night into it.

    Raises:
        MissingError: this machine cannot have one.
    """
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as store:
        store.fill(night(production()))
        yield store


def main() -> None:
    """Draw them."""
    PICTURES.mkdir(exist_ok=True)
    with filled_store() as store:
        for name, text in dashboards().items():
            picture = svg(json.loads(text), store, chosen(text)) + digest(text) + "\n"
            (PICTURES / f"{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
