"""The one comment on a pull request, which is updated, with a section for each workflow.

The text comes from a run of the pull request's own code, which anyone may have written. It is cut and made harmless
before the workflow publishes it with its token.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.ci.github import BOT, MAX_BODY, Repository

MARKER = "<!-- presence360-infrastructure: one comment, updated -->"
MAX_SECTION = 25_000

_SECTION = re.compile(r"<!-- section ([\w -]+) -->\n(.*?)\n<!-- end -->", re.DOTALL)
_HIDDEN = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"<(?!/?(?:details|summary|br)>)(?=[a-zA-Z/!?])")
_LINK = re.compile(r"\](?=\(|\s*:|\[)")
_MENTION = re.compile(r"@(?=\w)")
_WORD_JOINER = "\u2060"


@dataclass(frozen=True)
class Run:
    """The run that made a section, as GitHub describes it; nothing of it comes from the run itself."""

    workflow: str
    conclusion: str
    url: str
    head_owner: str
    head_branch: str
    head_sha: str

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Run":
        """Read it from RUN_WORKFLOW, RUN_CONCLUSION, RUN_URL, HEAD_OWNER, HEAD_BRANCH and HEAD_SHA."""
        names = ("RUN_WORKFLOW", "RUN_CONCLUSION", "RUN_URL", "HEAD_OWNER", "HEAD_BRANCH", "HEAD_SHA")
        return cls(*(environ.get(name, "") for name in names))


def post(repository: Repository, run: Run, summaries: Path) -> str:
    """Write or update the comment of the run's pull request; return what was done."""
    number = _pull_request(repository, run)
    if number is None:
        return f"no open pull request has {run.head_sha} as its head: a newer commit has a run of its own"
    mine = _comment(repository, number)
    body = compose(mine["body"] if mine else "", run, summaries)
    if mine:
        repository.call("PATCH", f"issues/comments/{mine['id']}", {"body": body})
        return f"updated the comment on pull request {number}"
    repository.call("POST", f"issues/{number}/comments", {"body": body})
    return f"commented on pull request {number}"


def compose(before: str, run: Run, summaries: Path) -> str:
    """Return the comment's text: the text so far, with this run's section replaced."""
    sections = dict(_SECTION.findall(before))
    name = re.sub(r"[^\w -]", "", run.workflow)
    sections[name] = _section(name, run, summaries)
    parts = [f"<!-- section {key} -->\n{text}\n<!-- end -->" for key, text in sorted(sections.items())]
    body = "\n\n".join([MARKER, *parts])
    return body if len(body) <= MAX_BODY else body[: MAX_BODY - 1] + "…"


def _section(name: str, run: Run, summaries: Path) -> str:
    files = sorted(summaries.rglob("*.md")) if summaries.is_dir() else []
    text = "\n\n".join(harmless(file.read_text(encoding="utf-8", errors="replace")).strip() for file in files)
    if len(text) > MAX_SECTION:
        text = f"{text[:MAX_SECTION]}\n\n… cut: the page of the run has the rest."
    if not text:
        text = "There is no summary; the log says why."
    head = f"{name}: {run.conclusion} for {run.head_sha[:12]}, [the run]({run.url})"
    return f"{head}\n\n{text}"


def harmless(text: str) -> str:
    """Return Markdown without hidden text, mentions, images and links; tables and details stay."""
    text = _TAG.sub("&lt;", _HIDDEN.sub("", text))
    text = _LINK.sub(r"]" + _WORD_JOINER, text)
    return _MENTION.sub("@" + _WORD_JOINER, text)


def _pull_request(repository: Repository, run: Run) -> int | None:
    """Find the pull request by its head: GitHub's event names none if it comes from a fork."""
    found = repository.all("pulls", state="open", head=f"{run.head_owner}:{run.head_branch}")
    numbers: list[int] = [pull["number"] for pull in found if pull["head"]["sha"] == run.head_sha]
    return numbers[0] if numbers else None


def _comment(repository: Repository, number: int) -> dict[str, Any] | None:
    return next(
        (
            comment
            for comment in repository.all(f"issues/{number}/comments")
            if comment["user"]["login"] == BOT and comment["body"].startswith(MARKER)
        ),
        None,
    )
