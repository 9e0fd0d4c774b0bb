"""The one issue that reports something of an environment: opened, updated while it lasts, closed when it is over."""

from dataclasses import dataclass

from ops.ci.github import BOT, MAX_BODY, Repository


@dataclass(frozen=True)
class Kind:
    """What an issue reports.

    Attributes:
        of: the words before the environment's name in the mark by which the issue is found again.
        title: the words before the environment's name in the title.
        nothing: what is said where there is nothing to report.
        closes: which run closes the issue.
    """

    of: str
    title: str
    nothing: str
    closes: str


DRIFT = Kind("drift", "Drift", "no drift", "that finds no drift")
DRILL = Kind("restore drill", "Restore drill failed", "the drill passed", "in which the drill passes")


def marker(kind: Kind, environment: str) -> str:
    """Return the first line of an environment's issue, by which it is found again."""
    return f"<!-- presence360-infrastructure: {kind.of} of {environment} -->"


def report(repository: Repository, kind: Kind, environment: str, markdown: str, run_url: str) -> str:
    """Open or update the environment's issue, or close it if the report is empty; return what was done."""
    begins = marker(kind, environment)
    issues = repository.all("issues", state="open", creator=BOT)
    mine = next((issue for issue in issues if (issue["body"] or "").startswith(begins)), None)
    if not markdown:
        if mine is None:
            return f"{environment}: {kind.nothing}, and no issue to close"
        repository.call("PATCH", f"issues/{mine['number']}", {"state": "closed"})
        return f"{environment}: {kind.nothing}; closed issue {mine['number']}"
    found = f"Found by [this run]({run_url}). The first run {kind.closes} closes this issue."
    body = f"{begins}\n{found}\n\n{markdown}"
    content = {"title": f"{kind.title}: {environment}", "body": body[:MAX_BODY]}
    if mine is None:
        made = repository.call("POST", "issues", content)
        return f"{environment}: opened issue {made['number']}"
    repository.call("PATCH", f"issues/{mine['number']}", content)
    return f"{environment}: updated issue {mine['number']}"
