"""Check a deployed environment of a local DigitalOcean, then break each line of the check once: part of a rehearsal.

    python -m lab.checked --environments FOLDER --environment staging --outdir FOLDER

The variables of the local DigitalOcean say where it is. Exit code 1 if a line has another colour than it is to have.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.checked.breaks import BREAKS, broken
from lab.checked.estate import Estate
from model.loader import load_environments
from ops.check.finding import Colour
from ops.check.report import summary, text

PATIENCE_SECONDS = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--environment", required=True)
    parser.add_argument("--outdir", type=Path, required=True)
    options = parser.parse_args(arguments)
    found = load_environments(options.environments)
    (environment,) = [one for one in found if one.file.environment == options.environment]
    with tempfile.TemporaryDirectory() as checkout:
        _make_checkout(Path(checkout))
        estate = Estate(environment, os.environ, Path(checkout), options.outdir)
        estate.speak()
        try:
            problems = [*_all_well(estate), *_each_broken(estate)]
        finally:
            estate.close()
    print("\n".join(problems) or f"each of {len(BREAKS)} faults is shown, and gone afterwards")
    return 1 if problems else 0


def _make_checkout(folder: Path) -> None:
    """Make a clean checkout of main: that of the rehearsal may be anything."""
    git = ["git", "-C", str(folder), "-c", "user.name=Rehearsal", "-c", "user.email=rehearsal@example.org"]
    subprocess.run([*git, "init", "--quiet", "--initial-branch", "main"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "x"], check=True)


def _all_well(estate: Estate) -> Iterator[str]:
    """Yield what is not green although nothing is broken: droplets take some seconds to say how they are."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    lines = list(estate.check().values())
    while any(line.colour for line in lines) and time.monotonic() < deadline:
        time.sleep(1)
        lines = list(estate.check().values())
    print(summary(estate.plan.name, lines))
    yield from (said for colour, said in text(lines) if colour is not Colour.GREEN)


def _each_broken(estate: Estate) -> Iterator[str]:
    for one in BREAKS:
        with broken(estate, one):
            line = estate.check(one.line)[one.line]
        print(f"{line.colour.word:6}  {one.line}: {one.title}: {line.told[0].text}")
        if line.colour is not one.colour:
            yield f"{one.line}: {one.title}: it is {line.colour.word}, and not {one.colour.word}"
        if colour := estate.colour(one.line):
            yield f"{one.line}: put right again, it is {colour.word}"


if __name__ == "__main__":
    sys.exit(main())
