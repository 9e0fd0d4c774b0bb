"""Guard plans: `python -m ops.guard PLAN.json [PLAN.json ...]`; docs/plan-guard.md has the rules.

Each file holds what `terraform show -json PLAN` wrote, and is named after its stack: staging.json, staging-cell-2.json
(or staging/plan.json). Exit codes: 0 nothing is lost, 1 refused, 2 something could not be judged.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ops.guard.finding import Finding
from ops.guard.markdown import MOST_CHARACTERS, render
from ops.guard.report import Report, Verdict, as_json, inspect
from ops.guard.text import to_plain

EXIT_CODES = {Verdict.SAFE: 0, Verdict.REFUSED: 1, Verdict.UNUSABLE: 2}


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge plans and say why."""
    options = _options(arguments)
    report = inspect(
        options.plans,
        environments=options.environments,
        locks=options.lock,
        first_deploys=options.first_deploy,
    )
    if options.markdown:
        try:
            options.markdown.write_text(render(report, options.most_characters), encoding="utf-8")
        except OSError as error:
            print(f"{options.markdown}: cannot be written: {error.strerror}", file=sys.stderr)
            return EXIT_CODES[Verdict.UNUSABLE]
    if options.json:
        print(json.dumps(as_json(report), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(report)))
    return EXIT_CODES[report.verdict]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
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
        help="the operators' files that the plans were made from: names, and a check",
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
        help="of which nothing exists yet, truly",
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="OUT.md", help="write a comment for the pull request"
    )
    parser.add_argument(
        "--most-characters", type=int, default=MOST_CHARACTERS, metavar="N", help="how long that may be"
    )
    parser.add_argument("--json", action="store_true", help="print the report for programs")
    return parser.parse_args(arguments)


def _lines(report: Report) -> Iterator[str]:
    """Yield the report for a terminal; nothing is left out of it."""
    yield from report.problems
    for title, findings in (("refused", report.refused), ("look at", report.warnings)):
        for finding in findings:
            yield f"{title}: {_finding(finding)}"
    summary = report.summary
    for tenant in summary.tenants:
        yield f"{tenant.stack}: {to_plain(tenant.who)}: {to_plain('; '.join(tenant.news))}"
    for lines in summary.sections.values():
        yield from (f"{stack}: {to_plain(line)}" for stack, line in lines)
    for (stack, group), parts in summary.configuration.items():
        yield f"{stack}: configuration of group {group}: {', '.join(parts)}"
    yield from (f"{kind}: {count} {what}" for (kind, what), count in sorted(summary.others.items()))
    yield from (
        f"{kind}: {count} changed outside of Terraform" for kind, count in sorted(summary.drift.items())
    )
    if summary.is_empty and report.stacks:
        yield "No changes."
    yield {
        Verdict.SAFE: "plan guard: nothing is lost",
        Verdict.REFUSED: f"plan guard: REFUSED ({len(report.refused)})",
        Verdict.UNUSABLE: "plan guard: CANNOT JUDGE",
    }[report.verdict]


def _finding(finding: Finding) -> str:
    where = f"{finding.stack}: {finding.address}: " if finding.address else f"{finding.stack}: "
    return to_plain(f"{where}{finding.what} {finding.why}\n    {finding.remedy}")


if __name__ == "__main__":
    sys.exit(main())
