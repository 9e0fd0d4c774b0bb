"""The status buckets, through rclone: how much of what others write there reaches this droplet."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from droplet.converge.errors import CommandError
from droplet.converge.paths import LARGEST_RECORD, read_json
from droplet.converge.peers import read_peers
from droplet.converge.processes import run_program
from droplet.converge.store import ALL, LARGEST, MOST, Store, bound
from droplet.jobs.buckets import Buckets
from droplet.telemetry.receivers import read_statuses
from lab.debian_programs import MissingError, unpacked


@pytest.fixture(scope="session")
def rclone() -> Path:
    try:
        return unpacked("rclone", programs=["rclone"]) / "rclone"
    except MissingError as why:
        pytest.skip(str(why))


class Remote:
    """A bucket that is a folder, behind Debian's rclone."""

    def __init__(self, rclone: Path, folder: Path) -> None:
        self.rclone, self.folder, self.configuration = rclone, folder / "bucket", folder / "rclone.conf"
        self.copy = folder / "copy"
        for path in (self.folder / "droplets", self.folder / "jobs", self.copy):
            path.mkdir(parents=True)
        self.configuration.write_text(
            "".join(
                f"[{name}]\ntype = alias\nremote = {self.folder}\n" for name in ("status", "control-status")
            )
        )

    def run(self, command: Sequence[str], env: Mapping[str, str], timeout: float) -> str:
        place = command.index("--config")
        own = [str(self.rclone), "--config", str(self.configuration), *command[place + 2 :]]
        return run_program(own, env, timeout)

    def put(self, key: str, content: str) -> None:
        (self.folder / key).write_text(content)


@pytest.fixture
def remote(rclone: Path, tmp_path: Path) -> Remote:
    return Remote(rclone, tmp_path)


def test_an_object_that_is_too_long_is_not_fetched_and_its_old_copy_goes(remote: Remote) -> None:
    remote.put("droplets/1.json", "{}")
    remote.put("droplets/2.json", "x" * (LARGEST + 1))
    remote.put("jobs/backup.json", "{}")
    remote.put("jobs/long.json", "x" * (LARGEST + 1))
    (remote.copy / "2.json").write_text("{}")
    Store(remote.run).fetch(remote.copy)
    assert [path.name for path in remote.copy.iterdir()] == ["1.json"]
    Buckets(remote.copy, remote.run).records(0)
    assert [path.name for path in (remote.copy / "records/jobs").iterdir()] == ["backup.json"]


def test_more_than_a_folder_may_hold_is_an_error_and_does_not_stay(remote: Remote) -> None:
    for number in range(ALL // LARGEST + 20):
        remote.put(f"droplets/{number}.json", "x" * LARGEST)
    (remote.folder / "droplets/more").mkdir()
    remote.put("droplets/more/1.json", "{}")
    store = Store(remote.run)
    # Each run would bring others.
    for _ in range(2):
        with pytest.raises(CommandError, match=r"max transfer limit reached|more than"):
            store.fetch(remote.copy)
    assert sum(path.stat().st_size for path in remote.copy.rglob("*")) <= ALL


def test_only_the_beginning_of_one_object_is_read(remote: Remote, tmp_path: Path) -> None:
    file = tmp_path / "control-migrations.json"
    remote.put("migrations.json", '{"state": "done"}')
    Store(remote.run).read_control("migrations.json", file)
    assert read_json(file) == {"state": "done"}
    # It ends within a character.
    remote.put("migrations.json", "x" + "\u00e9" * LARGEST)
    Store(remote.run).read_control("migrations.json", file)
    assert LARGEST <= file.stat().st_size <= LARGEST + 2


def test_files_beyond_the_limits_are_removed(tmp_path: Path) -> None:
    for number in range(MOST + 5):
        (tmp_path / f"{number:05}.json").touch()
    with pytest.raises(CommandError, match=f"more than {MOST} objects"):
        bound(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir())[-1] == f"{MOST - 1:05}.json"
    bound(tmp_path)
    bound(tmp_path / "none")


def test_what_is_too_long_is_not_read(tmp_path: Path) -> None:
    status = {"droplet": "1", "name": "a-1", "release": None, "wanted": None, "programs": None}
    status |= {"phase": "serving", "reason": "", "time": "2026-11-26T09:00:00Z"}
    for name, more in (("1", 0), ("2", LARGEST)):
        (tmp_path / f"{name}.json").write_text(json.dumps(status | {"droplet": name}) + " " * more)
    assert [peer.droplet for peer in read_peers(tmp_path)] == ["1"]
    assert [droplet for droplet, _ in read_statuses(tmp_path)] == ["1"]
    (tmp_path / "1.json").write_text("{}" + " " * LARGEST_RECORD)
    assert read_json(tmp_path / "1.json") == {}
