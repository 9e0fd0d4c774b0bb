"""The steps' own logic, without Terraform."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from model.loader import load_environments
from model.state import PROVIDER_LOCK_FILE as LOCK_FILE
from ops.ci import before, provider_lock, reports, settings, stacks, steps, tenants_touched, workflow
from ops.ci.__main__ import STEPS, main
from ops.ci.errors import StepError
from ops.ci.github import Repository
from ops.credentials import PROVIDER_CREDENTIALS, STATE_CREDENTIALS
from ops.errors import UsageError
from ops.preflight.existing import Existing, Way
from ops.refused import RefusedError
from ops.terraform import TerraformError
from stacks.provider_lock import place_provider_lock
from tests.ops.ci.conftest import GitHub
from tests.support import ENVIRONMENTS, ROOT

pytestmark = pytest.mark.slow

NAMES = ["bootstrap", "production", "staging", "staging-cell-10", "staging-cell-2", "staging-cell-b"]


def test_an_environment_comes_before_its_cells_and_they_come_by_number() -> None:
    assert stacks.of_environment("staging", NAMES) == ["staging", "staging-cell-2", "staging-cell-10"]
    assert stacks.of_environment("production", NAMES) == ["production"]


def test_a_name_is_checked_before_anything_is_synthesized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "ENVIRONMENTS", ENVIRONMENTS)
    monkeypatch.setattr(steps, "synthesize", lambda _: pytest.fail("it was synthesized"))
    for options, told in (
        ({"environment": "stagin", "stack": ""}, "there is no environment 'stagin'"),
        ({"environment": "", "stack": "stagin"}, "there is no stack 'stagin'"),
    ):
        with pytest.raises(RefusedError, match=told) as refused:
            steps.make_plan(argparse.Namespace(**options))
        assert "Did you mean 'staging'? Name one of: " in str(refused.value)
        assert "production" in str(refused.value)


def test_a_name_that_is_not_there_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError, match=r"there is no environment 'stagin'\. Did you mean 'staging'"):
        stacks.of_environment("stagin", NAMES)
    with pytest.raises(
        UsageError, match=r"there is no stack 'staging-cell-12'\. Did you mean 'staging-cell-10'"
    ):
        stacks.one("staging-cell-12", [name for name in NAMES if name != "staging-cell-2"])


# The steps synthesize the operators' own files: any of their environments does.
ENVIRONMENT = min(folder.name for folder in (ROOT / "environments").glob("*/"))

# Empty and not unset: .env then sets none of them, and no test reaches anybody's account.
NO_CREDENTIALS = dict.fromkeys(
    (
        credential
        for found in (*PROVIDER_CREDENTIALS, *STATE_CREDENTIALS)
        for credential in (found.name, *found.alternatives)
    ),
    "",
)


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.ci", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PRESENCE360_STATE": "", **NO_CREDENTIALS, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_step_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(name in said for name in STEPS)


@pytest.mark.parametrize("arguments", [("plan",), ("plan", "--stack", "a", "--environment", "b")])
def test_a_scope_is_one_stack_or_one_environment(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith("ci: name one stack (STACK=")


def test_secrets_of_services_come_in_one_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SERVICE_SECRETS", "TF_VAR_a=hunter2\nTF_VAR_b='x y'\n")
    monkeypatch.setenv("TF_VAR_b", "of the shell")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    environ = settings.load(tmp_path)
    assert (environ["TF_VAR_a"], environ["TF_VAR_b"]) == ("hunter2", "of the shell")
    assert "SERVICE_SECRETS" not in environ
    # Before anything else is said, each is masked: GitHub itself knows the whole alone.
    assert capsys.readouterr().out == "::add-mask::hunter2\n::add-mask::x y\n"


def test_elsewhere_no_secret_is_printed_to_be_masked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SERVICE_SECRETS", "TF_VAR_a=hunter2")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    settings.load(tmp_path)
    assert capsys.readouterr() == ("", "")


def test_secrets_of_services_set_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SERVICE_SECRETS", "PATH=/tmp\nDIGITALOCEAN_TOKEN=x")
    with pytest.raises(UsageError) as raised:
        settings.load(tmp_path)
    assert raised.value.problems == [
        "SERVICE_SECRETS sets PATH: it may only set TF_VAR_...",
        "SERVICE_SECRETS sets DIGITALOCEAN_TOKEN: it may only set TF_VAR_...",
    ]


def test_nothing_set_is_not_set_up_and_something_missing_is_an_error() -> None:
    assert settings.without_credentials({"DIGITALOCEAN_TOKEN": "", "PATH": "x"})
    assert not settings.without_credentials({"AWS_PROFILE": "x"})


@pytest.mark.live
@pytest.mark.parametrize("step", ["diff", "drift"])
def test_where_nobody_set_up_credentials_a_comparison_says_so_and_succeeds(step: str, tmp_path: Path) -> None:
    only = ["--only-if-set-up"] if step == "drift" else []
    ended = run(
        step, *only, "--environment", ENVIRONMENT, "--into", str(tmp_path / "said.md"), GITHUB_ACTIONS="true"
    )
    assert ended.returncode == 0, ended.stderr
    notice = f"::notice::{ENVIRONMENT}: not compared with DigitalOcean: no credentials are set (docs/ci.md)"
    assert ended.stdout.splitlines()[-1] == notice
    # Drift leaves no report: nobody looked, so an open issue stays open.
    assert (tmp_path / "said.md").exists() == (step == "diff")


@pytest.mark.live
@pytest.mark.parametrize("step", ["plan", "drift"])
def test_a_deploy_without_credentials_names_all_that_is_missing(step: str) -> None:
    ended = run(step, "--environment", ENVIRONMENT)
    assert ended.returncode == 2
    for name in ("DIGITALOCEAN_TOKEN", "SPACES_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"):
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_annotation_cannot_carry_another_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    workflow.annotate("warning", "a\n::error::b 100%", file="x,line=1::y")
    assert capsys.readouterr().out == "::warning file=x%2Cline=1%3A%3Ay::a%0A::error::b 100%25\n"


def test_an_output_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    workflow.output("a", "1")
    with pytest.raises(ValueError, match="more than one line"):
        workflow.output("b", "1\nc=2")
    assert (tmp_path / "output").read_text(encoding="utf-8") == "a=1\n"


@pytest.mark.parametrize(
    ("head", "superseded"), [("a" * 40, "superseded=false\n"), ("b" * 40, "superseded=true\n")]
)
def test_a_deploy_that_main_left_behind_steps_aside(
    github: tuple[GitHub, Repository],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    head: str,
    superseded: str,
) -> None:
    hub, repository = github
    hub.commits["main"] = head
    for name, value in {
        "GITHUB_API_URL": repository.api,
        "GITHUB_REPOSITORY": repository.name,
        "GITHUB_TOKEN": repository.token,
        "GITHUB_SHA": "a" * 40,
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }.items():
        monkeypatch.setenv(name, value)
    assert main(["superseded", "--branch", "main"]) == 0
    assert (tmp_path / "output").read_text(encoding="utf-8") == superseded


def test_an_issue_stays_where_nobody_could_look(
    github: tuple[GitHub, Repository], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub, _ = github
    assert main(["drift-issue", str(tmp_path / "nothing"), "--environment", "staging"]) == 0
    assert "its issue stays as it is" in "".join(capsys.readouterr())
    assert hub.calls == []


TENANTS = "tenants:\n  - {id: a, slug: grace}\n  - {id: b, slug: hope}\n"


@pytest.mark.parametrize(
    ("after", "touched"),
    [
        (TENANTS, set()),
        (TENANTS.replace("grace", "mercy") + "# a comment\n", {"a"}),
        ("tenants:\n  - {id: b, slug: hope}\n  - {id: a, slug: grace}\n", set()),
        ("tenants:\n  - {id: c, slug: x}\n  - {id: b, slug: hope}\n", {"a", "c"}),
        ("tenants:\n  - {slug: new}\n", {"a", "b", "entry 0"}),
        ("tenants: {", {"a", "b"}),
        ("", {"a", "b"}),
    ],
)
def test_tenants_that_differ(after: str, touched: set[str]) -> None:
    assert tenants_touched.differing(TENANTS, after) == touched


def test_a_branch_is_compared_with_where_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    file = tmp_path / "environments" / "staging" / "tenants.yaml"
    file.parent.mkdir(parents=True)

    def commit(text: str) -> None:
        file.write_text(text, encoding="utf-8")
        subprocess.run([*git, "add", "--all"], check=True)
        subprocess.run([*git, "commit", "--quiet", "-m", "x"], check=True)

    subprocess.run([*git, "init", "--quiet", "--initial-branch=main"], check=True)
    commit(TENANTS)
    subprocess.run([*git, "checkout", "--quiet", "-b", "branch"], check=True)
    commit(TENANTS.replace("hope", "faith"))
    subprocess.run([*git, "checkout", "--quiet", "main"], check=True)
    commit(TENANTS.replace("grace", "mercy"))
    subprocess.run([*git, "checkout", "--quiet", "branch"], check=True)
    monkeypatch.setattr(reports, "ROOT", tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(["one-tenant", "--base", "main"]) == 0
    assert capsys.readouterr().out == "environments/staging/tenants.yaml: b\n"
    commit(TENANTS.replace("hope", "faith").replace("grace", "joy"))
    assert main(["one-tenant", "--base", "main"]) == 0
    assert capsys.readouterr().out == (
        "::warning file=environments/staging/tenants.yaml::2 tenants change, here a, b: "
        "one per pull request is easier to review and to revert\n"
    )
    assert main(["one-tenant", "--base", "nowhere"]) == 1


def test_a_committed_lock_file_lies_beside_every_stack(tmp_path: Path) -> None:
    for stack in ("a", "b"):
        (tmp_path / "out" / "stacks" / stack).mkdir(parents=True)
    committed = tmp_path / LOCK_FILE
    place_provider_lock(committed, tmp_path / "out", ["a", "b"])
    assert list((tmp_path / "out").rglob(LOCK_FILE)) == []
    committed.write_text("hashes", encoding="utf-8")
    (tmp_path / "out/stacks/a" / LOCK_FILE).write_text("what an init left", encoding="utf-8")
    place_provider_lock(committed, tmp_path / "out", ["a", "b"])
    assert {file.read_text(encoding="utf-8") for file in (tmp_path / "out").rglob(LOCK_FILE)} == {"hashes"}


def test_git_takes_the_lock_file_and_no_plan() -> None:
    ignored = ["git", "check-ignore", "--quiet", "--no-index"]
    assert subprocess.run([*ignored, LOCK_FILE], cwd=ROOT, check=False).returncode == 1
    for file in ("cdktf.out/plans/staging/record.json", "x.tfplan"):
        assert subprocess.run([*ignored, file], cwd=ROOT, check=False).returncode == 0


def test_a_registry_that_cannot_be_reached_writes_no_lock_file(tmp_path: Path) -> None:
    (tmp_path / "cdk.tf.json").write_text('{"terraform": {"required_providers": {}}}', encoding="utf-8")
    program = tmp_path / "terraform"
    program.write_text("#!/bin/sh\necho 'Error: no registry' >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(TerraformError, match="providers lock failed:\n    Error: no registry"):
        provider_lock.write(tmp_path, tmp_path / LOCK_FILE, {"TERRAFORM_BINARY_NAME": str(program)})
    assert not (tmp_path / LOCK_FILE).exists()


def test_adopt_looks_in_every_region_for_the_stack_that_belongs_to_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`bootstrap` has a bucket in each environment's region; a runbook for its lost state names this command."""
    looked: list[str] = []
    left: list[Existing] = []

    def adopt(_terraform: object, _environ: object, region: str, _say: object) -> list[Existing]:
        looked.append(region)
        return left

    monkeypatch.setattr(steps, "ENVIRONMENTS", ENVIRONMENTS)
    monkeypatch.setattr(before, "ENVIRONMENTS", ENVIRONMENTS)
    monkeypatch.setattr("ops.ci.steps.adopting.adopt", adopt)
    monkeypatch.setattr(steps, "_prepare", lambda options: ({}, [options.stack]))
    monkeypatch.setattr(settings, "check_plan", lambda *_: None)
    monkeypatch.setattr(before, "credentials", lambda *_: None)
    monkeypatch.setattr(steps, "open_stack", lambda *_: None)
    regions = {one.file.environment: one.file.region for one in load_environments(ENVIRONMENTS)}
    assert steps.adopt(argparse.Namespace(stack="bootstrap", environment="")) == 0
    assert looked == sorted(set(regions.values()))
    left.append(Existing("a.x", "droplet x", Way.BY_HAND, remedy="look first"))
    looked.clear()
    with pytest.raises(StepError, match="a second adopt names the same again"):
        steps.adopt(argparse.Namespace(stack="staging", environment=""))
    assert looked == [regions["staging"]]
    assert "nothing is missing" in capsys.readouterr().out
