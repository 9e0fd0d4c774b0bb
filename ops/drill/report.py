"""A drill's report for people, as Markdown: of what the droplet's JSON says, and nothing that it wrote itself.

It becomes an issue and a run's page. Names in it are of the churches' choosing, and the droplet may be compromised.
"""

from collections.abc import Iterator, Sequence

from model.drill_status import DrillReport
from model.restore_drill import RestoreDrillPlan
from ops.guard.text import cell, code, safe

SHOWN, SHOWN_DATABASES = 50, 200
_LONGEST = 400
"""Characters of a line, as the contract has them (model/contract.py)."""


def markdown(report: DrillReport, drill: RestoreDrillPlan) -> str:
    """Return a report for people.

    Args:
        report: the droplet's.
        drill: what it is measured by.
    """
    return "\n".join(_lines(report, drill)) + "\n"


def _lines(report: DrillReport, drill: RestoreDrillPlan) -> Iterator[str]:
    verdict = "passed" if report.passed else "**failed**"
    rto = _minutes(report.rto_seconds)
    failed = sum(not one.passed for one in report.tried)
    yield from (
        f"# Restore drill of {safe(report.environment)}, {report.started:%Y-%m-%d %H:%M} UTC: {verdict}",
        "",
        f"The cluster {code(report.source)}, forked from its backup of {report.backup:%Y-%m-%d %H:%M} UTC; "
        f"{len(report.tried)} databases tried, {failed} with something wrong, {report.left} left for the next drill.",
        "",
        "| Measured | | Allowed |",
        "|---|---|---|",
        f"| RTO: until a church is served from a new database | {rto} | {drill.rto_minutes} min |",
        f"| of which the fork | {_minutes(report.fork_seconds)} | |",
        f"| RPO by DigitalOcean's backup | {_hours(report.rpo_seconds)} | {drill.rpo_hours} h |",
        f"| RPO by our dumps | {_hours(report.dump_rpo_seconds)} | {drill.rpo_hours} h |",
        "",
    )
    yield from _section("What is wrong", report.problems)
    yield from _section("To look at", report.notes)
    yield from (
        "## Databases",
        "",
        "| Database | | Restored from | Tables | Rows | Seconds |",
        "|---|---|---|---|---|---|",
    )
    for one in sorted(report.tried, key=lambda one: (one.passed, one.name))[:SHOWN_DATABASES]:
        seconds = "" if one.restore_seconds is None else f"{one.restore_seconds:.1f}"
        passed = "passed" if one.passed else "**failed**"
        yield f"| {cell(one.name)} | {passed} | {cell(one.way)} | {one.tables} | {one.rows} | {seconds} |"


def _section(title: str, found: Sequence[str]) -> Iterator[str]:
    if not found:
        return
    yield from (f"## {title}", "", *(f"- {code(one, _LONGEST)}" for one in found[:SHOWN]))
    if len(found) > SHOWN:
        yield f"- and {len(found) - SHOWN} more, in the report"
    yield ""


def _minutes(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds / 60:.1f} min"


def _hours(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds / 3600:.1f} h"
