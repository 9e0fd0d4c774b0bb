"""Run one of the long proofs and print its line for docs/proof.md: `python -m lab.prove droplets`.

A proof is a run that is too long for `make test`, which has a small version of it. Exit code 0: proved; 1: it failed,
or nothing was proved because every test skipped.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from ops.ci.environments import found
from ops.paths import ENVIRONMENTS, ROOT

GIB = 1024**3


@dataclass(frozen=True)
class Outcome:
    """What one proof showed.

    Attributes:
        proved: nothing failed, and something ran.
        figures: what docs/proof.md says of it.
    """

    proved: bool
    figures: str


def tests(*folders: str, **variables: str) -> Outcome:
    """Run tests, nightly ones too, with these variables set; the number of those that passed, failed and skipped."""
    with tempfile.TemporaryDirectory(prefix="proof-") as scratch:
        report = Path(scratch) / "report.xml"
        command = [sys.executable, "-m", "pytest", "--quiet", f"--junitxml={report}", *folders]
        subprocess.run(
            command, cwd=ROOT, env=os.environ | {"PRESENCE360_NIGHTLY": "1"} | variables, check=False
        )
        return counted(report)


def counted(report: Path) -> Outcome:
    """Return the outcome that a JUnit report tells; no report means that pytest itself failed."""
    if not report.exists():
        return Outcome(proved=False, figures="pytest did not run")
    suites = list(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 (pytest wrote it)
    ran, failed, skipped = (
        sum(int(suite.attrib[name]) for suite in suites for name in names)
        for names in (("tests",), ("failures", "errors"), ("skipped",))
    )
    passed = ran - failed - skipped
    figures = [
        f"{passed} passed",
        f"{failed} failed" if failed else "",
        f"{skipped} skipped" if skipped else "",
    ]
    return Outcome(proved=passed > 0 and not failed, figures=", ".join(filter(None, figures)))


def rehearsals() -> Outcome:
    """Rehearse every scenario in every environment, and deploy by the real CLI."""
    cli = tests("tests/ops/cdktf_deploy", "tests/lab/rehearsal")
    said, proved = [f"cdktf deploy: {cli.figures}"], cli.proved
    for environment in found(ENVIRONMENTS):
        command = [sys.executable, "-m", "lab.rehearsal", "--environment", environment]
        done, last = _passed_through(command)
        proved = proved and done
        said.append(f"{environment}: {last}")
    return Outcome(proved, "; ".join(said))


def full_cell() -> Outcome:
    """Let a full cell be busy on one modest cluster, through the pools of three droplets."""
    done, last = _passed_through([sys.executable, "-m", "lab.full_cell"])
    return Outcome(done, last)


def benchmark() -> Outcome:
    """Measure; the ratios are in the log, since each is a line of its own."""
    done, _ = _passed_through([sys.executable, "-m", "lab.bench"])
    return Outcome(done, "see its report")


PROOFS: Mapping[str, Callable[[], Outcome]] = {
    "alerts": lambda: tests(
        "tests/model/alerts",
        "tests/observability",
        "tests/droplets/test_alerts.py",
        "tests/droplets/test_grafana.py",
        "tests/droplets/test_telemetry.py",
        "tests/droplets/test_faults.py",
        PRESENCE360_EVERY_ALERT="1",
    ),
    "backups": lambda: tests("tests/backups", "tests/lives", PRESENCE360_DUMPED_CHURCHES="250"),
    "drill": lambda: tests("tests/drill", "tests/ops/drill", PRESENCE360_DRILLED_CHURCHES="100"),
    "droplets": lambda: tests("tests/droplets", "tests/clients"),
    "hops": lambda: tests("tests/hops", PRESENCE360_HOPS_ROUNDS="40"),
    "isolation": lambda: tests(
        "tests/isolation",
        "tests/pool",
        "tests/lab/local_digitalocean/test_postgres.py",
        PRESENCE360_ALL_POSTGRES="1",
    ),
    "migrations": lambda: tests("tests/migrations", PRESENCE360_CHURCHES="100"),
    "pool": full_cell,
    "recovery": lambda: tests("tests/recovery", "tests/sql_access", PRESENCE360_NIGHTLY="1"),
    "rehearsal": rehearsals,
    "bench": benchmark,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("proof", choices=PROOFS)
    name = parser.parse_args(arguments).proof
    began = time.monotonic()
    outcome = PROOFS[name]()
    line = row(name, outcome, time.monotonic() - began)
    print(f"\n{line}")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(f"| Proof | Date | Machine | Time | Figures |\n|---|---|---|---|---|\n{line}\n")
    return 0 if outcome.proved else 1


def row(name: str, outcome: Outcome, seconds: float) -> str:
    """Return the line of docs/proof.md's table."""
    verdict = "" if outcome.proved else "**not proved:** "
    return f"| {name} | {datetime.now(UTC):%Y-%m-%d} | {machine()} | {seconds:.0f} s | {verdict}{outcome.figures} |"


def machine() -> str:
    """Say what this machine is, as far as it matters for time."""
    memory = psutil.virtual_memory().total / GIB
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release().split('-')[0]}"


def _passed_through(command: Sequence[str]) -> tuple[bool, str]:
    """Run a command with its output shown; whether it succeeded, and the last line that it printed."""
    last = ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            last = line.strip() or last
    return process.returncode == 0, last


if __name__ == "__main__":
    sys.exit(main())
