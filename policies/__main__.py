"""Scan stacks: `python -m policies cdktf.out/stacks`.

Exit codes: 0 if every policy holds; 1 on a failed check, a skip that has ended, and a policy that judged nothing
anywhere; 2 if the stacks could not be scanned. docs/policies.md says how another project uses it.
"""
# ruff: noqa: T201 - a program, so it prints

import argparse
import sys
import time
from datetime import date
from pathlib import Path

from policies import skips
from policies.policy import PACK, Policy
from policies.scan import ScanError, find_checkov, scan
from policies.table import failures, table

MISSING = (
    "checkov is not installed: `make policy` installs it in .venv-checkov, or set CHECKOV to the program"
)


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m policies", description="Judge stacks of DigitalOcean.")
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("cdktf.out/stacks"),
        help="with Terraform JSON, HCL, plans in JSON (terraform show -json), or all of them",
    )  # fmt: skip
    parser.add_argument("--general", action="store_true", help="leave out what holds in Presence360 only")
    parser.add_argument("--each", action="store_true", help="a row for each policy")
    parser.add_argument("--skips", type=Path, help="the file of accepted findings (policies/skips.toml)")
    parser.add_argument("--sarif", type=Path, help="write SARIF to this file")
    parser.add_argument("--junit", type=Path, help="write JUnit's XML to this file")
    return parser.parse_args(arguments)


def _policies(*, general: bool) -> list[Policy]:
    """Return the policies of the pack, in the order of docs/policies.md."""
    from policies import general as some  # noqa: PLC0415 (importing registers them)

    order = [module.__name__ for module in some.MODULES]
    if not general:
        from policies import pack  # noqa: PLC0415

        order = [module.__name__ for module in pack.MODULES]
    return sorted(
        (policy for policy in PACK.values() if policy.module in order),
        key=lambda policy: (order.index(policy.module), policy.number),
    )


def main(arguments: list[str]) -> int:
    """Print the table and the findings; return the exit code."""
    options = _arguments(arguments)
    checkov = find_checkov()
    if checkov is None:
        print(MISSING, file=sys.stderr)
        return 2
    policies = _policies(general=options.general)
    wanted = {"sarif": options.sarif, "junit": options.junit}
    start = time.monotonic()
    try:
        accepted = skips.read(options.skips or skips.FILE, [policy.id for policy in policies])
        pack = "general" if options.general else "all"
        report = scan(
            options.folder, checkov, pack=pack, outputs=[name for name, path in wanted.items() if path]
        )
    except (ScanError, skips.SkipError) as error:
        print(error, file=sys.stderr)
        return 2
    report, problems = skips.apply(report, accepted, policies, date.today())
    print(table(report, policies, each=options.each))
    print(failures(report.failed))
    for problem in problems:
        print(f"\n{problem}")
    for name, text in report.outputs.items():
        wanted[name].write_text(text, "utf-8")
    files = {finding.file for finding in (*report.passed, *report.failed, *report.skipped)}
    failed = len(report.failed) + len(problems)
    print(f"{'FAILED' if failed else 'ok'}: {len(files)} stacks in {time.monotonic() - start:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
