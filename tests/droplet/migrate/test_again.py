"""When a migration that failed is tried again: after a pause, or when an operator asks."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from droplet.converge.paths import Paths
from droplet.converge.peers import write_time
from droplet.migrate.history import FIRST_PAUSE_SECONDS, History, Verdict
from droplet.migrate.run import REQUEST_SECONDS, Run

NOW = 1_800_000_000.0
DAY = 86_400


def failed(at: float) -> History:
    return History(("a",), "1", NOW - DAY, failed="b", reason="it is wrong", at=at, tries=1)


@pytest.mark.parametrize(
    ("at", "asked", "verdict"),
    [
        (NOW, 0, Verdict.FAILED),
        (NOW - FIRST_PAUSE_SECONDS, 0, Verdict.DUE),
        (NOW - 10, NOW - 5, Verdict.DUE),
        (NOW - 10, NOW - 15, Verdict.FAILED),
        # A second that was rounded up, and another droplet's clock.
        (NOW + 1, 0, Verdict.FAILED),
        # The clock of the droplet that noted it was a day ahead: neither the pause nor a request waits for that day.
        (NOW + DAY, 0, Verdict.DUE),
        (NOW + DAY, NOW - 5, Verdict.DUE),
    ],
)
def test_a_failure_is_tried_again(at: float, asked: float, verdict: Verdict) -> None:
    assert failed(at).verdict("b", {}, NOW, asked) is verdict


def test_each_operator_asks_with_an_object_of_its_own(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "state", tmp_path / "run")
    nothing = cast("Any", None)
    run = Run(paths, nothing, nothing, "staging-app-1", nothing, clock=lambda: NOW)
    assert run._asked() == {}
    folder = paths.incoming / "requests"
    folder.mkdir(parents=True)

    def ask(name: str, age: float, *databases: str) -> None:
        text = json.dumps({"time": write_time(NOW - age), "databases": databases})
        (folder / f"migrations-{name}.json").write_text(text)

    ask("1", 20, "tenant_grace", "tenant_zion")
    ask("2", 10, "tenant_zion")
    ask("3", 30, "tenant_zion")
    ask("4", REQUEST_SECONDS + 1, "control_plane")
    (folder / "migrations-5.json").write_text("[")
    (folder / "migrations-6.json").write_text("{}")
    assert run._asked() == {"tenant_grace": NOW - 20, "tenant_zion": NOW - 10}
