"""One comment for a pull request: the verdict, what it rests on, and what the plans do, in plain words."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tools.plan_guard.finding import Finding
from tools.plan_guard.report import Report, Verdict
from tools.plan_guard.summary import Summary, TenantNews
from tools.plan_guard.text import code, safe

MARKER = "<!-- presence360: plan guard -->"
"""By this line CI finds the comment that it updates."""

# GitHub refuses a comment above 65,536 characters; some are left for what a workflow adds.
MOST_CHARACTERS = 60_000
# So many lines of a list are read at once; more are folded away.
_OPEN = 12
# How many lines of a list are written: the first that makes the whole fit.
_LIMITS = (1_000, 250, 60, 15, 3)

_HEADINGS = {
    Verdict.SAFE: "## Plan guard: nothing is lost",
    Verdict.REFUSED: "## Plan guard: refused",
    Verdict.UNUSABLE: "## Plan guard: cannot judge",
}


def render(report: Report) -> str:
    """Render a report; always below GitHub's limit, and the same for the same plans."""
    for limit in _LIMITS:
        text = "\n".join(_lines(report, limit)) + "\n"
        if len(text) <= MOST_CHARACTERS:
            return text
    return text[:MOST_CHARACTERS] + "\n"


def _lines(report: Report, limit: int) -> Iterator[str]:
    yield from (MARKER, _HEADINGS[report.verdict], "")
    if report.problems:
        yield from ("What was given is no whole plan, so nothing of it is known to be safe:", "")
        yield from _list([code_lines(problem) for problem in report.problems], limit)
    if report.refused:
        yield from (f"### Refused: {len(report.refused)}", "")
        yield from _findings(report.refused, limit)
    if report.warnings:
        yield from (f"### Look at: {len(report.warnings)}", "")
        yield from _findings(report.warnings, limit)
    for note in report.notes:
        yield from (f"> {safe(note)}", "")
    yield from _summary(report.summary, report, limit)


def code_lines(problem: str) -> str:
    """Return a problem with its remedy on one line."""
    what, _, remedy = problem.partition("\n")
    return f"{code(what)}{': ' + code(remedy.strip()) if remedy else ''}"


def _findings(findings: Sequence[Finding], limit: int) -> Iterator[str]:
    """Yield findings, those alike together: the same said of 250 tenants is said once."""
    alike: defaultdict[tuple[str, str, str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        why = finding.why if finding.what else f"{finding.address} {finding.why}"
        alike[finding.stack, finding.rule, why, finding.remedy].append(finding)
    for number, ((stack, _, why, remedy), group) in enumerate(alike.items()):
        if number == limit:
            yield f"- and {len(alike) - limit} more: the job's output has them all"
            break
        if len(group) == 1:
            yield f"- {safe(stack)}: **{safe(group[0].what)}** {safe_words(why)}. {safe_words(remedy)}"
            continue
        yield f"- {safe(stack)}: {len(group)} times: {safe_words(why)}. {safe_words(remedy)}"
        yield from _nested([f"**{safe(one.what)}**" for one in group], limit)
    yield ""


def safe_words(text: str) -> str:
    """Return the guard's own words; what of them came from a plan is not Markdown either."""
    return safe(text) if len(text) == len(safe(text)) else " ".join(map(_word, text.split(" ")))


def _word(word: str) -> str:
    bare = word.rstrip(",;:.")
    tail = word[len(bare) :]
    if len(bare) > 1 and bare[0] == bare[-1] == "`":
        bare = bare[1:-1]
        return code(bare) + tail
    return (safe(bare) if bare else "") + tail


def _summary(summary: Summary, report: Report, limit: int) -> Iterator[str]:
    stacks = ", ".join(safe(stack) for stack in report.stacks)
    if summary.is_empty:
        if report.stacks:
            yield f"No changes. ({stacks})"
    else:
        yield from (f"### What changes ({stacks})", "")
        yield from _tenants(summary.tenants, limit)
        for title, lines in summary.sections.items():
            yield from (f"**{title}**", "")
            yield from _list([safe_words(line) for line in lines], limit)
        if summary.configuration:
            yield from ("**Configuration of droplets**, fetched within a minute, no droplet is replaced", "")
            yield from _list(
                [
                    f"{safe(stack)}: group {safe(group)}: {', '.join(map(safe, parts))}"
                    for (stack, group), parts in summary.configuration.items()
                ],
                limit,
            )
        if summary.others:
            yield from ("**Everything else**", "")
            counted = sorted(summary.others.items())
            yield from _list([f"{safe(kind)}: {count} {what}" for (kind, what), count in counted], limit)
    if summary.drift:
        counted_drift = ", ".join(f"{safe(kind)} {count}" for kind, count in sorted(summary.drift.items()))
        yield f"Changed outside of Terraform since the last deploy: {counted_drift}."


def _tenants(tenants: Sequence[TenantNews], limit: int) -> Iterator[str]:
    if not tenants:
        return
    yield from (f"**Tenants: {len(tenants)}**", "")
    alike: defaultdict[tuple[str, tuple[str, ...]], list[TenantNews]] = defaultdict(list)
    for tenant in tenants:
        alike[tenant.stack, tenant.news].append(tenant)
    lines: list[str] = []
    for (stack, news), group in alike.items():
        said = "; ".join(map(safe_words, news))
        if len(group) == 1:
            lines.append(f"- {safe(stack)}: **{safe(group[0].who)}**: {said}")
        else:
            lines.append(f"- {safe(stack)}: **{len(group)} tenants**: {said}")
            lines += _nested([safe(one.who) for one in group], limit)
    yield from _folded(lines, len(alike), limit)
    yield ""


def _list(lines: Iterable[str], limit: int) -> Iterator[str]:
    items = [f"- {line}" for line in lines]
    yield from _folded(items, len(items), limit)
    yield ""


def _folded(lines: list[str], items: int, limit: int) -> Iterator[str]:
    if len(lines) > limit:
        lines = [*lines[:limit], f"- and {len(lines) - limit} more lines: the job's output has them all"]
    if items <= _OPEN:
        yield from lines
        return
    yield from (f"<details><summary>{items} of them</summary>", "", *lines, "", "</details>")


def _nested(items: list[str], limit: int) -> list[str]:
    shown = items[:limit]
    more = f", and {len(items) - limit} more" if len(items) > limit else ""
    if len(items) <= _OPEN:
        return [f"  - {item}" for item in shown]
    return [
        f"  <details><summary>all {len(items)}</summary>",
        "",
        f"  {', '.join(shown)}{more}",
        "",
        "  </details>",
    ]
