"""Units and defaults that come with the programs: converge installs them, keeps them, and removes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from droplet.converge import units
from droplet.converge.errors import CommandError, ConvergeError
from droplet.converge.paths import Paths
from tests.droplet.machine import Host

DAEMON = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
STATIC = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
ONESHOT = f"{STATIC}[Install]\nWantedBy=multi-user.target\n"
TIMER = "[Timer]\nOnCalendar=minutely\n[Install]\nWantedBy=timers.target\n"


@dataclass
class Systemd:
    """systemctl, and the version of the programs that brings units."""

    paths: Paths
    failing: str | None = None
    commands: list[str] = field(default_factory=list)
    oneshot: tuple[str, ...] = ("job.service", "drain.service")

    def run(self, args: Sequence[str], env: Mapping[str, str], _timeout: float) -> str:
        command = " ".join(args[1:])
        # Debian's scripts for SysV's init would be enabled in /etc, where converge may not write.
        assert (env.get("SYSTEMCTL_SKIP_SYSV") == "1") == (args[1] in {"enable", "disable"})
        self.commands.append(command)
        if self.failing and self.failing in command:
            raise CommandError(f"systemctl {command} failed")
        if command.startswith("show "):
            return "oneshot\n" if args[-1] in self.oneshot else "simple\n"
        return ""

    def bring(self, files: Mapping[str, str]) -> None:
        """Make another version the current one."""
        version = self.paths.state / f"programs/{len(list(self.paths.state.glob('programs/*')))}"
        for name, text in files.items():
            (version / name).parent.mkdir(parents=True, exist_ok=True)
            (version / name).write_text(text)
        version.mkdir(parents=True, exist_ok=True)
        self.paths.programs.unlink(missing_ok=True)
        self.paths.programs.symlink_to(version)

    def install(self, files: Mapping[str, str] | None = None) -> list[str]:
        """Install a version, or the current one again; return what systemctl was asked to do."""
        if files is not None:
            self.bring(files)
        self.commands.clear()
        units.install(self.paths, self.run)
        return [command for command in self.commands if not command.startswith("show ")]

    @property
    def files(self) -> set[str]:
        folders = (self.paths.units, self.paths.defaults)
        return {
            str(path.relative_to(folder))
            for folder in folders
            for path in folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def systemd(tmp_path: Path) -> Systemd:
    paths = Paths(*(tmp_path / name for name in ("state", "run", "units", "defaults")))
    for folder in (paths.state / "programs", paths.units, paths.defaults):
        folder.mkdir(parents=True)
    return Systemd(paths)


def test_a_new_unit_is_enabled_and_started_once(systemd: Systemd) -> None:
    did = systemd.install(
        {"units/job.service": STATIC, "units/job.timer": TIMER, "units/agent.service": DAEMON}
    )
    assert did == ["daemon-reload", "enable --now agent.service", "enable --now job.timer"]
    assert (systemd.paths.units / "job.service").read_text() == STATIC
    assert (systemd.paths.units / "job.service").stat().st_mode & 0o777 == 0o644
    assert systemd.install() == []


def test_a_unit_that_changed_is_restarted_unless_it_is_a_oneshot(systemd: Systemd) -> None:
    files = {"units/agent.service": DAEMON, "units/drain.service": ONESHOT, "units/job.timer": TIMER}
    systemd.install(files)
    did = systemd.install({name: f"# another\n{text}" for name, text in files.items()})
    assert did == [
        "daemon-reload",
        "enable --now agent.service",
        "try-restart agent.service",
        "enable --now drain.service",
        "enable --now job.timer",
        "try-restart job.timer",
    ]


def test_a_unit_whose_restart_ends_what_clients_do_is_left_to_its_next_start(systemd: Systemd) -> None:
    """As pgbouncer.service, which nothing drains before."""
    marked = f"[Unit]\nX-RestartIfChanged=no\n{DAEMON}"
    systemd.install({"units/agent.service": marked})
    did = systemd.install({"units/agent.service": f"# another\n{marked}"})
    assert did == ["daemon-reload", "enable --now agent.service"]
    assert (systemd.paths.units / "agent.service").read_text().startswith("# another")


def test_another_version_with_the_same_units_does_nothing(systemd: Systemd) -> None:
    systemd.install({"units/agent.service": DAEMON})
    assert systemd.install({"units/agent.service": DAEMON, "droplet/new.py": ""}) == []


def test_a_service_is_restarted_once_for_its_defaults_and_drop_ins(systemd: Systemd) -> None:
    did = systemd.install(
        {"defaults/exporter": "ARGS=-x\n", "units/exporter.service.d/own.conf": "[Service]\n"}
    )
    assert systemd.files == {"exporter", "exporter.service.d/own.conf"}
    assert did == ["daemon-reload", "try-restart exporter.service"]


def test_a_service_is_restarted_when_its_defaults_change(systemd: Systemd) -> None:
    did = systemd.install({"defaults/agent": "A=1\n", "units/agent.service": DAEMON})
    assert did == ["daemon-reload", "enable --now agent.service"]
    did = systemd.install({"defaults/agent": "A=2\n", "units/agent.service": DAEMON})
    assert did == ["daemon-reload", "try-restart agent.service"]


def test_what_is_gone_is_stopped_and_removed(systemd: Systemd) -> None:
    by_hand = systemd.paths.units / "other.service"
    by_hand.write_text(DAEMON)
    systemd.install(
        {"units/agent.service": DAEMON, "defaults/agent": "A=1\n", "units/x.service.d/own.conf": "[Unit]\n"}
    )
    did = systemd.install({})
    assert did == ["disable --now agent.service", "daemon-reload", "try-restart x.service"]
    assert systemd.files == {"other.service"}
    assert not (systemd.paths.units / "x.service.d").exists()
    assert systemd.install() == []


def test_what_somebody_changed_by_hand_is_put_back(systemd: Systemd) -> None:
    systemd.install({"units/agent.service": DAEMON})
    unit = systemd.paths.units / "agent.service"
    unit.write_text("[Service]\nExecStart=/bin/false\n")
    assert "try-restart agent.service" in systemd.install()
    assert unit.read_text() == DAEMON
    unit.unlink()
    systemd.install()
    assert unit.read_text() == DAEMON


def test_what_somebody_removed_by_hand_can_go(systemd: Systemd) -> None:
    systemd.install({"units/agent.service": DAEMON})
    (systemd.paths.units / "agent.service").unlink()
    assert systemd.install({}) == ["daemon-reload"]
    assert systemd.install() == []


def test_what_systemd_refuses_is_tried_again_and_holds_nothing_else_up(systemd: Systemd) -> None:
    systemd.failing = "enable --now agent.service"
    with pytest.raises(ConvergeError, match=r"agent\.service: systemctl enable --now agent\.service failed"):
        systemd.install({"units/agent.service": DAEMON, "units/other.service": DAEMON})
    assert "enable --now other.service" in systemd.commands
    systemd.failing = None
    assert systemd.install() == ["daemon-reload", "enable --now agent.service", "try-restart agent.service"]
    assert systemd.install() == []


def test_a_run_that_was_killed_leaves_nothing_that_is_never_removed(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(systemd, "run", killed)
        with pytest.raises(KeyboardInterrupt):
            systemd.install({"units/agent.service": DAEMON})
    assert systemd.files == {"agent.service"}
    systemd.install({})
    assert systemd.files == set()


def test_a_droplet_without_programs_keeps_what_it_has(systemd: Systemd) -> None:
    systemd.install({"units/agent.service": DAEMON})
    systemd.paths.programs.unlink()
    assert systemd.install() == []
    assert systemd.files == {"agent.service"}


def test_a_unit_that_fails_does_not_hold_a_release_up(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (host.paths.units, host.paths.defaults):
        folder.mkdir()
    Systemd(host.paths).bring({"units/agent.service": DAEMON})
    host.failing = "enable --now agent.service"
    assert host.once() == 1
    assert host.did(" up ")
    assert not host.success
    assert "<3>agent.service" in capsys.readouterr().out
    host.failing = None
    assert host.once() == 0
    assert host.success
