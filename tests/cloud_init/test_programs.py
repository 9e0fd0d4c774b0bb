"""programs.json: what of droplet/ a group's droplets get, and that it works there."""

import ast
import dataclasses
import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from cloud_init import programs
from cloud_init.programs import MAX_PROGRAMS_BYTES, ProgramsTooLongError, render_programs
from droplet import fetch
from droplet.converge.objects import MAX_OBJECT_BYTES
from droplet.pool import files as pool_files
from droplet.telemetry.command import Folders
from model.droplets import DropletGroupPlan
from model.ip_ranges import CONTAINER_RANGES
from model.pool import PORT, SOCKETS
from tests.cloud_init.conftest import GROUPS
from tests.support import ROOT

CONTROL = {"production-control", "staging-app"}
"""The groups that run the isolation job."""

POOLED = {"production-tenant", "production-worker", "staging-app", "staging-worker"}
"""The groups with services that use tenants' databases."""


PUBLIC = {"production-control", "production-tenant", "staging-app"}
"""The groups with a load balancer."""


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
        # Every droplet of the control group fetches it, a plan shows it: nine tenths of the limit are the alarm.
        assert len(text.encode()) < MAX_PROGRAMS_BYTES * 0.9
        assert MAX_PROGRAMS_BYTES < MAX_OBJECT_BYTES
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
        # The restore drill connects as services do.
        drills = "units/presence360-drill.timer" in found
        assert ("droplet/pool/files.py" in found) == (name in POOLED or drills)
        assert ("units/pgbouncer.service" in found) == (name in POOLED)
        assert ("units/presence360-pool.timer" in found) == (name in POOLED)
        # Every droplet measures itself; requests come to few.
        assert {"units/presence360-exporter.service", "units/prometheus-node-exporter.service"} <= found
        assert ({"units/mtail.service", "requests.mtail"} <= found) == (name in PUBLIC)

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
        "usage: converge, exporter, jobs, logs, pool, telemetry, self-test or --may-update <digest>\n",
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


def test_exporters_listen_on_loopback_and_are_limited(plans: Mapping[str, DropletGroupPlan]) -> None:
    units = files(plans["staging-app"])
    for name, address in (
        ("mtail", "--address=127.0.0.1 --port=3903"),
        ("prometheus-node-exporter", "=127.0.0.1:9100"),
    ):
        text = units[f"units/{name}.service"]
        assert address in text
        assert "MemoryMax=" in text


def test_a_changed_program_of_mtails_restarts_it(plans: Mapping[str, DropletGroupPlan]) -> None:
    """mtail reads it when it starts; converge restarts what has another unit."""
    plan = plans["staging-app"]
    other = dataclasses.replace(plan, base_domain="another.example")
    units = [files(one)["units/mtail.service"] for one in (plan, other)]
    assert units[0] != units[1]


def test_telemetry_comes_with_an_observability_group(plans: Mapping[str, DropletGroupPlan]) -> None:
    units = {f"units/presence360-{name}" for name in ("otlp.service", "telemetry.service", "telemetry.timer")}
    for name in ("staging-app", "staging-worker"):
        assert units <= set(files(plans[name]))
        without = files(dataclasses.replace(plans[name], telemetry=None))
        assert not units & set(without)
        assert not [path for path in without if "droplet/telemetry/" in path]
    # Only who receives has its key loaded.
    key = "LoadCredential=droplet.key:"
    otlp = "units/presence360-otlp.service"
    assert files(plans["staging-app"])[otlp].count(key) == 1
    assert files(plans["staging-worker"])[otlp].count(key) == 0
    # Messages of containers wait on the disk.
    state = f"StateDirectory={Folders().bodies.parent.relative_to('/var/lib')}\n"
    assert files(plans["staging-worker"])[otlp].count(state) == 1


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


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", ["production-control", "production-observability"])
def test_no_unit_of_metrics_and_alerts_may_do_more_than_it_has_to(
    plans: Mapping[str, DropletGroupPlan], name: str, tmp_path: Path
) -> None:
    """What is not booted in the tests, such as the volume's, and what is; tests/droplets has the limit, too."""
    words = ("metrics", "observability", "prometheus", "victoria", "vmalert", "volume", "watchdog")
    texts = files(plans[name])
    units = [
        tmp_path / path.removeprefix("units/")
        for path in texts
        if path.endswith(".service") and any(word in path for word in words)
    ]
    for unit in units:
        unit.write_text(texts[f"units/{unit.name}"], encoding="utf-8")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", *map(str, units)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    scores = {match[1]: float(match[2]) for match in re.finditer(r"level for (\S+): ([\d.]+) ", said)}
    assert set(scores) == {unit.name for unit in units} != set()
    assert {unit: score for unit, score in scores.items() if score > 4.0} == {}


def test_what_reads_others_objects_has_a_limit_of_memory(plans: Mapping[str, DropletGroupPlan]) -> None:
    """rclone lists a bucket in memory; it is ended alone, and the run goes on."""
    for name in GROUPS:
        units = {path: text for path, text in files(plans[name]).items() if path.startswith("units/")}
        readers = [
            "units/presence360-converge.service.d/presence360.conf",
            "units/presence360-telemetry.service",
        ]
        for path in readers:
            assert re.search(r"^MemoryMax=\d+M$", units[path], re.MULTILINE)
            assert units[path].count("\nOOMPolicy=continue\n") == 1


def test_a_church_s_large_row_ends_its_own_program_alone(plans: Mapping[str, DropletGroupPlan]) -> None:
    """pg_dump holds a whole row; a unit with a limit is ended as a whole where nothing else is said."""
    units = {
        path: text
        for name in GROUPS
        for path, text in files(plans[name]).items()
        if path in {"units/presence360-backup.service", "units/presence360-drill.service"}
    }
    assert len(units) == 2
    for text in units.values():
        assert re.search(r"^MemoryMax=\d+M$", text, re.MULTILINE)
        assert text.count("\nOOMPolicy=continue\n") == 1


def test_no_two_programs_of_a_droplet_have_one_port() -> None:
    """Of those that a number stands for: where two wanted 9366, the second never started."""
    modules = ("access", "dashboards", "logs", "pool", "services", "telemetry", "traces")
    found = [
        (f"{module}.{name}", value)
        for module in (*(f"model.{name}" for name in modules), "cloud_init.nginx", "cloud_init.observability")
        for name, value in vars(importlib.import_module(module)).items()
        # What a module only imports has its own name there, and the same number.
        if name.endswith("PORT") and isinstance(value, int) and name in _own_names(module)
    ]
    assert len(found) > 15
    by_port = Counter(value for _, value in found)
    assert [one for one in found if by_port[one[1]] > 1] == []


def _own_names(module: str) -> set[str]:
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    return {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def test_the_reader_of_metrics_reaches_the_store_of_traces(plans: Mapping[str, DropletGroupPlan]) -> None:
    """Docker has no proxy in user space here: what is sent to a port on loopback goes to the container's address."""
    unit = "units/presence360-metrics-reader.service"
    texts = [found[unit] for name in GROUPS if unit in (found := files(plans[name]))]
    assert texts
    docker0 = CONTAINER_RANGES[0]
    assert all(f"\nIPAddressAllow=localhost {docker0}\n" in text for text in texts)
