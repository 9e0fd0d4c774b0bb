import fcntl
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from model.env_file import env_file
from tests.cloud_init.conftest import program

converge = program("converge")

COMPOSE = {
    "services": {
        "api": {
            "labels": {"app.presence360.health-path": "/healthz", "app.presence360.public": "true"},
            "ports": [{"published": "18001", "target": 8000}],
        },
        "worker": {},
    },
    "x-presence360": {
        "turns": 2,
        "slot_seconds": 360,
        "worst_seconds": 300,
        "drain_seconds": 20,
        "wait_seconds": 80,
    },
}
OBJECTS = {
    "compose.yaml": "services: ...",
    "nginx.conf": "events {}",
    "release.json": json.dumps({"images": {"api": "registry/api:1", "worker": "registry/worker:1"}}),
    "secrets.env": 'SECRET="one"\n',
    "settings.env": "COLOUR=blue\n",
}
# In the first turn of two, early enough.
OWN_TURN = 720.0
OTHER_TURN = 360.0


@dataclass
class Host:
    """A droplet without its programs: what they are asked, and what they are told to answer."""

    paths: Any
    bucket: dict[str, str] = field(default_factory=lambda: dict(OBJECTS))
    config: dict[str, Any] = field(default_factory=lambda: dict(COMPOSE))
    failing: str | None = None
    ill: bool = False
    running: str = "api\nworker\n"
    now: float = OWN_TURN
    commands: list[str] = field(default_factory=list)
    slept: list[tuple[float, bool]] = field(default_factory=list)

    def run(self, args: Sequence[str], _env: Mapping[str, str], _timeout: float) -> str:
        command = " ".join(args).replace(str(self.paths.state), "")
        self.commands.append(command)
        if self.failing and self.failing in command:
            raise converge.CommandError(f"{args[0]} failed")
        if args[0] == "rclone":
            self.sync()
        if "--format json" in command:
            return json.dumps(self.config)
        if "--hash" in command:
            folder = Path(args[args.index("--project-directory") + 1])
            made_of = [(folder / name).read_bytes() for name in ("settings.env", "secrets.env")]
            images = json.loads((folder / "release.json").read_text())["images"]
            return "".join(f"{name} {hash((images.get(name), *made_of))}\n" for name in ("api", "worker"))
        if " ps " in command:
            return self.running
        return ""

    def sync(self) -> None:
        """Bring what is fetched to what the bucket holds, as rclone does: a changed file is renamed into its place."""
        folder = self.paths.incoming
        for path in [path for path in folder.glob("**/*") if path.is_file()]:
            if str(path.relative_to(folder)) not in self.bucket:
                path.unlink()
        for name, text in self.bucket.items():
            path = folder / name
            if not path.exists() or path.read_text() != text:
                path.parent.mkdir(exist_ok=True)
                path.with_suffix(".partial").write_text(text)
                path.with_suffix(".partial").replace(path)

    def sleep(self, seconds: float) -> None:
        flags = (self.paths.draining, self.paths.leaving)
        self.slept.append((seconds, any(flag.exists() for flag in flags)))

    def once(self, *arguments: str) -> int:
        self.commands.clear()
        converger = converge.Converger(
            self.paths,
            run=self.run,
            hostname="staging-app-1-3fa9c2",
            clock=lambda: self.now,
            sleep=self.sleep,
            answers=lambda _port, _path: not self.ill,
        )
        return int(converge.main(arguments, converger))

    def did(self, part: str) -> bool:
        return any(part in command for command in self.commands)

    @property
    def current(self) -> Path:
        return Path(self.paths.current.readlink())

    @property
    def success(self) -> bool:
        return "presence360_converge_success 1" in self.paths.metrics.read_text()

    def release(self, version: str) -> None:
        images = {"api": f"registry/api:{version}", "worker": "registry/worker:1"}
        self.bucket["release.json"] = json.dumps({"images": images})


@pytest.fixture
def host(tmp_path: Path) -> Host:
    paths = converge.Paths(etc=tmp_path / "etc", state=tmp_path / "state", run=tmp_path / "run")
    (paths.etc / "bootstrap").mkdir(parents=True)
    paths.releases.mkdir(parents=True)
    paths.current.symlink_to(paths.etc / "bootstrap")
    return Host(paths)


@pytest.fixture
def healthy(host: Host) -> Host:
    assert host.once() == 0
    return host


class TestFirstRelease:
    def test_starts_at_once_without_a_turn_or_a_drain(self, host: Host) -> None:
        host.now = OTHER_TURN
        assert host.once() == 0
        assert host.did("up --detach --wait")
        assert host.slept == []
        assert host.current.parent == host.paths.releases
        assert host.success

    def test_pulls_before_it_starts_with_the_registrys_login(self, host: Host) -> None:
        host.bucket["registry.json"] = '{"auths": {"registry": {"auth": "eDp5"}}}'
        host.once()
        pull, up = (next(i for i, c in enumerate(host.commands) if word in c) for word in (" pull ", " up "))
        assert pull < up
        login = host.current / "docker/config.json"
        assert json.loads(login.read_text())["auths"]
        assert login.stat().st_mode & 0o777 == 0o600

    def test_that_fails_is_tried_again(self, host: Host) -> None:
        host.failing = " up "
        assert host.once() == 1
        assert not host.success
        host.failing = None
        assert host.once() == 0
        assert host.success

    def test_keeps_secrets_from_others(self, healthy: Host) -> None:
        modes = {
            path.name: path.stat().st_mode & 0o777 for path in healthy.current.iterdir() if path.is_file()
        }
        assert modes.pop("derived.json") == 0o644
        assert set(modes.values()) == {0o600}
        derived = (healthy.current / "derived.json").read_text()
        assert "one" not in derived
        assert json.loads(derived)["targets"] == [
            {"service": "api", "port": 18001, "path": "/healthz", "public": True}
        ]


class TestNextRelease:
    def test_drains_before_it_starts_and_serves_again_after(self, healthy: Host) -> None:
        before = healthy.current
        healthy.release("2")
        assert healthy.once() == 0
        assert healthy.slept == [(20, True)]
        assert not healthy.paths.draining.exists()
        assert healthy.current != before
        assert healthy.commands.index(
            next(c for c in healthy.commands if " up " in c)
        ) < healthy.commands.index("systemctl reload-or-restart nginx.service")

    def test_waits_for_its_turn(self, healthy: Host) -> None:
        before = healthy.current
        healthy.release("2")
        healthy.now = OTHER_TURN
        assert healthy.once() == 0
        assert healthy.current == before
        assert not healthy.did(" up ")
        # What can be done before is done before.
        assert healthy.did(" pull ")
        healthy.now = OWN_TURN
        assert healthy.once() == 0
        assert healthy.current != before

    def test_does_not_begin_late_in_its_turn(self, healthy: Host) -> None:
        healthy.release("2")
        healthy.now = OWN_TURN + 61
        healthy.once()
        assert not healthy.did(" up ")

    def test_that_changes_no_container_reloads_nginx_alone_whoevers_turn_it_is(self, healthy: Host) -> None:
        before = healthy.current
        healthy.bucket["nginx.conf"] = "events {} # other"
        healthy.now = OTHER_TURN
        assert healthy.once() == 0
        assert healthy.current != before
        assert healthy.did("reload-or-restart nginx.service")
        assert not healthy.did(" up ")
        assert healthy.slept == []

    @pytest.mark.parametrize("name", ["settings.env", "secrets.env"])
    def test_may_be_a_setting_or_a_secret_alone(self, healthy: Host, name: str) -> None:
        healthy.bucket[name] = "OTHER=value\n"
        assert healthy.once() == 0
        assert healthy.did(" up ")

    def test_that_is_the_same_does_nothing(self, healthy: Host) -> None:
        assert healthy.once() == 0
        assert [command.split()[0] for command in healthy.commands] == ["rclone", "docker"]
        assert healthy.did(" ps ")

    def test_keeps_three_and_the_images_they_use(self, healthy: Host) -> None:
        os.utime(healthy.current, (1, 1))
        for number, version in enumerate("2345", start=2):
            healthy.release(version)
            assert healthy.once() == 0
            os.utime(healthy.current, (number, number))
        assert len(list(healthy.paths.releases.iterdir())) == 3
        assert healthy.did("docker image rm registry/api:2")
        assert not healthy.did("docker image rm registry/worker:1")


class TestBadRelease:
    @pytest.mark.parametrize("fault", ["up", "answer", "nginx"])
    def test_goes_back_and_says_so(
        self, healthy: Host, fault: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = healthy.current
        healthy.release("bad")
        if fault == "up":
            digest = converge.digest_of({name: text.encode() for name, text in healthy.bucket.items()})
            healthy.failing = f"{digest}/compose.yaml up "
        elif fault == "answer":
            healthy.ill = True
        else:
            healthy.failing = "reload-or-restart"
        assert healthy.once() == 1
        assert healthy.current == before
        assert not healthy.success
        assert not healthy.paths.draining.exists()
        assert "<3>" in capsys.readouterr().out
        if fault == "up":
            ups = [command for command in healthy.commands if " up " in command]
            assert before.name in ups[-1]

    def test_is_not_tried_again_until_the_bucket_changes_or_somebody_asks(self, healthy: Host) -> None:
        healthy.release("bad")
        healthy.ill = True
        assert healthy.once() == 1
        assert healthy.once() == 0
        assert not healthy.did(" up ")
        assert not healthy.success
        healthy.ill = False
        assert healthy.once("--retry") == 0
        assert healthy.did(" up ")
        assert healthy.success

    def test_is_forgotten_when_the_bucket_goes_back(self, healthy: Host) -> None:
        good = dict(healthy.bucket)
        healthy.release("bad")
        healthy.ill = True
        healthy.once()
        healthy.ill, healthy.bucket = False, good
        assert healthy.once() == 0
        assert healthy.success
        assert not healthy.paths.failed.exists()

    def test_that_cannot_be_pulled_is_tried_again(self, healthy: Host) -> None:
        healthy.release("2")
        healthy.failing = " pull "
        assert healthy.once() == 1
        healthy.failing = None
        assert healthy.once() == 0
        assert healthy.success


class TestChecks:
    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("compose.yaml", None, "the bucket has no compose.yaml"),
            ("secrets.env", None, "the bucket has no secrets.env"),
            ("settings.env", "x" * (2**20 + 1), "settings.env has more than 1048576 bytes"),
            ("release.json", "{", "release.json is not JSON"),
            ("release.json", "[]", "release.json is not a JSON object"),
            ("release.json", "{}", "release.json names no images"),
            ("release.json", '{"images": {"A": "a:1"}}', "'A' is no name of a service"),
            ("release.json", '{"images": {"api": "a"}}', "'a' of api is no image with a tag or digest"),
            ("release.json", '{"images": {"api": "a:1 b"}}', "is no image with a tag or digest"),
            ("release.json", '{"images": {"api": 1}}', "is no image with a tag or digest"),
            ("release.json", '{"images": {"api": "a:1"}}', "names no image for worker"),
            ("settings.env", "A=b c\n", "settings.env, line 1: not NAME=value"),
            ("secrets.env", "# one\nA=1\nB='two\n", "secrets.env, line 3: not NAME=value"),
            ("secrets.env", 'A="$HOME"\n', "secrets.env, line 1"),
            ("secrets.env", "A=1", "secrets.env, line 1"),
            ("registry.json", '{"credsStore": "x"}', "registry.json is not"),
            ("registry.json", '{"auths": []}', "registry.json is not"),
            ("ca.pem", "nothing", "ca.pem holds no certificate"),
        ],
    )
    def test_what_is_wrong_is_refused_and_nothing_is_touched(
        self, healthy: Host, capsys: pytest.CaptureFixture[str], name: str, content: str | None, message: str
    ) -> None:
        before = healthy.current
        if content is None:
            del healthy.bucket[name]
        else:
            healthy.bucket[name] = content
        assert healthy.once() == 1
        assert message in capsys.readouterr().out
        assert healthy.current == before
        assert not healthy.did(" up ")
        assert not healthy.did("systemctl")
        assert not healthy.success

    @pytest.mark.parametrize("program", ["config --format json", "nginx -t"])
    def test_what_a_program_refuses_is_refused(self, healthy: Host, program: str) -> None:
        healthy.bucket["nginx.conf"] = "other"
        healthy.failing = program
        assert healthy.once() == 1
        assert not healthy.did("systemctl")

    def test_an_error_shows_no_secret(self, healthy: Host, capsys: pytest.CaptureFixture[str]) -> None:
        healthy.bucket["secrets.env"] = "PASSWORD='hunter2\n"
        healthy.once()
        assert "hunter2" not in capsys.readouterr().out

    def test_reads_what_the_generator_writes(self) -> None:
        values = {
            f"V{number}": text for number, text in enumerate(["", "a b", "it's", '"', "$A ${B}", "a\\", "\n"])
        }
        converge.check_env("settings.env", env_file(values).encode())

    @pytest.mark.parametrize(
        "image",
        [
            "registry.example/presence360/api:1.4.2",
            "localhost:5000/api:1",
            f"registry.example/api@sha256:{'a' * 64}",
        ],
    )
    def test_images_are_names_with_a_tag_or_a_digest(self, image: str) -> None:
        content = json.dumps({"images": {"api": image}}).encode()
        assert converge.check_release(content) == {"api": image}


class TestTurns:
    def test_numbered_droplets_take_turns_by_number(self) -> None:
        names = [f"production-tenant-{number}" for number in (1, 2, 3, 4)]
        assert [converge.own_turn(name, 3) for name in names] == [0, 1, 2, 0]
        assert [converge.own_turn(f"{name}-123456", 3) for name in names] == [0, 1, 2, 0]

    def test_a_pools_droplets_take_turns_by_chance(self) -> None:
        turns = [converge.own_turn(f"pool-{letter}", 4) for letter in "abcdefghijklmnopqrstuvwxyz"]
        assert set(turns) == {0, 1, 2, 3}

    def test_two_droplets_never_start_within_the_worst_case_of_each_other(self) -> None:
        release = converge.Release(Path(), "x", {}, {}, (), turns=3, slot_seconds=360, worst_seconds=300)
        starts = sorted(
            (float(second), name)
            for second in range(0, 3 * 360 * 2, 5)
            for name in ("a-1", "a-2", "a-3")
            if converge.may_start(release, name, second)
        )
        assert {name for _, name in starts} == {"a-1", "a-2", "a-3"}
        for (before, one), (after, other) in itertools.pairwise(starts):
            assert one == other or after - before >= 300


class TestAround:
    def test_what_stopped_is_started_again(self, healthy: Host) -> None:
        healthy.running = "api\n"
        assert healthy.once() == 0
        assert healthy.did(" up ")
        assert healthy.slept == []

    def test_a_drain_that_was_left_behind_ends(self, healthy: Host) -> None:
        healthy.paths.draining.touch()
        healthy.once()
        assert not healthy.paths.draining.exists()

    def test_drains_before_the_droplet_goes_down(self, healthy: Host) -> None:
        assert healthy.once("--drain") == 0
        assert healthy.slept == [(20, True)]
        assert healthy.commands == []
        # A run of the timer meanwhile does not call the load balancer back.
        healthy.once()
        assert healthy.paths.leaving.exists()

    def test_a_droplet_without_a_release_need_not_drain(self, host: Host) -> None:
        assert host.once("--drain") == 0
        assert host.slept == []

    def test_only_one_runs_at_a_time(self, healthy: Host) -> None:
        with (healthy.paths.run / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert healthy.once() == 0
        assert healthy.commands == []

    def test_a_store_that_is_away_changes_nothing(self, healthy: Host) -> None:
        before = healthy.current
        healthy.failing = "rclone"
        assert healthy.once() == 1
        assert healthy.current == before
        assert not healthy.did("docker")

    def test_what_the_isolation_job_is_told_starts_it_and_is_no_release(self, healthy: Host) -> None:
        changed = healthy.paths.isolation_changed
        assert not changed.exists()
        steps: list[tuple[dict[str, str], bool]] = [
            ({"isolation/environment.json": "{}"}, True),
            ({"isolation/environment.json": "{}"}, False),
            ({"isolation/environment.json": "{}", "isolation/cell-2.json": "{}"}, True),
            ({"isolation/environment.json": "[]", "isolation/cell-2.json": "{}"}, True),
            ({"isolation/environment.json": "[]"}, True),
        ]
        for objects, starts in steps:
            healthy.bucket = {**OBJECTS, **objects}
            changed.unlink(missing_ok=True)
            assert healthy.once() == 0
            assert changed.exists() == starts
            assert [command.split()[0] for command in healthy.commands] == ["rclone", "docker"]

    def test_authorities_are_shared_with_containers(self, host: Host) -> None:
        host.bucket["ca.pem"] = "-----BEGIN CERTIFICATE-----\n"
        host.once()
        shared = host.paths.shared / "ca.pem"
        assert shared.read_text().startswith("-----BEGIN")
        assert shared.stat().st_mode & 0o777 == 0o644


def test_a_program_that_fails_says_why() -> None:
    with pytest.raises(converge.CommandError, match="exit 3: no good"):
        converge.run_program(["sh", "-c", "echo no good >&2; exit 3"], {}, 5)
    with pytest.raises(converge.CommandError, match="no end after 0 s"):
        converge.run_program(["sleep", "5"], {}, 0.1)
    with pytest.raises(converge.CommandError, match="No such file"):
        converge.run_program(["not-a-program"], {}, 5)
    assert converge.run_program(["sh", "-c", "echo $MORE"], {"MORE": "yes"}, 5) == "yes\n"
