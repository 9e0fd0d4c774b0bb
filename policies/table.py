"""What `make policy` prints: a table by topic, or of every policy, and then what is wrong."""

from collections import Counter
from collections.abc import Iterable, Sequence

from policies.policy import Policy
from policies.scan import Finding, Report

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "")
OTHERS = "checkov's own"


def table(report: Report, policies: Sequence[Policy], *, each: bool = False) -> str:
    """Return the table: a row for each topic, or for each policy."""
    passed, failed, skipped = (
        Counter(finding.check for finding in found)
        for found in (report.passed, report.failed, report.skipped)
    )
    foreign = sorted({*passed, *failed, *skipped} - {policy.id for policy in policies})
    topics = list(dict.fromkeys(policy.topic for policy in policies))
    rows: list[tuple[str, ...]] = [("", "policies", "hold", "fail", "skipped")]
    for topic in topics:
        own = [policy for policy in policies if policy.topic == topic]
        rows.append(_row(topic, str(len(own)), [policy.id for policy in own], passed, failed, skipped))
        if each:
            rows += [
                _row(f"  {policy.id.ljust(13)}{policy.severity.ljust(9)} {policy.title}", "", [policy.id],
                     passed, failed, skipped) for policy in own
            ]  # fmt: skip
    if foreign:
        rows.append(_row(OTHERS, str(len(foreign)), foreign, passed, failed, skipped))
    ids = [*(policy.id for policy in policies), *foreign]
    rows.append(_row("all", str(len(ids)), ids, passed, failed, skipped))
    return _aligned(rows)


def _row(
    name: str,
    count: str,
    ids: Iterable[str],
    passed: Counter[str],
    failed: Counter[str],
    skipped: Counter[str],
) -> tuple[str, ...]:
    sums = [sum(counter[one] for one in ids) for counter in (passed, failed, skipped)]
    return (name, count, *(str(number) if number else "-" for number in sums))


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def failures(findings: Iterable[Finding]) -> str:
    """Return the findings, the worst first, and of one policy together."""
    ordered = sorted(
        findings,
        key=lambda one: (
            SEVERITIES.index(one.severity) if one.severity in SEVERITIES else 9,
            one.check,
            one.file,
        ),
    )
    lines: list[str] = []
    for finding in ordered:
        head = f"{finding.severity or 'FAILED'}  {finding.check}  {finding.title}"
        if head not in lines:
            lines += ["", head]
        lines.append(f"  {finding.file}: {finding.resource}")
        lines += [f"    {problem}" for problem in finding.problems]
    return "\n".join(lines)
