"""The steps that report: to a pull request, to an issue, on the page of the run."""

import argparse
import os

from ops.ci import comment, issues, tenants_touched, workflow
from ops.ci.errors import StepError
from ops.ci.github import Repository
from ops.ci.guard import review
from ops.errors import UsageError
from ops.git import head
from ops.guard.report import read_plans
from ops.paths import ROOT


def drift_issue(options: argparse.Namespace) -> int:
    """Open or update the issue of an environment's drift, or close it."""
    return _issue(issues.DRIFT, options, "it could not be compared")


def drill_issue(options: argparse.Namespace) -> int:
    """Open or update the issue of an environment's failed restore drill, or close it."""
    return _issue(issues.DRILL, options, "no drill was made")


def _issue(kind: issues.Kind, options: argparse.Namespace, nothing: str) -> int:
    files = sorted(options.summaries.rglob("*.md")) if options.summaries.is_dir() else []
    if not files:
        workflow.annotate("notice", f"{options.environment}: {nothing}, so its issue stays as it is")
        return 0
    markdown = "\n\n".join(file.read_text(encoding="utf-8") for file in files).strip()
    repository = Repository.of(os.environ)
    print(issues.report(repository, kind, options.environment, markdown, os.environ.get("RUN_URL", "")))
    return 0


def summary(options: argparse.Namespace) -> int:
    """Have the guard judge the plans in a folder, and write one summary."""
    files = sorted(options.plans.glob("*.json"))
    if not files:
        raise UsageError([f"there is no plan in {options.plans}: no file *.json"])
    read, problems = read_plans(files)
    judged = review(read, base=options.base, problems=problems)
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
    """Warn if a branch changes more than one tenant; never a failure."""
    if not options.base:
        raise UsageError(["name the git revision that the branch starts from: BASE=origin/main"])
    changed = tenants_touched.touched(ROOT, options.base)
    total = sum(map(len, changed.values()))
    for file, ids in changed.items():
        names = ", ".join(sorted(ids))
        if total > 1:
            said = f"{total} tenants change, here {names}: one per pull request is easier to review and to revert"
            workflow.annotate("warning", said, file=file)
        else:
            print(f"{file}: {names}")
    return 0


def superseded(options: argparse.Namespace) -> int:
    """Report whether a branch has a newer commit, whose run then deploys in place of this one."""
    newest = Repository.of(os.environ).call("GET", f"commits/{options.branch}")["sha"]
    is_newer = newest != (os.environ.get("GITHUB_SHA") or head(ROOT))
    if is_newer:
        workflow.annotate(
            "notice",
            f"{options.branch} is at {newest} now: the run of that commit deploys, this one does not",
        )
    workflow.output("superseded", "true" if is_newer else "false")
    return 0
