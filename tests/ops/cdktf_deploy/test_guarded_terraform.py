"""The Terraform that bin/cdktf gives the CLI, in front of one that records how it was called."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from lab.plans.environment import ENVIRONMENTS as PLANNED
from model import addresses
from ops import guarded_terraform
from ops.ci import before
from ops.guarded_terraform import QUESTIONS, RUNNING_VARIABLE, SCRATCH, TERRAFORM_VARIABLE, Options
from ops.plan_json import parse_plan
from ops.preflight.finding import Checked
from tests.ops.cdktf_deploy import fake_terraform
from tests.ops.cdktf_deploy.plans import ALLOWED, REFUSAL, REFUSED, TWO_GROUPS
from tests.ops.cdktf_deploy.terminal import CTRL_C, Terminal
from tests.ops.guard.cases import unchanged
from tests.ops.guard.guard import write
from tests.support import ENVIRONMENTS, ROOT

pytestmark = pytest.mark.slow

WRAPPER = ROOT / "ops" / "guarded_terraform.sh"
QUESTION = "Do you want to perform these actions in staging?"


class Stage:
    """A stack's folder with a Terraform."""

    def __init__(self, folder: Path, shown: str = ALLOWED) -> None:
        self.fake = folder / "fake"
        self.stack = folder / "staging"
        self.stack.mkdir(parents=True)
        self.running = folder / "running"
        self.environ = {
            "PATH": os.environ["PATH"],
            TERRAFORM_VARIABLE: str(fake_terraform.install(self.fake, shown)),
            RUNNING_VARIABLE: str(self.running),
        }

    def run(self, *arguments: str, answer: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [WRAPPER, *arguments],
            cwd=self.stack,
            env={**self.environ, **environ},
            input=answer,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def terminal(self, *arguments: str) -> Terminal:
        return Terminal([WRAPPER, *arguments], self.stack, self.environ)

    @property
    def calls(self) -> list[str]:
        scratch = re.compile(rf"{re.escape(str(self.stack))}/{re.escape(SCRATCH)}[^/]+")
        return [scratch.sub("SCRATCH", line) for line in fake_terraform.calls(self.fake)]

    def slow(self) -> "Stage":
        (self.fake / fake_terraform.SLOW).touch()
        return self

    @property
    def left(self) -> list[Path]:
        return list(self.stack.iterdir())


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def refusing(tmp_path: Path) -> Stage:
    return Stage(tmp_path, REFUSED)


def test_an_apply_plans_guards_and_applies_exactly_that_plan(stage: Stage) -> None:
    done = stage.run("apply", "-auto-approve", "-no-color", "-parallelism=3", "-var=a=b", "-refresh-only")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "This is the plan.", "No changes.", "plan guard: nothing is lost", "Apply complete!"
    ]  # fmt: skip
    assert stage.calls == [
        "plan -input=false -out=SCRATCH/plan -no-color -parallelism=3 -var=a=b -refresh-only",
        "show -json SCRATCH/plan",
        "apply -input=false -no-color -parallelism=3 SCRATCH/plan",
    ]
    assert stage.running.read_text() == "0"


@pytest.mark.parametrize("problem", ["staging: 11 droplets are needed, and the account may have 10", ""])
def test_digitalocean_is_asked_before_an_apply(
    problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `presence360 plan` does: what speaks against an apply stops it, and what could not be asked is told."""
    asked: list[str] = []

    def files(_environ: object, stacks: list[str]) -> Checked:
        asked.extend(stacks)
        return Checked(notes=("the images could not be checked",))

    monkeypatch.setattr(before, "files", files)
    monkeypatch.setattr(
        before, "of_plan", lambda *_: lambda plan: Checked((problem,) if plan and problem else ())
    )
    plan = parse_plan(TWO_GROUPS, "staging")
    assert guarded_terraform._can_be_applied(plan, {"DIGITALOCEAN_TOKEN": "x"}) is not bool(problem)
    said = capsys.readouterr().out
    assert said == "note: the images could not be checked\n" + (f"refused: {problem}\n" if problem else "")
    assert asked == ["staging"]


@pytest.mark.parametrize(
    ("seen", "token", "code"), [(["cluster staging-pg-shared"], "x", 1), ([], "x", 0), ([], "", 1)]
)
def test_what_exists_makes_an_empty_state_a_lost_one(
    seen: list[str], token: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded_terraform, "ENVIRONMENTS", ENVIRONMENTS)
    monkeypatch.setattr(before, "exists", lambda *_: lambda _plan: seen)
    it = unchanged(PLANNED["staging"])
    it.there, it.tenants_there = {}, {}
    (file,) = write(tmp_path, {"staging": it})
    assert guarded_terraform._judge(file, {"DIGITALOCEAN_TOKEN": token} if token else {}) == code


def test_groups_of_droplets_are_replaced_one_after_another(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO_GROUPS)
    done = stage.run("apply", "-auto-approve", "-no-color", "-parallelism=3")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Apply complete!") == 2
    assert "staging: group app, 1 of 2\n" in done.stdout
    assert (
        "staging: the droplets of 2 groups are replaced, one group after another, with at most 1 droplet more than now "
        "at a time: app (1), worker (1)\n"
    ) in done.stdout
    whole, _, *rest = stage.calls
    assert whole == "plan -input=false -out=SCRATCH/plan -no-color -parallelism=3"
    assert [call.split()[0] for call in rest] == [
        "state",
        "show",
        "plan",
        "show",
        "apply",
        "plan",
        "show",
        "apply",
    ]
    first, second = (call for call in rest if call.startswith("plan"))
    assert first.count("-target=") == 2
    assert addresses.droplet("app", 1).name in first
    assert "-target" not in second
    assert stage.left == []


def test_the_plan_is_its_owners_alone_and_gone_afterwards(stage: Stage) -> None:
    assert stage.run("apply", "-auto-approve").returncode == 0
    assert (stage.fake / fake_terraform.MODES).read_text() == "700 600"
    assert stage.left == []


def test_what_the_guard_refuses_is_not_applied(refusing: Stage) -> None:
    done = refusing.run("apply", "-auto-approve")
    assert done.returncode == 1
    assert REFUSAL in done.stdout
    assert done.stdout.endswith("plan guard: REFUSED (1)\nNothing was applied to staging.\n")
    assert [line.split()[0] for line in refusing.calls] == ["plan", "show"]
    assert refusing.left == []


@pytest.mark.parametrize("shown", ["", "{}", ALLOWED.replace('"complete": true', '"complete": false')])
def test_what_the_guard_cannot_judge_is_not_applied(tmp_path: Path, shown: str) -> None:
    stage = Stage(tmp_path, shown)
    assert stage.run("apply", "-auto-approve").returncode == 2
    assert [line.split()[0] for line in stage.calls] == ["plan", "show"]


def test_a_plan_that_fails_ends_it(stage: Stage) -> None:
    assert stage.run("apply", "-auto-approve", "-target=fail").returncode == 1
    assert [line.split()[0] for line in stage.calls] == ["plan"]
    assert stage.left == []


@pytest.mark.parametrize(
    ("command", "question"),
    [
        ("apply", QUESTION),
        ("destroy", "Do you really want to destroy all resources? This would destroy staging."),
    ],
)
@pytest.mark.parametrize(("answer", "applied"), [("yes", True), ("no", False), ("", False)])
def test_it_asks_what_the_cli_waits_for_and_only_yes_applies(
    stage: Stage, command: str, question: str, answer: str, applied: bool
) -> None:
    terminal = stage.terminal(command)
    before = terminal.wait_for(f"{question}\n")
    assert before.index("plan guard: nothing is lost") < before.index(question)
    assert "Enter a value" not in before, "the CLI would take it for a variable that is missing"
    terminal.type(f"{answer}\n".encode())
    assert terminal.end() == (0 if applied else 1)
    assert [line.split()[0] for line in stage.calls] == ["plan", "show", *(["apply"] if applied else [])]
    assert ("-destroy" in stage.calls[0].split()) is (command == "destroy")
    assert ("cancelled." in terminal.text) is not applied
    assert stage.left == []


def test_the_question_holds_the_words_that_this_version_of_the_cli_looks_for() -> None:
    cli = (ROOT / "node_modules/cdktf-cli/bundle/bin/cmds/handlers.js").read_text(encoding="utf-8")
    for question, words in (
        (QUESTIONS["apply"], "Do you want to perform these actions"),
        (QUESTIONS["destroy"], "Do you really want to destroy all resources?"),
    ):
        assert words in question
        assert f'"{words}"' in cli


def test_an_answer_counts_only_if_it_comes_after_the_question(stage: Stage) -> None:
    terminal = stage.terminal("apply")
    terminal.type(b"yes\n")
    terminal.wait_for(QUESTION)
    terminal.type(b"no\n")
    assert terminal.end() == 1
    assert [line.split()[0] for line in stage.calls] == ["plan", "show"]


def test_without_a_terminal_no_answer_is_no(stage: Stage) -> None:
    assert stage.run("apply").returncode == 1
    assert stage.run("apply", "-auto-approve=false").returncode == 1
    assert not any(line.startswith("apply") for line in stage.calls)


@pytest.mark.parametrize(
    "signals", [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT, signal.SIGHUP, signal.SIGINT)]
)
def test_a_signal_interrupts_terraform_once_and_its_end_is_waited_for(
    stage: Stage, signals: tuple[signal.Signals, ...]
) -> None:
    terminal = stage.slow().terminal("apply", "-auto-approve")
    terminal.wait_for("Creating...")
    for number in signals:
        terminal.send(number)
    assert terminal.end() == 1
    assert stage.calls[-2:] == ["applying", "ended after 1 interrupt"]
    assert stage.left == []


def test_ctrl_c_at_the_keyboard_interrupts_terraform_once(stage: Stage) -> None:
    terminal = stage.slow().terminal("apply", "-auto-approve")
    terminal.wait_for("Creating...")
    terminal.type(CTRL_C)
    assert terminal.end() == 1
    assert stage.calls[-1] == "ended after 1 interrupt"


def test_terraform_outlives_the_terminal_until_it_has_ended_in_order(stage: Stage) -> None:
    terminal = stage.slow().terminal("apply", "-auto-approve")
    terminal.wait_for("Creating...")
    terminal.hang_up()
    assert stage.calls[-1] == "ended after 1 interrupt"
    assert stage.left == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_question_applies_nothing(stage: Stage, number: signal.Signals) -> None:
    terminal = stage.terminal("apply")
    terminal.wait_for(QUESTION)
    terminal.send(number)
    assert terminal.end() == 130
    assert terminal.text.endswith("Interrupted. Nothing was applied.\n")
    assert stage.running.read_text() == "130"
    assert stage.left == []


def test_a_terminal_that_is_closed_at_the_question_applies_nothing(stage: Stage) -> None:
    terminal = stage.terminal("apply")
    terminal.wait_for(QUESTION)
    assert terminal.hang_up() != 0
    assert [line.split()[0] for line in stage.calls] == ["plan", "show"]
    assert stage.left == []


def test_the_plan_of_a_process_that_was_killed_goes_with_the_next_run(stage: Stage) -> None:
    terminal = stage.terminal("apply")
    terminal.wait_for(QUESTION)
    terminal.send(signal.SIGKILL)
    terminal.end()
    assert [one.name.startswith(SCRATCH) for one in stage.left] == [True]
    mine = stage.stack / f"{SCRATCH}{os.getpid()}-of-a-process-that-runs"
    mine.mkdir()
    assert stage.run("apply", "-auto-approve").returncode == 0
    assert stage.left == [mine]


def test_options_that_the_shell_adds_are_options_of_the_plan_and_diffs_are_not(stage: Stage) -> None:
    done = stage.run(
        "apply",
        TF_CLI_ARGS_apply="-auto-approve -lock-timeout=5m '-var=a=b c'",
        TF_CLI_ARGS_plan="-detailed-exitcode",
    )
    assert done.returncode == 0, done.stdout
    assert stage.calls[0] == "plan -input=false -out=SCRATCH/plan -lock-timeout=5m -var=a=b c"
    assert stage.calls[-1] == "apply -input=false -lock-timeout=5m SCRATCH/plan"


@pytest.mark.parametrize(
    ("words", "plan", "apply", "approved"),
    [
        ("", "", "", False),
        ("-auto-approve", "", "", True),
        ("--auto-approve=true -input=true", "", "", True),
        ("-auto-approve=false", "", "", False),
        ("-parallelism 3 -var a=b", "-parallelism 3 -var a=b", "-parallelism 3", False),
        ("-lock -compact-warnings", "-lock -compact-warnings", "-lock -compact-warnings", False),
        ("-target=x -replace=y -refresh=false", "-target=x -replace=y -refresh=false", "", False),
        ("-unknown-to-us", "-unknown-to-us", "", False),
        ("some.tfplan", "some.tfplan", "", False),
    ],
)  # fmt: skip
def test_options_are_divided(words: str, plan: str, apply: str, approved: bool) -> None:
    assert Options.divide(words.split()) == Options(tuple(plan.split()), tuple(apply.split()), approved)


@pytest.mark.parametrize(
    "arguments", [["version", "-json"], ["-v"], ["init", "-upgrade"], ["output", "-json"], []]
)
def test_everything_else_is_the_operators_terraform(stage: Stage, arguments: list[str]) -> None:
    direct = subprocess.run(
        [stage.environ[TERRAFORM_VARIABLE], *arguments],
        cwd=stage.stack,
        env=stage.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    passed = stage.run(*arguments)
    assert (passed.returncode, passed.stdout) == (direct.returncode, direct.stdout)


def test_a_plan_that_diff_leaves_is_its_owners_alone(stage: Stage) -> None:
    assert stage.run("plan", "-input=false", f"-out={stage.stack / 'plan'}").returncode == 0
    assert (stage.stack / "plan").stat().st_mode & 0o077 == 0


def test_passing_on_starts_no_python(tmp_path: Path) -> None:
    """The CLI asks for the version at every start; a checkout without a virtual environment passes it on as well."""
    room = tmp_path / "ops"
    room.mkdir()
    wrapper = Path(shutil.copy(WRAPPER, room))
    environ = {"PATH": os.environ["PATH"], TERRAFORM_VARIABLE: "/bin/echo"}
    done = subprocess.run([wrapper, "version"], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "version\n"


def test_it_says_how_it_is_meant_to_be_run(tmp_path: Path) -> None:
    for arguments in (["apply"], ["version"]):
        done = subprocess.run(
            [WRAPPER, *arguments],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert f"{TERRAFORM_VARIABLE}: names no Terraform: run this through bin/cdktf" in done.stderr
