"""Guard plans: `python -m ops.guard PLAN.json [PLAN.json ...]`; docs/plan-guard.md has the rules.

Each file holds what `terraform show -json PLAN` wrote, and is named after its stack: staging.json, staging-cell-2.json
(or staging/plan.json). Exit codes: 0 nothing is lost, 1 refused, 2 a plan could not be judged.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ops.arguments import Parser, told
from ops.guard.accepted import committed
from ops.guard.formats import as_json, as_text
from ops.guard.markdown import MOST_CHARACTERS, render
from ops.guard.report import Verdict, judge, read_locks, read_plans

EXIT_CODES = {Verdict.SAFE: 0, Verdict.REFUSED: 1, Verdict.UNUSABLE: 2}


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge plans and print the report; return the exit code."""
    options = _options(arguments)
    plans, unread = read_plans(options.plans)
    locks, unknown = read_locks(options.lock)
    report = judge(
        plans,
        environments=options.environments,
        locks=locks,
        first_deploys=options.first_deploy,
        accepted=committed(options.environments) if options.environments else None,
        problems=[*unread, *unknown],
    )
    if options.markdown:
        try:
            options.markdown.write_text(render(report, options.most_characters), encoding="utf-8")
        except OSError as error:
            print(f"{told(options.markdown)}: cannot be written: {error.strerror}", file=sys.stderr)
            return EXIT_CODES[Verdict.UNUSABLE]
    if options.json:
        print(json.dumps(as_json(report), indent=2, ensure_ascii=False))
    else:
        print(as_text(report))
    return EXIT_CODES[report.verdict]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python -m ops.guard",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "plans", nargs="+", type=Path, metavar="PLAN.json", help="what terraform show -json wrote"
    )
    parser.add_argument(
        "--environments",
        type=Path,
        help="the operators' files that the plans were made from",
    )
    parser.add_argument(
        "--lock",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        help="tenants.lock of what is deployed (the base), as <environment>/tenants.lock or <environment>.lock",
    )
    parser.add_argument(
        "--first-deploy",
        action="append",
        default=[],
        metavar="STACK",
        help="a stack of which nothing exists yet",
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="OUT.md", help="write a comment for the pull request"
    )
    parser.add_argument(
        "--most-characters", type=int, default=MOST_CHARACTERS, metavar="N", help="how long that may be"
    )
    parser.add_argument("--json", action="store_true", help="print the report for programs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
