"""A report as plain text for a terminal, and as data for programs."""

from collections.abc import Iterator
from typing import Any

from ops.guard.finding import Finding
from ops.guard.kinds import counted
from ops.guard.report import Report, Verdict
from ops.guard.summary import losses_agreed
from ops.guard.text import to_plain


def as_text(report: Report) -> str:
    """Return the whole report for a terminal; nothing is left out."""
    return "\n".join(_lines(report))


def as_json(report: Report) -> dict[str, Any]:
    """Return a report for programs; it holds no value of a plan that the Markdown does not show."""
    return {
        "verdict": report.verdict.value,
        "stacks": list(report.stacks),
        "problems": list(report.problems),
        "unplanned": list(report.unplanned),
        "findings": [
            {
                "rule": one.rule.value,
                "severity": one.severity.value,
                "stack": one.stack,
                "address": one.address,
                "what": to_plain(one.what),
                "why": to_plain(one.why),
                "remedy": to_plain(one.remedy),
                "tenants": list(one.tenants),
            }
            for one in report.findings
        ],
        "tenants": [
            {
                "stack": one.stack,
                "id": one.tenant,
                "who": to_plain(one.who),
                "news": list(map(to_plain, one.news)),
            }
            for one in report.summary.tenants
        ],
        "sections": {
            title: [{"stack": stack, "line": to_plain(line)} for stack, line in lines]
            for title, lines in report.summary.sections.items()
        },
        "configuration": [
            {"stack": stack, "group": group, "parts": parts}
            for (stack, group), parts in report.summary.configuration.items()
        ],
        "others": [
            {"kind": kind, "what": what, "count": count}
            for (kind, what), count in sorted(report.summary.others.items())
        ],
        "dropped": [to_plain(line) for line in losses_agreed(report.summary)],
        "drift": dict(sorted(report.summary.drift.items())),
    }


def _lines(report: Report) -> Iterator[str]:
    """Yield the report for a terminal; nothing is left out of it."""
    yield from report.problems
    for title, findings in (("refused", report.refused), ("warning", report.warnings)):
        for finding in findings:
            yield f"{title}: {_finding(finding)}"
    summary = report.summary
    for tenant in summary.tenants:
        yield f"{tenant.stack}: {to_plain(tenant.who)}: {to_plain('; '.join(tenant.news))}"
    for lines in summary.sections.values():
        yield from (f"{stack}: {to_plain(line)}" for stack, line in lines)
    for (stack, group), parts in summary.configuration.items():
        yield f"{stack}: configuration of group {group}: {', '.join(parts)}"
    yield from (f"{counted(kind, count)} {what}" for (kind, what), count in sorted(summary.others.items()))
    yield from (
        f"{counted(kind, count)} changed outside of Terraform"
        for kind, count in sorted(summary.drift.items())
    )
    yield from map(to_plain, losses_agreed(summary))
    if summary.is_empty and report.stacks:
        only = f" in {', '.join(report.stacks)}" if report.unplanned else ""
        yield f"No changes{only}."
    if report.unplanned:
        yield (
            f"{', '.join(report.unplanned)}: could not be planned, so it is not known whether something is lost there"
        )
    yield {
        Verdict.SAFE: f"plan guard: nothing {'else ' if summary.dropped else ''}is lost",
        Verdict.REFUSED: f"plan guard: REFUSED ({len(report.refused)})",
        Verdict.UNUSABLE: "plan guard: CANNOT JUDGE",
    }[report.verdict]


def _finding(finding: Finding) -> str:
    where = f"{finding.stack}: {finding.address}: " if finding.address else f"{finding.stack}: "
    return to_plain(f"{where}{finding.what} {finding.why}\n    {finding.remedy}")
