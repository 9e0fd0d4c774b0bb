"""The steps that say something: to a pull request, an issue, the run's page."""

import argparse
import os

from ops.cdktf_cli import ROOT, UsageError
from ops.ci import comment, drift, plans, tenants_touched, workflow
from ops.ci.errors import StepError
from ops.ci.github import Repository
from ops.ci.guard import review


def drift_issue(options: argparse.Namespace) -> int:
    """Open or update the issue of an environment's drift, or close it."""
    files = sorted(options.summaries.rglob("*.md")) if options.summaries.is_dir() else []
    if not files:
        workflow.annotate("notice", f"{options.environment}: nobody could look, so its issue stays as it is")
        return 0
    markdown = "\n\n".join(file.read_text(encoding="utf-8") for file in files).strip()
    repository = Repository.of(os.environ)
    print(drift.report(repository, options.environment, markdown, os.environ.get("RUN_URL", "")))
    return 0


def summary(options: argparse.Namespace) -> int:
    """Have the guard judge plans that lie there as JSON, and write one summary."""
    files = sorted(options.plans.glob("*.json"))
    if not files:
        raise UsageError([f"there is no plan in {options.plans}: no *.json"])
    judged = review(files, base=options.base)
    workflow.summarize(judged.markdown, judged.text)
    workflow.write(options.into, judged.markdown)
    if judged.refused:
        raise StepError("the plan guard refuses this")
    return 0


def pr_comment(options: argparse.Namespace) -> int:
    """Write or update the one comment on a pull request."""
    print(comment.post(Repository.of(os.environ), comment.Run.of(os.environ), options.summaries))
    return 0


def one_tenant(options: argparse.Namespace) -> int:
    """Warn where a change touches more than one tenant; never a failure."""
    if not options.base:
        raise UsageError(["name the git revision that the branch comes from: BASE=origin/main"])
    changed = tenants_touched.touched(ROOT, options.base)
    total = sum(map(len, changed.values()))
    for file, ids in changed.items():
        names = ", ".join(sorted(ids))
        if total > 1:
            said = f"{total} tenants are touched, here {names}: one a pull request is easier to review and take back"
            workflow.annotate("warning", said, file=file)
        else:
            print(f"{file}: {names}")
    return 0


def superseded(options: argparse.Namespace) -> int:
    """Say whether a branch has gone on since this commit, so that this run leaves the deploy to the next one."""
    head = Repository.of(os.environ).call("GET", f"commits/{options.branch}")["sha"]
    mine = os.environ.get("GITHUB_SHA") or plans.commit(ROOT)
    gone_on = head != mine
    if gone_on:
        workflow.annotate(
            "notice", f"{options.branch} is at {head} by now: its own run deploys, this one does not"
        )
    workflow.output("superseded", "true" if gone_on else "false")
    return 0
