"""One comment for a pull request: the verdict, its reasons, and what the plans do, in plain words."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ops.guard.finding import Finding
from ops.guard.kinds import counted
from ops.guard.report import Report, Verdict
from ops.guard.summary import TenantNews, losses_agreed
from ops.guard.text import code, safe, to_markdown

MARKER = "<!-- presence360: plan guard -->"
"""The first line, by which CI finds the comment that it updates."""

# GitHub refuses a comment above 65,536 characters; the rest is for what a workflow adds.
MOST_CHARACTERS = 60_000
# Longer lists are folded away.
_OPEN = 12
# The longest list that is written: the first of these with which the whole fits.
_LIMITS = (1_000, 250, 60, 15, 3)

_HEADINGS = {
    Verdict.SAFE: "## Plan guard: nothing is lost",
    Verdict.REFUSED: "## Plan guard: refused",
    Verdict.UNUSABLE: "## Plan guard: cannot judge",
}


def render(report: Report, most: int = MOST_CHARACTERS) -> str:
    """Render a report; never longer than so many characters, and the same for the same plans."""
    for limit in _LIMITS:
        text = "\n".join(_Page(report, limit).lines()) + "\n"
        if len(text) <= most:
            break
    # If not even the shortest form fits, the end is cut; the verdict is at the beginning.
    return text if len(text) <= most else f"{text[: most - 1]}\n"


class _Page:
    """A report with lists of so many lines."""

    def __init__(self, report: Report, limit: int) -> None:
        self._report = report
        self._limit = limit

    def lines(self) -> Iterator[str]:
        report = self._report
        heading = _HEADINGS[report.verdict]
        if report.summary.dropped:
            heading = heading.replace("nothing is lost", "nothing else is lost")
        yield from (MARKER, heading, "")
        if report.problems:
            yield from ("The input is not one whole plan, so nothing in it is known to be safe:", "")
            yield from self._list([_problem(problem) for problem in report.problems])
        if report.unplanned:
            stacks = ", ".join(map(safe, report.unplanned))
            yield f"**{stacks} could not be planned**, so it is not known what happens there; the log says why."
            yield ""
        for title, findings in (("Refused", report.refused), ("Warnings", report.warnings)):
            if findings:
                yield from (f"### {title}: {len(findings)}", "")
                yield from self._findings(findings)
        if report.stacks:
            yield from self._summary()

    def _findings(self, findings: Sequence[Finding]) -> Iterator[str]:
        """Yield findings, with equal ones of many tenants in one line."""
        alike: defaultdict[tuple[str, str, str, str], list[Finding]] = defaultdict(list)
        for finding in findings:
            alike[finding.stack, finding.rule, finding.why, finding.remedy].append(finding)
        lines: list[str] = []
        for (stack, _, why, remedy), group in alike.items():
            said = f"{to_markdown(why)}. {to_markdown(remedy)}"
            if len(group) == 1:
                lines.append(f"- {self._of(stack)}**{to_markdown(group[0].what)}** {said}")
            else:
                lines.append(f"- {self._of(stack)}{len(group)} times: {said}")
                lines += self._nested([f"**{to_markdown(one.what)}**" for one in group])
        yield from self._folded(lines, len(alike), always_open=True)
        yield ""

    def _summary(self) -> Iterator[str]:
        summary = self._report.summary
        stacks = ", ".join(map(safe, self._report.stacks))
        if summary.is_empty:
            yield from (f"No changes. ({stacks})", "")
        else:
            yield from (f"### What changes ({stacks})", "")
        yield from (f"**{to_markdown(line)}**\n" for line in losses_agreed(summary))
        if summary.tenants:
            yield from (f"**Tenants: {len(summary.tenants)}**", "")
            yield from self._tenants(summary.tenants)
        for title, lines in summary.sections.items():
            yield from (f"**{title}**", "")
            yield from self._list([f"{self._of(stack)}{to_markdown(line)}" for stack, line in lines])
        if summary.configuration:
            yield from ("**Configuration of droplets**, fetched within a minute; replaces no droplet", "")
            parts = summary.configuration.items()
            yield from self._list(
                [
                    f"{self._of(stack)}group {safe(group)}: {', '.join(map(safe, what))}"
                    for (stack, group), what in parts
                ]
            )
        if summary.others:
            yield from ("**Everything else**", "")
            yield from self._list(
                [
                    f"{safe(counted(kind, count))} {what}"
                    for (kind, what), count in sorted(summary.others.items())
                ]
            )
        if summary.drift:
            outside = ", ".join(safe(counted(kind, count)) for kind, count in sorted(summary.drift.items()))
            yield f"Changed outside of Terraform since the last deploy: {outside}."

    def _tenants(self, tenants: Sequence[TenantNews]) -> Iterator[str]:
        alike: defaultdict[tuple[str, tuple[str, ...]], list[TenantNews]] = defaultdict(list)
        for tenant in tenants:
            alike[tenant.stack, tenant.news].append(tenant)
        lines: list[str] = []
        for (stack, news), group in alike.items():
            said = "; ".join(map(to_markdown, news))
            if len(group) == 1:
                lines.append(f"- {self._of(stack)}**{to_markdown(group[0].who)}**: {said}")
            else:
                lines.append(f"- {self._of(stack)}**{len(group)} tenants**: {said}")
                lines += self._nested([to_markdown(one.who) for one in group])
        yield from self._folded(lines, len(alike))
        yield ""

    def _of(self, stack: str) -> str:
        """Return the stack's name if there are several."""
        return f"{safe(stack)}: " if len(self._report.stacks) > 1 else ""

    def _list(self, lines: Sequence[str]) -> Iterator[str]:
        yield from self._folded([f"- {line}" for line in lines], len(lines))
        yield ""

    def _folded(self, lines: list[str], items: int, *, always_open: bool = False) -> Iterator[str]:
        left_out = len(lines) - self._limit
        if left_out > 0:
            lines = [*lines[: self._limit], f"- and {left_out} more lines; the log has all of them"]
        if items <= _OPEN or always_open:
            yield from lines
        else:
            yield from (f"<details><summary>{items} lines</summary>", "", *lines, "", "</details>")

    def _nested(self, items: list[str]) -> list[str]:
        """Return what belongs to the line above: a list, or folded away where it is long."""
        shown = items[: self._limit]
        if len(items) <= _OPEN:
            left_out = [f"  - and {len(items) - len(shown)} more"] if len(items) > len(shown) else []
            return [*(f"  - {item}" for item in shown), *left_out]
        more = f", and {len(items) - len(shown)} more" if len(items) > len(shown) else ""
        # One entry of the list of lines, so that no limit cuts a fold open.
        return [
            f"  <details><summary>all {len(items)}</summary>\n\n  {', '.join(shown)}{more}\n\n  </details>"
        ]


def _problem(problem: str) -> str:
    """Return a problem with its remedy on one line."""
    what, _, remedy = problem.partition("\n")
    return f"{code(what)}{': ' + code(remedy.strip()) if remedy else ''}"
