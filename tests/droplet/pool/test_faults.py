"""One fault concerns one tenant at most, and shows in the metrics: none stays green, and none is passed on."""

import json
import os
from pathlib import Path

import pytest

from droplet.pool import show
from droplet.pool.command import Folders, main, run
from tests.droplet.pool.stand_in import (
    ONE,
    OTHER_PEM,
    PEM,
    READY,
    TWO,
    StandIn,
    message,
    publish,
    refusal,
    served,
    value,
)


def metrics(folders: Folders) -> dict[str, float]:
    lines = (folders.scratch / "pool.prom").read_text(encoding="utf-8").splitlines()
    return {
        name.removeprefix("presence360_pool_"): float(number)
        for name, number in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    }


class TestUnusableObject:
    @pytest.mark.parametrize("change", [{"host": None}, {"ca": PEM[:200]}, {"password": ""}])
    def test_leaves_its_tenant_with_the_last_usable_copy(
        self, folders: Folders, change: dict[str, object]
    ) -> None:
        publish(folders, {ONE: value(ONE, ca=OTHER_PEM), TWO: value(TWO)})
        names = ("pgbouncer.ini", "userlist.txt", "hba.conf", "ca.pem")
        with StandIn(served(ONE, TWO)).listen(folders.sockets):
            assert run(folders) == 0
            before = {name: (folders.state / name).read_text() for name in names}
            publish(folders, {ONE: value(ONE, ca=OTHER_PEM) | change, TWO: value(TWO)})
            # Twice: what stands in once stands in until the object is right again.
            assert (run(folders), run(folders)) == (1, 1)
        assert {name: (folders.state / name).read_text() for name in names} == before
        assert metrics(folders)["configured"] == 0

    def test_that_is_removed_takes_its_copy_along(self, folders: Folders) -> None:
        publish(folders, {ONE: value(ONE), TWO: value(TWO)})
        with StandIn(served(ONE, TWO), after_reload=served(TWO)).listen(folders.sockets):
            run(folders)
            publish(folders, {TWO: value(TWO)})
            run(folders)
        assert ONE not in (folders.state / "pgbouncer.ini").read_text()
        assert [path.stem for path in folders.good.iterdir()] == [TWO]

    def test_whose_copy_is_of_a_new_generation_stands_in_with_that(self, folders: Folders) -> None:
        publish(folders, {ONE: value(ONE, password="first")})
        run(folders)
        publish(folders, {ONE: value(ONE, password="second")})
        run(folders)
        publish(folders, {ONE: {}})
        run(folders)
        assert '"second"' in (folders.state / "userlist.txt").read_text()
        assert (folders.good / f"{ONE}.json").stat().st_mode & 0o777 == 0o600


class TestReload:
    def test_counts_once_pgbouncer_serves_what_the_files_say(self, folders: Folders) -> None:
        publish(folders, {ONE: value(ONE)})
        console = StandIn(served(), after_reload=served(ONE))
        with console.listen(folders.sockets):
            assert run(folders) == 0
            assert run(folders) == 0
        assert console.asked.count("RELOAD") == 1
        assert (metrics(folders)["up"], metrics(folders)["configured"]) == (1, 1)

    @pytest.mark.parametrize(
        ("shown", "reason"),
        [
            (served(), f"tenant_{ONE} is not served; tenant_{ONE}_g2 is unknown; tenant_{ONE}_g1 is unknown"),
            (served(ONE, TWO), f"tenant_{TWO} is still served"),
            ({**served(ONE), "SHOW USERS": []}, f"tenant_{ONE}_g2 is unknown; tenant_{ONE}_g1 is unknown"),
            *(
                (
                    {**served(ONE), "SHOW DATABASES": [{**served(ONE)["SHOW DATABASES"][0], column: other}]},
                    f"tenant_{ONE} is served otherwise",
                )
                for column, other in (
                    ("host", "other.example.org"),
                    ("port", 5432),
                    ("database", f"tenant_{TWO}"),
                    ("pool_size", 4),
                    ("max_connections", 5),
                )
            ),
        ],
    )
    def test_that_changed_nothing_is_a_failure_and_tried_again(
        self,
        folders: Folders,
        shown: dict[str, list[dict[str, object]]],
        reason: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        publish(folders, {ONE: value(ONE)})
        console = StandIn({**shown})
        with console.listen(folders.sockets):
            assert (run(folders), run(folders)) == (1, 1)
        assert console.asked.count("RELOAD") == 2
        assert f"<3>PgBouncer did not take the files: {reason}\n" in capsys.readouterr().out
        assert (metrics(folders)["up"], metrics(folders)["configured"]) == (1, 0)
        assert not folders.loaded.exists()

    def test_that_is_refused_is_a_failure(self, folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
        publish(folders, {ONE: value(ONE)})
        with StandIn(served(), raw={"RELOAD": refusal("not now")}).listen(folders.sockets):
            assert run(folders) == 1
        assert "<3>PgBouncer refuses its console: not now\n" in capsys.readouterr().out
        assert metrics(folders)["configured"] == 0


@pytest.mark.parametrize(
    "answer",
    [
        message(b"D", b"\0\1\0") + READY,
        message(b"D", b"\0\1\0\0\0\5ab") + READY,
        message(b"T", b"\0\1\xff\xfe\0" + bytes(18)) + READY,
        message(b"D", b"\0\1\0\0\0\2ab") + READY,
        b"D\0\0\0\1",
        b"D\0\0\0\x20ab",
        b"D\0",
    ],
)
def test_an_answer_that_is_not_pgbouncers_ends_no_run_early(folders: Folders, answer: bytes) -> None:
    publish(folders, {ONE: value(ONE)})
    with StandIn(served(ONE), raw={"SHOW DATABASES": answer}).listen(folders.sockets):
        run(folders)
    assert (metrics(folders)["up"], metrics(folders)["configured"]) == (0, 0)


def test_a_full_disk_is_in_the_metrics(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(folders, {ONE: value(ONE)})
    with StandIn(served(ONE)).listen(folders.sockets):
        assert run(folders) == 0
        assert metrics(folders)["configured"] == 1
        publish(folders, {ONE: value(ONE, password="another")})

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        monkeypatch.setattr("droplet.pool.command.time.time", lambda: 1_800_000_000.7)
        assert run(folders) == 1
    assert f"<3>{folders.state}: No space left on device\n" in capsys.readouterr().out
    found = metrics(folders)
    assert (found["up"], found["configured"], found["timestamp_seconds"]) == (1, 0, 1_800_000_000)


class TestShow:
    def test_prints_a_table_of_pgbouncers(
        self, folders: Folders, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        become: list[tuple[str, object]] = []
        for name in ("setgroups", "setgid", "setuid"):
            monkeypatch.setattr(os, name, lambda one, name=name: become.append((name, one)))
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        rows = [{"database": "tenant_1", "cl_waiting": 12}, {"database": "pgbouncer", "cl_waiting": 0}]
        with StandIn({"SHOW POOLS": rows}).listen(folders.sockets):
            assert main(["--show", "POOLS", "--sockets", str(folders.sockets)]) == 0
        assert capsys.readouterr().out == "database   cl_waiting\ntenant_1   12\npgbouncer  0\n"
        # PgBouncer lets in its own user alone: the socket's.
        owner = folders.sockets.stat()
        assert become == [("setgroups", []), ("setgid", owner.st_gid), ("setuid", owner.st_uid)]
        assert not list(folders.state.iterdir())

    def test_says_when_pgbouncer_does_not_run(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert show.show("POOLS", tmp_path) == 1
        assert "PgBouncer's console: [Errno 2] No such file or directory" in capsys.readouterr().err


def test_a_copy_is_what_the_bucket_holds(folders: Folders) -> None:
    publish(folders, {ONE: value(ONE)})
    run(folders)
    assert json.loads((folders.good / f"{ONE}.json").read_bytes()) == value(ONE)
