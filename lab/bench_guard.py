"""Measure the plan guard on a plan of 5,000 resources: `python -m lab.bench_guard [--resources N]`.

Side by side with reading the same file with Python's JSON reader, which the guard has to do as well: the ratio is what
counts. Processor time of whole processes, start included. `make bench` runs it with the rest.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.plans.many import many_tenants
from ops.paths import ROOT

RESOURCES = 5_000
ROUNDS = 5
TARGET_SECONDS = 2.0
# A database, a user, and two objects.
PER_TENANT = 4
# Characters of an object's content in a real plan of the staging stack: certificate, address, password.
CONTENT = 1_500


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--resources", type=int, default=RESOURCES, help="how many the plan has, about")
    report(parser.parse_args().resources)
    return 0


def report(resources: int = RESOURCES) -> None:
    """Print what judging a plan takes that changes nothing, and one that loses everything."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, plan in many_tenants(resources // PER_TENANT, CONTENT).items():
            _measure(name, plan, Path(scratch))


def _measure(name: str, plan: dict[str, Any], scratch: Path) -> None:
    file = scratch / "staging.json"
    file.write_text(json.dumps(plan), encoding="utf-8")
    read = [sys.executable, "-c", "import json, sys; json.load(open(sys.argv[1]))", str(file)]
    guard = [sys.executable, "-m", "ops.guard", str(file), "--markdown", str(scratch / "summary.md")]
    seconds: dict[str, list[float]] = {"read": [], "guard": []}
    for _ in range(ROUNDS + 1):
        seconds["read"].append(_processor_seconds(read))
        seconds["guard"].append(_processor_seconds(guard))
    # The first round compiles and fills caches.
    reading, judging = (statistics.median(seconds[one][1:]) for one in ("read", "guard"))
    count, size = len(plan["resource_changes"]), file.stat().st_size / 1e6
    print(f"\nPlan guard, {count:,} resources, {size:.0f} MB, {name}")
    print(
        f"  guard / json.load of the same file   {judging / reading:5.2f}   ({judging:.2f} s / {reading:.2f} s)",
        end="",
    )
    print(f"   target {TARGET_SECONDS:.0f} s: {'met' if judging <= TARGET_SECONDS else 'MISSED'}")


def _processor_seconds(command: Sequence[str]) -> float:
    """Run a command and return the processor time of its process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
