"""A local DigitalOcean with the variables that reach it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.local_digitalocean.server import Server
from lab.local_digitalocean.store import Quotas
from model.loader import Environment, load_environments
from ops.api_client import Client
from ops.change import Change
from ops.plan_json import Plan
from tests.support import ENVIRONMENTS

TOKEN = "the-token"
LIMIT = 3
"""Droplets of the account."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server(tmp_path, token=TOKEN, quotas=Quotas(droplets=LIMIT)).start()
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, server.environment()[name])
    yield server
    server.stop()
    server.spaces.forget()


@pytest.fixture
def environ(server: Server) -> dict[str, str]:
    return server.environment()


@pytest.fixture
def api(environ: dict[str, str]) -> Client:
    return Client.of(environ)


@pytest.fixture
def staging() -> Environment:
    return next(one for one in load_environments(ENVIRONMENTS) if one.file.environment == "staging")


def made(kind: str, *actions: str, before: Any = None, **after: Any) -> Change:
    """Return what a plan says of a resource that it makes."""
    return Change("staging", f"{kind}.x", kind, "x", None, actions or ("create",), before or {}, after)


def plan(*changes: Change) -> Plan:
    return Plan("staging", "staging", changes)
