"""What every workflow keeps to: rules over its YAML, each of which says what breaks it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

RUNNER = "ubuntu-24.04"
MAX_MINUTES = 360  # GitHub's own limit for a job

# The only jobs that may write anything, and what.
MAY_WRITE = {
    ("Pull request comment", "comment"): {"pull-requests"},
    ("Drift", "report"): {"issues"},
    ("Restore drill", "report"): {"issues"},
    ("Rotate credentials", "propose"): {"contents", "pull-requests"},
}
# Events by which somebody without write access starts a workflow that has a writing token and secrets.
DANGEROUS = {
    "pull_request_target",
    "issue_comment",
    "issues",
    "discussion",
    "discussion_comment",
    "fork",
    "watch",
}

SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"
_FOUND = re.compile(r"\$\{\{ fromJSON\(needs\.environments\.outputs\.(environments|first|last)\) \}\}")
_PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
_VERSION = re.compile(r"\s+# v\d+\.\d+\.\d+$")
_TARGET = re.compile(r"make ([a-z-]+)(?: [A-Z]+=\S+| [A-Z]+=\"[^\"]*\")*")

Job = Mapping[str, Any]


@dataclass(frozen=True)
class Workflow:
    """One workflow file."""

    text: str

    @property
    def content(self) -> Mapping[str, Any]:
        content: Mapping[str, Any] = yaml.safe_load(self.text)
        return content

    @property
    def name(self) -> str:
        return str(self.content["name"])

    @property
    def events(self) -> set[str]:
        # YAML 1.1 reads the key `on` as true.
        on = self.content[True]  # type: ignore[index]
        return {on} if isinstance(on, str) else set(on)

    @property
    def jobs(self) -> Mapping[str, Job]:
        jobs: Mapping[str, Job] = self.content["jobs"]
        return jobs


def problems(workflow: Workflow, targets: set[str]) -> list[str]:
    """Return what breaks a rule; ``targets``: what make can make."""
    found = [*_of_workflow(workflow)]
    for name, job in workflow.jobs.items():
        rules = (
            _permissions(workflow, name, job),
            _limits(job),
            _secrets(workflow, job),
            _deploys(job),
            _matrix(workflow, job),
        )
        found += [f"{name}: {problem}" for rule in rules for problem in rule]
        for step in job.get("steps", []):
            found += [f"{name}: {problem}" for problem in (*_uses(workflow, step), *_run(step, targets))]
    return found


def _of_workflow(workflow: Workflow) -> Iterator[str]:
    if workflow.content.get("permissions") != {}:
        yield "permissions at the top are not {}"
    if workflow.content.get("defaults", {}).get("run", {}).get("shell") != "bash -euo pipefail {0}":
        yield "the shell does not stop at errors"
    for event in sorted(workflow.events & DANGEROUS):
        yield f"{event} lets a stranger start it with a token that writes"


def _permissions(workflow: Workflow, name: str, job: Job) -> Iterator[str]:
    granted = job.get("permissions")
    if not isinstance(granted, Mapping):
        yield "permissions are not granted one by one"
        return
    writes = {scope for scope, level in granted.items() if level != "read"}
    if extra := writes - MAY_WRITE.get((workflow.name, name), set()):
        yield f"may write {', '.join(sorted(extra))}"
    if writes and "secrets." in str(job):
        yield "holds secrets beside a token that writes"


def _limits(job: Job) -> Iterator[str]:
    if "uses" in job:
        return
    if not 0 < job.get("timeout-minutes", 0) <= MAX_MINUTES:
        yield "no timeout-minutes"
    if job.get("runs-on") != RUNNER:
        yield f"does not run on {RUNNER}"


def _secrets(workflow: Workflow, job: Job) -> Iterator[str]:
    if "secrets." not in str(job) and "secrets" not in job:
        return
    if "pull_request" in workflow.events:
        if job.get("if") != SAME_REPOSITORY:
            yield "holds secrets in a run that a fork can start"
        if not str(job.get("environment", "")).endswith("-diff"):
            yield "holds secrets of a deploy in a run of a pull request"
    if "workflow_run" in workflow.events:
        yield "holds secrets in a run that a pull request causes"
    if "steps" in job and not job.get("environment"):
        yield "holds secrets of no environment"


def _deploys(job: Job) -> Iterator[str]:
    called = str(job.get("uses", "")).rpartition("/")[2]
    if called == "plan-and-apply.yml":
        wanted = {"group": f"deploy-{job['with']['environment']}", "cancel-in-progress": False}
        if job.get("concurrency") != wanted:
            yield f"a deploy may run beside another, or be cancelled: concurrency is not {wanted}"
    elif "concurrency" in job and called:
        yield "holds up other runs for longer than it plans and applies"
    if "uses" in job and "strategy" in job and job["strategy"].get("fail-fast") is not False:
        yield "one environment's failure would cancel another's apply: fail-fast is not false"
    runs = [str(step.get("run", "")) for step in job.get("steps", [])]
    if any(run.startswith("make apply") for run in runs):
        if job.get("needs") != "plan" or not job.get("environment"):
            yield "applies without a plan before it, or without an environment to approve it"
        if not any("WAIT=no" in run for run in runs):
            yield "waits for droplets while other deploys wait for it"
    if any(run.startswith("make wait") for run in runs):
        if "concurrency" in job:
            yield "waits for droplets while other deploys wait for it"
        if not str(job.get("environment", "")).endswith("-plan"):
            yield "waits for droplets with credentials that write"


def _matrix(workflow: Workflow, job: Job) -> Iterator[str]:
    """Check that environments are found, never listed, so that a new one needs no edit here."""
    if "environment" not in job.get("strategy", {}).get("matrix", {}):
        if re.search(r"\b(staging|production)\b", str(job)):
            yield "names an environment"
        return
    match = _FOUND.fullmatch(str(job["strategy"]["matrix"]["environment"]))
    needs = [job.get("needs", [])] if isinstance(job.get("needs"), str) else job.get("needs", [])
    if match is None or "environments" not in needs:
        yield "its environments do not come from the job environments"
        return
    finds = workflow.jobs["environments"]
    steps = {step.get("id"): step.get("run") for step in finds["steps"]}
    output = f"${{{{ steps.environments.outputs.{match[1]} }}}}"
    if finds.get("outputs", {}).get(match[1]) != output or steps.get("environments") != "make environments":
        yield f"the job environments does not hand on the output {match[1]} of make environments"


def _uses(workflow: Workflow, step: Mapping[str, Any]) -> Iterator[str]:
    action = step.get("uses")
    if action is None:
        return
    lines = [line for line in workflow.text.splitlines() if f"uses: {action}" in line]
    if not _PINNED.fullmatch(action) or not all(_VERSION.search(line) for line in lines):
        yield f"{action} is not pinned by commit, with its version beside it"
    if action.startswith("actions/checkout@"):
        given = step.get("with", {})
        if given.get("persist-credentials") is not False:
            yield "a checkout leaves its token behind"
        if "workflow_run" in workflow.events and {"ref", "repository"} & set(given):
            yield "checks out something else than the default branch, with a token that writes"


def _run(step: Mapping[str, Any], targets: set[str]) -> Iterator[str]:
    command = step.get("run")
    if command is None:
        return
    match = _TARGET.fullmatch(command)
    if "${{" in command:
        yield f"puts an expression into a shell: {command}"
    elif match is None:
        yield f"is no make target: {command}"
    elif match[1] not in targets:
        yield f"make has no target {match[1]}"
