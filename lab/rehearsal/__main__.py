"""Rehearse changes of an environment against a local DigitalOcean: no account, no token, nothing leaves the machine.

    python -m lab.rehearsal                            deploy staging and run every scenario
    python -m lab.rehearsal add-tenant --environment production
    python -m lab.rehearsal --list
    python -m lab.rehearsal diff --base ../main        what this checkout would change after that one
    python -m lab.rehearsal requests                   what a plan asks of the API

Exit codes: 0 if every scenario went as expected; 1 if one did not; 2 if Terraform or the provider is missing, or an
argument is wrong.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab.rehearsal import diff, requests, scenarios
from lab.rehearsal.errors import CannotRehearseError
from lab.rehearsal.runner import Result, chosen, rehearse
from lab.rehearsal.scene import PRINTING, SCENARIOS, Stopwatch
from model.errors import InvalidInputError
from ops.arguments import Parser
from ops.errors import OperationError
from ops.paths import ENVIRONMENTS

EXIT_UNEXPECTED, EXIT_USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    scenarios.load()
    options = _parser().parse_args(arguments)
    if options.list:
        width = max(len(one.name) for one in SCENARIOS)
        print("\n".join(f"{one.name:<{width}}  {one.title}" for one in SCENARIOS))
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="rehearsal-") as scratch:
            return _run(options, Path(options.keep or scratch))
    except (CannotRehearseError, InvalidInputError) as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    except OperationError as error:
        print(error, file=sys.stderr)
        return EXIT_UNEXPECTED


def _run(options: argparse.Namespace, scratch: Path) -> int:
    environment, files = options.environment, options.environments
    match options.what:
        case ["diff"]:
            return diff.main(scratch, environment, options.base, options.out, files)
        case ["requests"]:
            return requests.main(scratch, environment, options.tenants, files)
    wanted = chosen(options.what)
    watch = Stopwatch()
    results = rehearse(scratch, environment, wanted, _tell, files)
    failed = [result.scenario.name for result in results if result.problem]
    skipped = len(wanted) + 1 - len(results)
    print(
        f"{len(results) - len(failed)} of {len(results) + skipped} as expected, in {watch.seconds:.0f} s"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return EXIT_UNEXPECTED if failed else 0


def _tell(result: Result) -> None:
    with PRINTING:
        print(f"{result.scenario.name}: {result.scenario.title} ({result.seconds:.1f} s)")
        for line in result.said:
            print(f"  {line}")
        if result.problem:
            print(f"  FAILED: {result.problem}")
        print(flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m lab.rehearsal",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="*", metavar="SCENARIO", help="or `diff`, or `requests`")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    parser.add_argument("--environment", default="staging", help="a folder below environments/ (staging)")
    parser.add_argument(
        "--environments", type=Path, default=ENVIRONMENTS, metavar="FOLDER", help="the operators' files"
    )
    parser.add_argument("--keep", metavar="FOLDER", help="work there, and keep all files")
    parser.add_argument(
        "--base", type=Path, metavar="FOLDER", help="diff: a checkout of the base, or its cdktf.out"
    )
    parser.add_argument(
        "--tenants", type=int, metavar="N", help="requests: so many tenants, in as many cells as they need"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="diff: where to write the plans, as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
