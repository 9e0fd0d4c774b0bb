"""The policies as checkov's checks: it gives them its command line, severities, SARIF and JUnit.

checkov 3.3.30 gets verdicts wrong in several ways, each seen in a run. Of single resources: an exception in a check
becomes UNKNOWN, or nothing; `count = 0` becomes UNKNOWN; it guesses what a `dynamic` block holds, or drops it.
Of its graph: a `for_each` becomes two instances named `__startline__` and `__endline__`; a check that is written in
Python crashes on HCL (`KeyError: 'block_type_'`), and has no verdict at all on plans. So these checks take only the
list of files from the graph, read the files themselves, and make checkov's records.
"""

import functools
import os
import re
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any

import hcl2
from checkov.common.bridgecrew.severities import Severities
from checkov.common.checks_infra.registry import get_graph_checks_registry
from checkov.common.graph.checks_infra.base_check import BaseGraphCheck
from checkov.common.graph.graph_builder import CustomAttributes
from checkov.common.models.enums import CheckResult
from checkov.common.output.record import Record
from checkov.common.output.report import Report
from checkov.runner_filter import RunnerFilter
from checkov.terraform.base_runner import BaseTerraformRunner
from checkov.terraform_json.runner import TerraformJsonRunner

from policies import files
from policies.judge import judge
from policies.policy import Finding, Policy
from policies.stack import Stack

COPY, ORIGINAL = "POLICIES_COPY", "POLICIES_ORIGINAL"
"""The folder that checkov scans, and the one it is a copy of (policies/scan.py)."""
SKIP = re.compile(r"(?:#|//)\s*checkov:skip=(\w+)(?::\s*(.*))?")

_lock = Lock()
_found: list[Finding] = []


class Check(BaseGraphCheck):
    """One policy."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy
        self.id, self.name = policy.id, policy.title
        self.severity = Severities[policy.severity.value]
        self.guideline = f"docs/policies.md#{policy.id.lower()}"

    def run(self, graph_connector: Any) -> tuple[list[Any], list[Any], list[Any]]:
        """Judge; what is found becomes records in `_add_records`."""
        paths = {str(node.get(CustomAttributes.FILE_PATH, "")) for _, node in graph_connector.nodes()}
        with _lock:
            found = judge(_stacks(frozenset(paths)), [self.policy])
            _found.extend(found)
        return [], [], []


@functools.cache
def _stacks(paths: frozenset[str]) -> list[Stack]:
    copy, original = Path(os.environ.get(COPY, "/")), Path(os.environ.get(ORIGINAL, "/"))
    originals = [
        original / Path(path).resolve().relative_to(copy.resolve()) for path in sorted(paths) if path
    ]
    root = original if COPY in os.environ else Path.cwd()
    return files.read([file for file in originals if file.is_file()], root, hcl2.loads)


def register(policies: Iterable[Policy]) -> None:
    """Have checkov run the policies."""
    registry = get_graph_checks_registry("terraform")  # of all three runners
    known = {check.id for check in registry.checks}
    for policy in policies:
        if policy.id not in known:
            RunnerFilter.notify_external_check(policy.id)
            registry.checks.append(Check(policy))
    _patch()


def _add_records(report: Report) -> None:
    with _lock:
        found, _found[:] = list(_found), []
    base = Path(os.environ.get(ORIGINAL) or Path.cwd())  # as _stacks shows files
    for finding in found:
        file = base / finding.file
        record = Record(
            check_id=finding.policy.id,
            check_name=finding.policy.title,
            check_result=_result(finding, file),
            code_block=[],
            file_path=f"/{finding.file}",
            file_line_range=list(finding.lines),
            resource=finding.address,
            evaluations=None,
            check_class=finding.policy.module,
            file_abs_path=str(file),
            severity=Severities[finding.policy.severity.value],
            details=list(finding.problems),
        )
        record.set_guideline(f"docs/policies.md#{finding.policy.id.lower()}")
        report.add_record(record=record)


def _result(finding: Finding, file: Path) -> dict[str, Any]:
    """Return checkov's result; a comment in the block skips a check, as checkov's own checks do."""
    if finding.problems and file.suffix == files.HCL:
        first, last = finding.lines
        for line in file.read_text("utf-8").splitlines()[first - 1 : last]:
            skip = SKIP.search(line)
            if skip and skip[1] == finding.policy.id:
                return {
                    "result": CheckResult.SKIPPED,
                    "suppress_comment": skip[2] or "",
                    "evaluated_keys": [],
                }
    return {"result": CheckResult.FAILED if finding.problems else CheckResult.PASSED, "evaluated_keys": []}


def _patch() -> None:
    """Have the runners add our records when they have run the graph's checks."""
    if getattr(BaseTerraformRunner, "adds_policies", False):
        return
    BaseTerraformRunner.adds_policies = True
    of_terraform = BaseTerraformRunner.get_graph_checks_report
    of_json = TerraformJsonRunner.add_graph_check_results

    @functools.wraps(of_terraform)
    def report_of_terraform(self: Any, *more: Any, **named: Any) -> Report:
        report = of_terraform(self, *more, **named)
        _add_records(report)
        return report

    @functools.wraps(of_json)
    def results_of_json(self: Any, report: Report, *more: Any, **named: Any) -> None:
        of_json(self, report, *more, **named)
        _add_records(report)

    BaseTerraformRunner.get_graph_checks_report = report_of_terraform
    TerraformJsonRunner.add_graph_check_results = results_of_json
