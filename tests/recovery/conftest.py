"""What is lost when a part of the platform is lost, and how it comes back: each on real programs."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts servers, so that `make check` leaves it out."""
    servers = {"valkey_folder", "gateway", "clusters", "lost"}
    for item in items:
        if Path(__file__).parent in item.path.parents and servers & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.isolation)
