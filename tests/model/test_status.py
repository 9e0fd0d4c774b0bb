"""The contracts of docs/status.md, as operators' programs read them."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from model.contract import REASON_CHARACTERS, ContractError
from model.status import (
    ENVIRONMENT_MANIFEST,
    FRESH_SECONDS,
    RELEASE_OBJECTS,
    Phase,
    Result,
    manifest_key,
    parse_manifest,
    parse_status,
    status_key,
)
from tests.support import ROOT

PAGE = (ROOT / "docs/status.md").read_text()
STATUS, _MIGRATIONS, MANIFEST = (
    json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
)


def without(member: str) -> dict[str, Any]:
    return {key: value for key, value in STATUS.items() if key != member}


def test_the_pages_example_is_a_status() -> None:
    status = parse_status(json.dumps(STATUS))
    assert (status.droplet, status.phase, status.result) == ("412345678", Phase.HELD, Result.FAILED)
    assert status.since == datetime(2026, 11, 26, 9, 2, 10, tzinfo=UTC)
    assert status_key(status.droplet) == "droplets/412345678.json"


def test_what_the_isolation_job_found_is_read_and_nothing_else_is() -> None:
    said = {"success": True, "findings": 0, "errors": 0, "time": "2026-11-26T09:02:10Z"}
    (found,) = parse_status(json.dumps(STATUS | {"isolation": {"shared": said}})).isolation
    assert (found.cluster, found.success, found.findings, found.errors) == ("shared", True, 0, 0)
    wrong: list[object] = [said | {"findings": 1e999}, said | {"time": 1}, {}, 1]
    every: list[object] = [[], *({"shared": one} for one in wrong)]
    for broken in every:
        with pytest.raises(ContractError):
            parse_status(json.dumps(STATUS | {"isolation": broken}))
    (odd,) = parse_status(json.dumps(STATUS | {"isolation": {"shared": said | {"success": 1}}})).isolation
    assert not odd.success


def test_the_page_names_every_phase_and_result() -> None:
    for word in (*Phase, *Result):
        assert re.search(rf"\b{word}\b", PAGE)


def test_the_pages_example_is_a_manifest_of_what_it_lists() -> None:
    manifest = parse_manifest(json.dumps(MANIFEST))
    assert (manifest.release, manifest.programs) == (STATUS["wanted"], STATUS["programs"])
    assert manifest_key(ENVIRONMENT_MANIFEST) == "manifests/environment.json"
    for name in RELEASE_OBJECTS:
        assert f"`{name}`" in PAGE


def test_a_cells_manifest_names_no_release() -> None:
    manifest = parse_manifest('{"objects": {"isolation/cell-2.json": "ab"}}')
    assert (manifest.release, manifest.programs) == (None, None)
    assert manifest_key("cell-2") == "manifests/cell-2.json"


def test_members_that_are_not_known_are_ignored() -> None:
    assert parse_status(json.dumps({**STATUS, "new": 1})) == parse_status(json.dumps(STATUS))


# Programs of before do not say the last three.
OPTIONAL = {"version", "maintenance", "closed", "manifest"}


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        "",
        "[]",
        *(json.dumps(without(member)) for member in STATUS if member not in OPTIONAL),
        json.dumps({**STATUS, "phase": "asleep"}),
        json.dumps({**STATUS, "result": None}),
        json.dumps({**STATUS, "since": 5}),
        json.dumps({**STATUS, "time": "yesterday"}),
        json.dumps({**STATUS, "droplet": 412345678}),
    ],
)
def test_what_is_no_status_is_an_error_that_does_not_quote_it(content: str | bytes) -> None:
    with pytest.raises(ContractError, match=r"^status: ") as raised:
        parse_status(content)
    assert "yesterday" not in str(raised.value)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"objects": []}', '{"objects": {"a": 1}}'])
def test_what_is_no_manifest_is_an_error(content: str) -> None:
    with pytest.raises(ContractError, match=r"^manifest: "):
        parse_manifest(content)


def test_an_old_status_says_nothing_about_the_present() -> None:
    status = parse_status(json.dumps(STATUS))
    assert status.fresh(status.time + timedelta(seconds=FRESH_SECONDS))
    assert status.fresh(status.time - timedelta(seconds=FRESH_SECONDS))
    assert not status.fresh(status.time + timedelta(seconds=FRESH_SECONDS + 1))


def test_an_objects_words_are_one_short_line_and_its_key_is_its_own() -> None:
    """A droplet may be compromised: what it says reaches terminals and CI's logs."""
    said = json.dumps(
        {
            "droplet": "1",
            "name": "staging-app-1",
            "release": None,
            "wanted": None,
            "programs": None,
            "phase": "failed",
            "result": "failed",
            "reason": "\x1b]52;c;cHduZWQ=\x1b\\ok\n::stop-commands::zz \ud800" + "x" * 1000,
            "since": "2026-11-26T10:00:00Z",
            "time": "2026-11-26T10:00:00Z",
        }
    )
    reason = parse_status(said, "1").reason
    assert reason.isprintable()
    assert len(reason) == REASON_CHARACTERS
    with pytest.raises(ContractError):
        parse_status(said, "2")
    with pytest.raises(ContractError):
        parse_status("[" * 100_000)
