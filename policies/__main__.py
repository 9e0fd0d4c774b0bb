"""Scan synthesized stacks: `python -m policies cdktf.out/stacks`.

Exit codes: 0 if every policy holds, 1 on any failed or skipped check, 2 if the stacks could not be scanned.

checkov 3.3.30 exits with 0 when it scanned nothing: with the framework `terraform`, with a file that it cannot parse,
and when a policy cannot be imported. It cannot parse a file with `required_version`, or with `moved`, `import` or
`removed` blocks. So the stacks are scanned from a copy that it can parse, and an error that checkov only logs is a
failure here. checkov has an environment of its own, which the variable CHECKOV names.
"""
# ruff: noqa: T201 - a program, so it prints

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLICIES = Path(__file__).resolve().parent
DEFAULT_CHECKOV = POLICIES.parent / ".venv-checkov" / "bin" / "checkov"
UNLABELLED_BLOCKS = ("moved", "import", "removed")
BROKE_DOWN = re.compile(r"\[ERROR\]  Failed to run check (\S+) on /(.+?):(\S+)")
REASON = re.compile(r"  (CKV_P360_\d+): /(.+?): (.+?): (.+)")  # as StackPolicy logs it


class ScanError(Exception):
    """The stacks could not be scanned completely."""


@dataclass(frozen=True)
class Finding:
    """One check on one resource."""

    check: str
    file: str
    resource: str
    text: str

    def __str__(self) -> str:
        return f"{self.check}  {self.file}  {self.resource}\n    {self.text}"


@dataclass(frozen=True)
class Report:
    """What checkov found."""

    passed: list[Finding]
    failed: list[Finding]
    skipped: list[Finding]

    def resources(self) -> set[tuple[str, str]]:
        """The file and the name of each resource and output that was checked."""
        return {(finding.file, finding.resource) for finding in self.passed + self.failed}


def find_checkov() -> Path | None:
    """Return the program that CHECKOV names, or else the one in .venv-checkov; None if there is neither."""
    path = Path(os.environ.get("CHECKOV") or DEFAULT_CHECKOV)
    return path if path.is_file() else None


def scan(folder: Path, checkov: Path) -> Report:
    """Run checkov once over every cdk.tf.json below a folder.

    Raises:
        ScanError: it did not read all of them.
    """
    files = sorted(folder.rglob("cdk.tf.json"))
    if not files:
        raise ScanError(f"there is no cdk.tf.json below {folder}: run `make synth` first")
    with tempfile.TemporaryDirectory() as copy:
        for file in files:
            target = Path(copy) / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(readable(json.loads(file.read_text("utf-8"))), indent=2), "utf-8")
        command = [str(checkov), "--directory", copy, "--framework", "terraform_json", "--output", "json"]
        command += ["--external-checks-dir", str(POLICIES), "--skip-download", "--compact"]
        environment = os.environ | {
            "LOG_LEVEL": "WARNING",  # an error is the only sign of a policy that did not load
            "CHECKOV_GRAPH_FRAMEWORK": "RUSTWORKX",  # StackPolicy reads this one
            "PYTHONDONTWRITEBYTECODE": "1",
            # checkov imports each policy by its path; this is where that finds `policies.reading`.
            "PYTHONPATH": str(POLICIES.parent),
        }
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        log = done.stderr.replace(copy, "")
    if "[ERROR]" in BROKE_DOWN.sub("", log) or done.returncode not in (0, 1):
        raise ScanError(f"checkov ended with {done.returncode}:\n{log}")
    return _report(json.loads(done.stdout), log)


def readable(stack: dict[str, Any]) -> dict[str, Any]:
    """Return a stack in a form that checkov can parse.

    It needs a label on every block and an object behind it: blocks without a label get a number, and `terraform` loses
    `required_version`, which no check reads. A text that resources take from a local value is written into the
    resources, where checks of single resources find it.
    """
    numbered = {
        kind: {str(number): block for number, block in enumerate(_as_list(stack[kind]))}
        for kind in UNLABELLED_BLOCKS
        if kind in stack
    }
    settings = {key: value for key, value in stack.get("terraform", {}).items() if isinstance(value, dict)}
    texts = {
        f"${{local.{name}}}": text for name, text in stack.get("locals", {}).items() if isinstance(text, str)
    }
    resources = {"resource": _written_out(stack["resource"], texts)} if "resource" in stack else {}
    return stack | numbered | {"terraform": settings} | resources


def _written_out(value: Any, texts: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _written_out(child, texts) for key, child in value.items()}
    if isinstance(value, list):
        return [_written_out(child, texts) for child in value]
    return texts.get(value, value) if isinstance(value, str) else value


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _report(answer: dict[str, Any], log: str) -> Report:
    # The summary's resource_count is 0 for this framework whatever was scanned; an empty scan has no results.
    results = answer.get("results", {})
    if results.get("parsing_errors"):
        raise ScanError(f"checkov could not read {results['parsing_errors']}:\n{log}")
    if not (results.get("passed_checks") or results.get("failed_checks")):
        raise ScanError("checkov found nothing to check in the stacks")
    reasons = _reasons(log)
    return Report(
        passed=[_finding(record, reasons) for record in results["passed_checks"]],
        failed=[_finding(record, reasons) for record in results["failed_checks"]] + _broke_down(log),
        skipped=[_finding(record, reasons) for record in results["skipped_checks"]],
    )


def _broke_down(log: str) -> list[Finding]:
    """Return the checks that raised an error: they have no verdict in checkov's answer (CKV_DIO_4 on `dynamic`)."""
    broken = BROKE_DOWN.findall(log)
    return [
        Finding(check, file, resource, "the check failed with an error on it")
        for check, file, resource in broken
    ]


def _reasons(log: str) -> dict[tuple[str, str, str], list[str]]:
    """Return the reasons of the rules over whole stacks, by check, file and address: checkov's answer has no field."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for check, file, address, reason in REASON.findall(log):
        found[check, file, address].append(reason)
    return found


def _finding(record: dict[str, Any], reasons: dict[tuple[str, str, str], list[str]]) -> Finding:
    check, file, resource = record["check_id"], record["file_path"].lstrip("/"), record["resource"]
    details = [*(record.get("details") or []), *reasons.get((check, file, resource), [])]
    return Finding(check, file, resource, "\n    ".join([record["check_name"], *details]))


def main(arguments: list[str]) -> int:
    """Print the findings; return the exit code."""
    checkov = find_checkov()
    if checkov is None:
        print(
            "checkov is not installed: `make policy` installs it in .venv-checkov, or set CHECKOV to the program",
            file=sys.stderr,
        )
        return 2
    try:
        report = scan(Path(arguments[0] if arguments else "cdktf.out/stacks"), checkov)
    except ScanError as error:
        print(error, file=sys.stderr)
        return 2
    for finding in report.failed + report.skipped:
        print(finding)
    counts = f"{len(report.passed)} passed, {len(report.failed)} failed, {len(report.skipped)} skipped"
    print(f"{counts}, {len(report.resources())} resources")
    return 1 if report.failed or report.skipped else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
