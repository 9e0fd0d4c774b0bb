"""A new service is one entry in the catalogue, and its placement in the operators' files."""

from collections.abc import Callable

import pytest

from model.services import CATALOGUE, Plane, Service, Store
from tests.support import Stack

NOTIFIER = Service(
    "notifier",
    Plane.TENANT,
    "notifier",
    8000,
    "/healthz",
    ("notify",),
    frozenset({Store.VALKEY}),
    host_port=18099,
)


def test_it_is_tried_in_one_environment_first(
    monkeypatch: pytest.MonkeyPatch, edited: Callable[..., Stack]
) -> None:
    """The catalogue has it, and no group of this environment lists it."""
    monkeypatch.setitem(CATALOGUE, NOTIFIER.name, NOTIFIER)
    stack = edited()
    # vmalert has an option of this name.
    assert str(stack.json).replace("-notifier.url=", "").count("notifier") == 0


def test_it_is_deployed_served_and_released(
    monkeypatch: pytest.MonkeyPatch, edited: Callable[..., Stack]
) -> None:
    monkeypatch.setitem(CATALOGUE, NOTIFIER.name, NOTIFIER)
    stack = edited(
        ("services: [tenant-api, ", "services: [notifier, tenant-api, "),
        ("releases:\n", 'releases:\n  notifier: "1.0.0"\n'),
    )
    objects = {
        key: stack.at(f"config-app/{key}")["content"]
        for key in ("release-json", "compose-yaml", "nginx-conf")
    }
    assert "/notifier:1.0.0" in objects["release-json"]
    assert "  notifier:\n" in objects["compose-yaml"]
    assert "notify.staging.presence360.app" in objects["nginx-conf"]
    assert stack.at("edge/a-name-notify")["name"] == "notify"
