"""programs.json: what of droplet/ a group's droplets get, and that it works there."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cloud_init import programs
from cloud_init.programs import MAX_PROGRAMS_BYTES, ProgramsTooLongError, render_programs
from droplet import fetch
from droplet.pool import files as pool_files
from model.droplets import DropletGroupPlan
from model.pool import PORT, SOCKETS
from tests.cloud_init.conftest import GROUPS
from tests.support import ROOT

CONTROL = {"production-control", "staging-app"}
"""The groups that run the isolation job."""

POOLED = {"production-tenant", "production-worker", "staging-app", "staging-worker"}
"""The groups with services that use tenants' databases."""


def files(plan: DropletGroupPlan) -> dict[str, str]:
    return dict(json.loads(render_programs(plan))["files"])


@pytest.mark.parametrize("name", GROUPS)
class TestPrograms:
    def test_are_sorted_text_of_a_bounded_size(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        text = render_programs(plans[name])
        found = json.loads(text)
        assert set(found) == {"files"}
        assert list(found["files"]) == sorted(found["files"])
        # Every droplet of the control group fetches it, a plan shows it: a third of the limit is the alarm.
        assert len(text.encode()) < MAX_PROGRAMS_BYTES / 3
        assert text == render_programs(plans[name])

    def test_are_the_modules_as_they_are(self, plans: Mapping[str, DropletGroupPlan], name: str) -> None:
        found = files(plans[name])
        assert found["__main__.py"] == (ROOT / "droplet/__main__.py").read_text()
        modules = {path: text for path, text in found.items() if path.startswith("droplet/")}
        assert modules
        for path, text in modules.items():
            assert text == (ROOT / path).read_text()

    def test_are_those_that_the_group_needs(self, plans: Mapping[str, DropletGroupPlan], name: str) -> None:
        found = set(files(plans[name]))
        assert not {f"droplet/{program}.py" for program in ("fetch", "health", "host")} & found
        assert {"units/presence360-drain.service", "units/presence360-swap.service"} <= found
        databases = {path for path in found if "isolation" in path or "move_tenant" in path}
        assert bool(databases) == (name in CONTROL)
        assert ("units/presence360-isolation.timer" in found) == (name in CONTROL)
        pools = {path for path in found if "droplet/pool/" in path or path == "units/pgbouncer.service"}
        assert bool(pools) == (name in POOLED)
        assert ("units/presence360-pool.timer" in found) == (name in POOLED)

    def test_pass_their_self_test_on_a_droplet(
        self, plans: Mapping[str, DropletGroupPlan], name: str, tmp_path: Path
    ) -> None:
        """In a folder of their own, where nothing else of this repository can be imported."""
        fetch.unpack(files(plans[name]), tmp_path / "version")
        run = [sys.executable, "-I", "-B", str(tmp_path / "version")]
        tested = subprocess.run([*run, "self-test"], cwd="/", capture_output=True, text=True, check=False)
        assert (tested.returncode, tested.stderr) == (0, "")
        shown = subprocess.run(
            [*run, "converge", "--help"], cwd="/", check=True, capture_output=True, text=True
        )
        assert "--retry" in shown.stdout
        # Nothing was compiled into the folder: a version stays as it was sent.
        assert not list(tmp_path.rglob("__pycache__"))


def test_a_module_that_cannot_be_imported_fails_the_self_test(
    plans: Mapping[str, DropletGroupPlan], tmp_path: Path
) -> None:
    broken = {**files(plans["staging-worker"]), "droplet/converge/extra.py": "import model\n"}
    fetch.unpack(broken, tmp_path / "version")
    run = [sys.executable, "-I", "-B", str(tmp_path / "version"), "self-test"]
    tested = subprocess.run(run, cwd="/", capture_output=True, text=True, check=False)
    assert tested.returncode == 1
    assert "No module named 'model'" in tested.stderr


def test_an_unknown_program_is_a_wrong_use(plans: Mapping[str, DropletGroupPlan], tmp_path: Path) -> None:
    fetch.unpack(files(plans["staging-worker"]), tmp_path / "version")
    run = [sys.executable, "-I", "-B", str(tmp_path / "version"), "isolation"]
    done = subprocess.run(run, cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        64,
        "usage: converge, pool, self-test or --may-update <digest>\n",
    )


def test_programs_that_are_too_long_are_an_error(
    plans: Mapping[str, DropletGroupPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "MAX_PROGRAMS_BYTES", 1000)
    with pytest.raises(ProgramsTooLongError, match=r"of group 'app' has \d+ bytes; at most 1000 are allowed"):
        render_programs(plans["staging-app"])


def test_pgbouncer_waits_for_no_bucket_and_starts_once_its_files_are_written(
    plans: Mapping[str, DropletGroupPlan],
) -> None:
    """Docker waits for PgBouncer, so PgBouncer must not wait for the program that fetches: up to 50 s at a reboot."""
    units = files(plans["staging-app"])
    pool, pgbouncer = units["units/presence360-pool.service"], units["units/pgbouncer.service"]
    ordered = re.findall(r"^(?:Before|After)=(.*)$", pool, re.MULTILINE)
    assert ordered == ["network-online.target pgbouncer.service"]
    assert "After=network-online.target pgbouncer.service\n" in pool
    assert "ExecStopPost=-+/usr/bin/systemctl start --no-block pgbouncer.service\n" in pool
    assert re.findall(r"^(?:Before|After|Requires)=(.*)$", pgbouncer, re.MULTILINE) == [
        "network-online.target",
        "docker.service",
    ]


def test_pgbouncer_is_where_services_look_for_it(plans: Mapping[str, DropletGroupPlan]) -> None:
    assert (str(pool_files.SOCKETS), pool_files.PORT) == (SOCKETS, PORT)
    unit = files(plans["staging-app"])["units/pgbouncer.service"]
    assert f"RuntimeDirectory={SOCKETS.removeprefix('/run/')}\n" in unit


@pytest.mark.parametrize("name", ["isolation", "pool"])
def test_root_copies_a_units_metrics_and_nothing_that_a_link_names(
    plans: Mapping[str, DropletGroupPlan], tmp_path: Path, name: str
) -> None:
    """The command line of the unit, in other folders: the first is that of a user who may have been taken over."""
    units = [files(plan).get(f"units/presence360-{name}.service") for plan in plans.values()]
    unit = next(text for text in units if text)
    (line,) = re.findall(r"^ExecStopPost=-\+(/bin/sh .*)$", unit, re.MULTILINE)
    command = line.replace("/run/", f"{tmp_path}/")
    source, copy = (
        tmp_path / f"presence360-{name}" / f"{name}.prom",
        tmp_path / "presence360" / f"{name}.prom",
    )
    source.parent.mkdir()
    copy.parent.mkdir()
    source.write_text("metric 1\n")
    source.chmod(0o600)
    subprocess.run(shlex.split(command), check=True)
    assert (copy.read_text(), copy.stat().st_mode & 0o777) == ("metric 1\n", 0o644)
    source.unlink()
    source.symlink_to("/etc/shadow")
    subprocess.run(shlex.split(command), check=True)
    assert copy.is_symlink()
    assert copy.readlink() == Path("/etc/shadow")
