"""The real cdktf CLI with the guard behind it and a Terraform that records how it was called."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.ops.cdktf_deploy import fake_terraform
from tests.ops.cdktf_deploy.checkout import STACK, Checkout
from tests.ops.cdktf_deploy.plans import ALLOWED, REFUSAL, REFUSED
from tests.ops.cdktf_deploy.terminal import CTRL_C, DOWN, ENTER
from tests.support import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (ROOT / "node_modules/.bin/cdktf").exists(), reason="the cdktf CLI is not installed: make setup"
    ),
]
NIGHTLY = pytest.mark.nightly("rehearsal")
CREDENTIALS = {
    **dict.fromkeys(
        ("DIGITALOCEAN_TOKEN", "SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY"), "not-a-secret"
    ),
    # There is no DigitalOcean behind the Terraform that records calls.
    "PRESENCE360_WAIT_SECONDS": "0",
}
ASKED = "Please review the diff output above for staging"
DEPLOY = ("deploy", STACK, "--skip-synth")


@pytest.fixture(scope="module")
def synthesized_checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with its stacks: most of these tests are not about synth, which takes seconds."""
    checkout = Checkout(tmp_path_factory.mktemp("cdktf") / "checkout", CREDENTIALS)
    subprocess.run(
        [checkout.folder / ".venv/bin/python", "main.py"],
        cwd=checkout.folder,
        env=checkout.environ,
        capture_output=True,
        check=True,
    )
    return checkout


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    return tmp_path / "fake"


@pytest.fixture
def checkout(synthesized_checkout: Checkout, fake: Path) -> Checkout:
    synthesized_checkout.environ["TERRAFORM_BINARY_NAME"] = str(fake_terraform.install(fake, ALLOWED))
    return synthesized_checkout


def commands(fake: Path) -> list[str]:
    return [line.split()[0] for line in fake_terraform.calls(fake)]


def test_an_approved_deploy_applies(checkout: Checkout, fake: Path) -> None:
    terminal = checkout.terminal(*DEPLOY)
    before = terminal.wait_for(ASKED)
    terminal.wait_for_keys()
    assert (
        before.index("This is the plan.") < before.index("plan guard: nothing is lost") < before.index(ASKED)
    )
    terminal.type(ENTER)
    assert terminal.end() == 0, terminal.text
    assert commands(fake) == ["init", "plan", "show", "apply", "output"]
    assert checkout.plans_left == []
    assert "staging: the release is not waited for, because PRESENCE360_WAIT_SECONDS is 0" in terminal.text


@pytest.mark.nightly("rehearsal")
def test_a_deploy_whose_release_nobody_can_see_is_no_success(checkout: Checkout) -> None:
    """After the apply, with no lock held: here nobody listens at the API's address, so the wait ends at once."""
    waiting = {"PRESENCE360_WAIT_SECONDS": "", "DIGITALOCEAN_API_URL": "http://127.0.0.1:9"}
    done = checkout.run(*DEPLOY, "--auto-approve", **waiting)
    assert done.returncode == 1
    assert "staging: what was deployed cannot be read: " in done.stdout
    nowhere = checkout.run(*DEPLOY, "--auto-approve", DIGITALOCEAN_API_URL="nowhere")
    assert nowhere.returncode == 1
    assert "DIGITALOCEAN_API_URL is not an address: 'nowhere'" in nowhere.stdout
    assert "Traceback" not in nowhere.stdout
    destroyed = checkout.run("destroy", STACK, "--skip-synth", "--auto-approve", PRESENCE360_WAIT_SECONDS="")
    assert destroyed.returncode == 0, destroyed.stdout


def test_a_dismissed_deploy_does_not(checkout: Checkout, fake: Path) -> None:
    terminal = checkout.terminal(*DEPLOY)
    terminal.wait_for(ASKED)
    terminal.wait_for_keys()
    terminal.type(DOWN)
    terminal.wait_for("This will also")  # what it says of Dismiss
    terminal.type(ENTER)
    assert terminal.end() == 0
    assert "Apply cancelled." in terminal.text
    assert "apply" not in commands(fake)


@pytest.mark.parametrize(
    "command", ["deploy", *(pytest.param(one, marks=NIGHTLY) for one in ("apply", "destroy"))]
)
def test_what_the_guard_refuses_fails_the_command(checkout: Checkout, fake: Path, command: str) -> None:
    fake_terraform.install(fake, REFUSED)
    done = checkout.run(command, STACK, "--skip-synth", "--auto-approve")
    assert done.returncode == 1
    assert REFUSAL in done.stdout
    assert "Nothing was applied to staging." in done.stdout
    assert commands(fake) == ["init", "plan", "show"]
    assert ("-destroy" in fake_terraform.calls(fake)[1]) is (command == "destroy")
    assert checkout.plans_left == []


def test_the_options_of_the_cli_reach_plan_and_apply(checkout: Checkout, fake: Path) -> None:
    options = ("--auto-approve", "--no-color", "--terraform-parallelism=3", "--refresh-only", "--var=a=b")
    done = checkout.run(*DEPLOY, *options)
    assert done.returncode == 0, done.stdout
    _, plan, _, apply, _ = fake_terraform.calls(fake)
    assert plan.endswith("-refresh-only -no-color -parallelism=3 -var=a=b")
    assert apply.startswith("apply -input=false -no-color -parallelism=3 ")


def test_several_stacks_are_applied_one_after_the_other(checkout: Checkout, fake: Path) -> None:
    done = checkout.run("deploy", "bootstrap", STACK, "--skip-synth", "--auto-approve")
    assert done.returncode == 0, done.stdout
    assert commands(fake) == ["init", "init", *(["plan", "show", "apply", "output"] * 2)]


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *(pytest.param(one, marks=NIGHTLY) for one in (signal.SIGHUP, signal.SIGINT))]
)
def test_the_command_ends_when_terraform_has_ended(
    checkout: Checkout, fake: Path, number: signal.Signals
) -> None:
    (fake / fake_terraform.SLOW).touch()
    terminal = checkout.terminal(*DEPLOY, "--auto-approve")
    terminal.wait_for("Creating...")
    terminal.send(number)
    assert terminal.end() != 0
    assert fake_terraform.calls(fake)[-1] == "ended after 1 interrupt"
    assert "Waiting for Terraform: it finishes what it began" in terminal.text
    assert "Terraform has ended with exit code 1." in terminal.text
    assert checkout.plans_left == []


def test_the_command_waits_for_terraform_though_the_terminal_is_closed(
    checkout: Checkout, fake: Path
) -> None:
    (fake / fake_terraform.SLOW).touch()
    terminal = checkout.terminal(*DEPLOY, "--auto-approve")
    terminal.wait_for("Creating...")
    assert terminal.hang_up() != 0
    assert fake_terraform.calls(fake)[-1] == "ended after 1 interrupt"
    assert checkout.plans_left == []


def test_ctrl_c_twice_at_the_question_applies_nothing_and_is_no_success(
    checkout: Checkout, fake: Path
) -> None:
    terminal = checkout.terminal(*DEPLOY)
    terminal.wait_for(ASKED)
    terminal.wait_for_keys()
    terminal.type(CTRL_C)
    # The CLI closes its menu, and goes on waiting for Terraform.
    terminal.wait_for_keys(raw=False)
    terminal.type(CTRL_C)
    assert terminal.end() == 130
    assert "apply" not in commands(fake)
    assert checkout.plans_left == []


def test_other_commands_have_the_operators_terraform(checkout: Checkout, fake: Path) -> None:
    assert checkout.run("output", STACK, "--skip-synth").returncode == 0
    assert commands(fake) == ["init", "output"]


def test_warnings_are_printed_as_such_and_nothing_else_is(checkout: Checkout) -> None:
    done = checkout.run("list")
    assert done.returncode == 0, done.stdout
    assert "warning: environments/staging/environment.yaml:" in done.stdout
    for unwanted in ("[ERROR]", "DeprecationWarning", "Synthesizing"):
        assert unwanted not in done.stdout


def test_a_mistyped_stack_is_named_before_credentials_are_asked_for(checkout: Checkout) -> None:
    done = checkout.run("deploy", "stagin", DIGITALOCEAN_TOKEN="")
    assert (done.returncode, done.stdout) == (
        2,
        "cdktf: there is no stack 'stagin'. Did you mean 'staging'? "
        "The stacks are bootstrap, production, production-restore-drill, staging.\n",
    )


@pytest.mark.parametrize("command", [("list",), ("synth",), ("deploy", STACK)])
def test_a_mistake_in_a_file_is_reported_once(checkout: Checkout, command: tuple[str, ...]) -> None:
    checkout.edit("environment.yaml", "region: fra1", "region: fra9")
    try:
        done = checkout.run(*command)
    finally:
        checkout.restore()
    assert done.returncode == 2
    assert done.stdout.count("fra9") == 1
    assert done.stdout.startswith("environments/staging/environment.yaml:")


def test_a_checkout_without_terraform_synthesizes(checkout: Checkout, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "env"):
        (programs / name).symlink_to(str(shutil.which(name)))
    done = checkout.run("synth", PATH=str(programs), TERRAFORM_BINARY_NAME="")
    assert done.returncode == 0, done.stdout
