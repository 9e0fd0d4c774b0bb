"""docs/examples/church_limits.py on a Valkey that knows no scripts, with several processes at once."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab import valkey
from lab.local_digitalocean.tls import Authority
from tests.clients.conftest import Servers, loopback
from tests.clients.pages import CA_FILE, EXAMPLES, snippets

pytestmark = pytest.mark.nightly("droplets")

LIMIT = 20
_COUNT = """
import time
first = int(time.time())
passed = tries = 0
while time.time() < first + 3:
    passed += not limit.wait(credentials["queue_prefix"])
    tries += 1
answer = [first, passed, tries]
"""
_CACHE = """
from church_limits import recall, remember
remember(valkey, "tenant-c:", "page", b"x", 60)
try:
    remember(valkey, "tenant-c:", "page", b"x", 0)
    refused = ""
except ValueError as error:
    refused = str(error)
limit.wait("tenant-c:")
answer = {
    "own": recall(valkey, "tenant-c:", "page") == b"x",
    "another's": recall(valkey, "tenant-b:", "page"),
    "refused": refused,
    "ends": all(0 < valkey.pttl(key) <= 60_000 for key in valkey.scan_iter("tenant-c:*")),
    "keys": sum(1 for _ in valkey.scan_iter("tenant-c:*")),
}
"""
_AWAY = """
import time
began = time.monotonic()
answer = [limit.wait("tenant-a:"), time.monotonic() - began]
"""


@pytest.fixture(scope="module")
def environ(
    servers: Servers, variables: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    folder, authority, address = tmp_path_factory.mktemp("valkey"), Authority({}), f"{loopback()}.1"
    (folder / "ca.pem").write_text(authority.certificate, encoding="utf-8")
    refuse = [*valkey.REFUSED, *valkey.SCRIPTS]
    started = valkey.start(folder, authority, address, servers.valkey.password, refuse=refuse)
    url = variables["VALKEY_URL"].replace(CA_FILE, str(folder / "ca.pem")).replace(servers.address, address)
    yield {"PATH": os.environ["PATH"], "PYTHONPATH": str(EXAMPLES), "VALKEY_URL": url}
    started.stop()


def start(python: Path, environ: Mapping[str, str], code: str) -> "subprocess.Popen[str]":
    credentials = {"requests_per_second": LIMIT, "queue_prefix": "tenant-a:"}
    code = f"{snippets()['limit'].code}\n{code}\nimport json\nprint(json.dumps(answer))"
    program = f"credentials = {credentials!r}\n{code}"
    return subprocess.Popen([str(python), "-c", program], env=environ, stdout=subprocess.PIPE, text=True)


def answer(process: "subprocess.Popen[str]") -> Any:
    said, _ = process.communicate(timeout=60)
    return json.loads(said)


def test_droplets_share_the_limit(environ: dict[str, str], python: Path) -> None:
    counted = [answer(one) for one in [start(python, environ, _COUNT) for _ in range(3)]]
    seconds = max(first for first, _, _ in counted) + 4 - min(first for first, _, _ in counted)
    passed, tries = (sum(column) for column in list(zip(*counted, strict=True))[1:])
    assert tries > 10 * LIMIT
    # In each second that all of them saw, exactly so many; at most so many in those at the edges.
    assert 2 * LIMIT <= passed <= seconds * LIMIT


def test_every_key_ends_and_begins_with_the_churchs_prefix(environ: dict[str, str], python: Path) -> None:
    assert answer(start(python, environ, _CACHE)) == {
        "own": True,
        "another's": None,
        "refused": "a cached value ends after at least 1 second, not 0",
        "ends": True,
        "keys": 2,
    }


def test_requests_go_on_at_once_while_valkey_is_away(environ: dict[str, str], python: Path) -> None:
    away = {**environ, "VALKEY_URL": environ["VALKEY_URL"].replace(":25061/", ":1/")}
    wait, seconds = answer(start(python, away, _AWAY))
    assert (wait, seconds < 2) == (0, True)
