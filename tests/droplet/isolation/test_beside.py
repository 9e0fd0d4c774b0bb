"""What the watch has taken back is done beside its rounds."""

import threading
from pathlib import Path
from typing import cast

import pytest

from droplet.isolation import beside
from droplet.isolation.beside import Beside
from droplet.isolation.result import Clear, Result
from droplet.postgres import Client


def test_a_round_does_not_wait_and_one_result_is_done_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow(_client: Client, result: Result, private: Path) -> None:
        (private / "psql.err").touch()
        begun.set()
        assert go_on.wait(60)
        done.append(result.clears[0].tenant)

    monkeypatch.setattr(beside, "clear", slow)
    monkeypatch.setattr(beside, "take_back", lambda *_: None)
    one = Beside(cast(Client, None), tmp_path)
    one.start(Result(cluster="shared"))
    assert not begun.is_set(), "nothing was asked for"
    one.start(Result(cluster="shared", clears=[Clear("first", "first")]))
    assert begun.wait(60)
    # The church holds its locks, and the next round finds the same and more.
    one.start(Result(cluster="shared", clears=[Clear("second", "second")]))
    assert done == []
    go_on.set()
    assert one._thread
    one._thread.join()
    assert done == ["first"]
    assert list(tmp_path.rglob("*.err")) == []
    one.start(Result(cluster="shared", clears=[Clear("second", "second")]))
    one._thread.join()
    assert done == ["first", "second"]
