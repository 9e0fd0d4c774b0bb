import dataclasses
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ops.cdktf_checks import Machine, preflight, terraform_variables
from ops.cdktf_cli import GUARDED_TERRAFORM, guard_terraform
from ops.cdktf_invocation import Invocation
from ops.cdktf_stacks import check_stacks, stack_names, without_disposable
from ops.env_file import parse_env
from ops.errors import UsageError
from ops.node import quiet_node
from ops.paths import ROOT
from ops.secret_places import secret_places
from tests.support import ENVIRONMENTS, write_lives

TOKEN = {"DIGITALOCEAN_TOKEN": "t"}
SPACES = {"SPACES_ACCESS_KEY_ID": "k", "SPACES_SECRET_ACCESS_KEY": "s"}
STATE = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
EVERYTHING = TOKEN | SPACES | STATE

NO_TOKEN = (
    "DIGITALOCEAN_TOKEN is not set, and neither is DIGITALOCEAN_ACCESS_TOKEN: the API token, "
    "from the control panel under API > Tokens; see .env.example"
)
NO_SPACES_KEY = (
    "SPACES_ACCESS_KEY_ID is not set: the Spaces key that creates buckets, "
    "from the control panel under Spaces > Access Keys; see .env.example"
)
NO_SPACES_SECRET = (
    "SPACES_SECRET_ACCESS_KEY is not set: the secret of that Spaces key, "
    "shown once when the key is created; see .env.example"
)
NO_STATE_KEY = (
    "AWS_ACCESS_KEY_ID is not set, and neither is AWS_PROFILE: the Spaces key of the state bucket; "
    "or set PRESENCE360_STATE=local to keep the state on this machine; see .env.example"
)
NO_STATE_SECRET = (
    "AWS_SECRET_ACCESS_KEY is not set, and neither is AWS_PROFILE: the secret of the state bucket's Spaces key; "
    "see .env.example"
)
INSTALL = (
    "install Terraform 1.11 or OpenTofu 1.10 or newer; "
    "if the program is not called terraform, set TERRAFORM_BINARY_NAME to its name"
)


def machine(
    installed: tuple[str, ...] = ("terraform",),
    version: str = "Terraform v1.11.4\non linux_amd64\n",
    has_terminal: bool = True,
    variables: tuple[str, ...] = (),
) -> Machine:
    return Machine(
        which=lambda name: f"/usr/bin/{name}" if name in installed else None,
        terraform_version=lambda _: version,
        terraform_variables=lambda _: list(variables),
        has_terminal=has_terminal,
    )


def problems(command: str, environ: Mapping[str, str], on: Machine | None = None) -> list[str]:
    try:
        preflight(command.split(), environ, on or machine())
    except UsageError as error:
        return error.problems
    return []


def arguments(command: str, environ: Mapping[str, str] = EVERYTHING) -> str:
    return " ".join(preflight(command.split(), environ, machine()))


@pytest.mark.parametrize(
    "command", ["diff staging", "plan staging", "deploy staging", "apply", "destroy staging"]
)
def test_what_is_missing_is_named_all_at_once(command: str) -> None:
    assert problems(command, {}, machine(installed=())) == [
        f"terraform is not on the PATH: {INSTALL}",
        NO_TOKEN,
        NO_SPACES_KEY,
        NO_SPACES_SECRET,
        NO_STATE_KEY,
        NO_STATE_SECRET,
    ]


@pytest.mark.parametrize("command", ["output staging", "outputs staging"])
def test_output_needs_only_the_state(command: str) -> None:
    assert problems(command, {}) == [NO_STATE_KEY, NO_STATE_SECRET]


@pytest.mark.parametrize(
    "command",
    [
        "",
        "list",
        "synth",
        "synthesize --hcl",
        "get",
        "--help",
        "deploy --help",
        "diff -h",
        "--version",
        "debug",
    ],
)
def test_other_commands_need_nothing_and_are_not_changed(command: str) -> None:
    assert preflight(command.split(), {}, machine(installed=(), has_terminal=False)) == command.split()


@pytest.mark.parametrize(
    ("command", "environ"),
    [
        ("diff staging", EVERYTHING),
        ("diff staging", {"DIGITALOCEAN_ACCESS_TOKEN": "t"} | SPACES | STATE),
        ("diff staging", TOKEN | SPACES | {"AWS_PROFILE": "spaces"}),
        ("diff staging", TOKEN | SPACES | {"PRESENCE360_STATE": "local"}),
        ("diff bootstrap", TOKEN | SPACES),
        ("output staging", STATE),
        ("output bootstrap", {}),
    ],
)
def test_enough_is_enough(command: str, environ: Mapping[str, str]) -> None:
    assert problems(command, environ) == []


@pytest.mark.parametrize(
    "command", ["diff staging", "deploy bootstrap staging", "deploy --output bootstrap staging"]
)
def test_only_the_bootstrap_stack_goes_without_the_state_bucket(command: str) -> None:
    assert problems(command, TOKEN | SPACES) == [NO_STATE_KEY, NO_STATE_SECRET]


def test_an_empty_variable_is_a_missing_one() -> None:
    assert problems("diff staging", EVERYTHING | {"DIGITALOCEAN_TOKEN": ""}) == [NO_TOKEN]


@pytest.mark.parametrize(
    ("binary", "version", "expected"),
    [
        ("terraform", "Terraform v1.11.0\n", []),
        ("terraform", "Terraform v2.0.0-beta1\n", []),
        (
            "terraform",
            "Terraform v1.9.8\n",
            [f"terraform is Terraform 1.9, which is too old to lock the state: {INSTALL}"],
        ),
        ("tofu", "OpenTofu v1.10.0\n", []),
        (
            "tofu",
            "OpenTofu v1.9.1\n",
            [f"tofu is OpenTofu 1.9, which is too old to lock the state: {INSTALL}"],
        ),
        ("terraform", "", [f"'terraform version' does not answer like Terraform or OpenTofu: {INSTALL}"]),
    ],
)
def test_terraform_can_lock_the_state(binary: str, version: str, expected: list[str]) -> None:
    environ = EVERYTHING | {"TERRAFORM_BINARY_NAME": binary}
    assert problems("diff staging", environ, machine(installed=(binary,), version=version)) == expected


def test_a_named_terraform_must_exist_even_where_another_does() -> None:
    assert problems("diff staging", EVERYTHING | {"TERRAFORM_BINARY_NAME": "tofu"}) == [
        f"tofu is not on the PATH: {INSTALL}"
    ]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            "deploy",
            "deploy asks for approval, and there is no terminal to answer from: "
            "read the output of diff first, then add --auto-approve",
        ),
        (
            "destroy",
            "destroy is refused by design: databases, buckets and zones are protected (README.md, First deploy)",
        ),
    ],
)
def test_approval_needs_a_terminal(command: str, told: str) -> None:
    deaf = machine(has_terminal=False)
    refusal = [told]
    assert problems(f"{command} staging", EVERYTHING, deaf) == refusal
    assert problems(f"{command} staging --auto-approve=false", EVERYTHING, deaf) == refusal
    assert problems(f"{command} staging --auto-approve", EVERYTHING, deaf) == []
    assert problems(f"{command} staging --autoApprove", EVERYTHING, deaf) == []
    assert problems(f"{command} staging", EVERYTHING | {"CDKTF_AUTO_APPROVE": "true"}, deaf) == []
    assert problems("diff staging", EVERYTHING, deaf) == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("diff staging", "diff staging --skip-provider-lock"),
        ("output staging", "output staging --skip-provider-lock"),
        ("deploy *", "deploy * --parallelism 1 --skip-provider-lock"),
        ("destroy a b", "destroy a b --parallelism 1 --skip-provider-lock"),
        ("deploy a b --parallelism 1", "deploy a b --parallelism 1 --skip-provider-lock"),
        ("deploy a --skip-provider-lock", "deploy a --skip-provider-lock --parallelism 1"),
    ],
)
def test_stacks_run_one_after_the_other_and_providers_are_locked_once(command: str, expected: str) -> None:
    assert arguments(command) == expected


def test_parallelism_from_the_environment_is_left_alone() -> None:
    assert arguments("deploy a", EVERYTHING | {"CDKTF_PARALLELISM": "2"}) == "deploy a --skip-provider-lock"


@pytest.mark.parametrize(
    "command", ["deploy a b --parallelism 2", "deploy * --parallelism=-1", "deploy cell-?"]
)
def test_several_stacks_at_once_are_refused(command: str) -> None:
    assert problems(command, EVERYTHING | {"CDKTF_PARALLELISM": "4"}) == [
        "deploy must not run several stacks at once, because one that fails stops the others in the middle of their "
        "apply: leave --parallelism out, or set it to 1"
    ]


def test_watch_is_refused() -> None:
    assert problems("watch staging", EVERYTHING) == [
        "watch deploys every saved edit without a review: use diff, then deploy"
    ]


@pytest.mark.parametrize(
    ("command", "stacks"),
    [
        ("deploy a b", ("a", "b")),
        ("deploy --auto-approve a", ("a",)),
        ("deploy a --parallelism 1 b", ("a", "b")),
        ("deploy a --parallelism=1 b", ("a", "b")),
        ("deploy a --var x=1 y=2 --no-color b", ("a", "b")),
        ("deploy a -o elsewhere", ("a",)),
    ],
)
def test_the_value_of_an_option_is_no_stack(command: str, stacks: tuple[str, ...]) -> None:
    assert Invocation.parse(command.split()).stacks == stacks


def test_env_file() -> None:
    text = (
        "# comment\n\n  # another\nPLAIN=a#b=c\nexport EXPORTED=x  # why\nSINGLE='a \"b\" # c'\n"
        'DOUBLE="it\'s $HOME"  # kept as it is\nEMPTY=\nQUOTED_EMPTY=""\nTRAILING=x   \r\n'
    )
    assert parse_env(text, ".env") == {
        "PLAIN": "a#b=c",
        "EXPORTED": "x",
        "SINGLE": 'a "b" # c',
        "DOUBLE": "it's $HOME",
        "EMPTY": "",
        "QUOTED_EMPTY": "",
        "TRAILING": "x",
    }


def test_env_file_errors_name_every_line_and_no_value() -> None:
    text = (
        "GOOD=1\nhunter2\nSPACED=hunter2 hunter2\n1BAD=hunter2\nOPEN='hunter2\nGAP =hunter2\nGOOD=hunter2\n"
    )
    with pytest.raises(UsageError) as raised:
        parse_env(text, ".env")
    wrong = "this line is not KEY=VALUE; put a value with spaces in quotes"
    assert raised.value.problems == [
        *(f".env:{line}: {wrong}" for line in (2, 3, 4, 5, 6)),
        ".env:7: GOOD is set a second time; keep one of the two lines",
    ]


@pytest.mark.live
def test_a_refused_command_prints_lines_and_exits_2() -> None:
    secrets = {f"TF_VAR_{name}": "x" for name in terraform_variables(["staging"])}
    environ = {
        "PATH": os.environ["PATH"],
        "TERRAFORM_BINARY_NAME": "no-such-terraform",
        **EVERYTHING,
        **secrets,
    }
    done = subprocess.run(
        [sys.executable, "-m", "ops.cdktf_cli", "diff", "staging"],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"cdktf: no-such-terraform is not on the PATH: {INSTALL}\n"


@pytest.mark.skipif(
    not (ROOT / "node_modules/.bin/cdktf").exists(), reason="the cdktf CLI is not installed: make setup"
)
@pytest.mark.skipif(not (ROOT / "main.py").exists(), reason="there is no main.py to list the stacks of")
@pytest.mark.slow
@pytest.mark.live
def test_the_real_cli_lists_the_stacks(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "bin/cdktf", "list", "--output", str(tmp_path)],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for environment in (ROOT / "environments").glob("*/"):
        assert environment.name in done.stdout


def test_secrets_of_the_stack_are_asked_for_by_name_and_an_empty_one_is_none() -> None:
    on = machine(variables=("staging_mnotify_api_key", "staging_registry_token"))
    assert problems("deploy staging", {**EVERYTHING, "TF_VAR_staging_mnotify_api_key": ""}, on) == [
        f"TF_VAR_{name} is not set: environment.yaml needs this secret; see .env.example"
        for name in ("staging_mnotify_api_key", "staging_registry_token")
    ]
    given = {"TF_VAR_staging_mnotify_api_key": "x", "TF_VAR_staging_registry_token": "x"}
    assert problems("deploy staging", {**EVERYTHING, **given}, on) == []
    assert problems("output staging", EVERYTHING, on) == []


def test_a_secret_that_is_not_set_is_told_with_its_line() -> None:
    places = secret_places(ENVIRONMENTS)
    file, line = places["staging_mnotify_api_key"].split(":")
    text = (ENVIRONMENTS / "staging/environment.yaml").read_text(encoding="utf-8").splitlines()
    assert file.endswith("environments/staging/environment.yaml")
    assert text[int(line) - 1].strip().startswith("MNOTIFY_API_KEY:")
    on = dataclasses.replace(machine(variables=("staging_mnotify_api_key",)), secret_places=lambda: places)
    assert problems("deploy staging", EVERYTHING, on) == [
        f"TF_VAR_staging_mnotify_api_key is not set: {file}:{line} needs this secret; see .env.example"
    ]


def test_a_stack_asks_for_its_own_secrets_and_a_pattern_for_those_of_all() -> None:
    staging = terraform_variables(["staging"], ENVIRONMENTS)
    assert "staging_registry_token" in staging
    assert not any(name.startswith("production") for name in staging)
    assert set(staging) < set(terraform_variables(["*"], ENVIRONMENTS))
    assert terraform_variables(["bootstrap"], ENVIRONMENTS) == []


def test_faulty_files_need_no_variables(tmp_path: Path) -> None:
    assert terraform_variables(["staging"], tmp_path) == []


KNOWN = ["staging", "bootstrap", "production"]
LISTED = "The stacks are bootstrap, production, staging."


def stack_problems(command: str, environ: Mapping[str, str] | None = None) -> list[str]:
    return check_stacks(Invocation.parse(command.split()), environ or {}, lambda: KNOWN)


@pytest.mark.parametrize("command", ["deploy", "diff", "destroy", "output"])
def test_a_mistyped_stack_is_named_with_the_nearest_and_all_others(command: str) -> None:
    assert stack_problems(f"{command} stagin staging xyz") == [
        f"there is no stack 'stagin'. Did you mean 'staging'? {LISTED}",
        f"there is no stack 'xyz'. {LISTED}",
    ]


def test_a_command_that_needs_a_stack_says_which_there_are() -> None:
    assert stack_problems("deploy --auto-approve") == [f"deploy needs the name of a stack. {LISTED}"]


@pytest.mark.parametrize(
    "command",
    [
        "deploy staging",
        "deploy *",
        "deploy stag?ng production",
        "list",
        "synth",
        "debug",
        "",
        "deploy xyz --help",
    ],
)
def test_right_names_and_patterns_pass(command: str) -> None:
    assert stack_problems(command) == []


@pytest.mark.parametrize(
    ("command", "environ"),
    [
        ("deploy xyz --app other.py", {}),
        ("deploy xyz -a other.py", {}),
        ("deploy xyz --skip-synth", {}),
        ("deploy xyz", {"CDKTF_APP": "other.py"}),
    ],
)
def test_the_stacks_of_another_program_are_not_known(command: str, environ: Mapping[str, str]) -> None:
    assert stack_problems(command, environ) == []


def test_the_stacks_are_those_that_synth_writes(synthesized: Path) -> None:
    written = [folder.name for folder in (synthesized / "stacks").iterdir()]
    assert sorted(stack_names(ENVIRONMENTS)) == sorted(written)


def test_a_cell_is_a_stack(tmp_path: Path) -> None:
    assert stack_names(write_lives(tmp_path / "environments")) == ["bootstrap", "staging", "staging-cell-2"]


def test_the_cli_gets_the_guarded_terraform_and_that_the_operators() -> None:
    given = guard_terraform({"TERRAFORM_BINARY_NAME": "tofu", "A": "b"}, machine(installed=("tofu",)))
    assert given == {
        "TERRAFORM_BINARY_NAME": str(GUARDED_TERRAFORM),
        "PRESENCE360_TERRAFORM": "/usr/bin/tofu",
        "A": "b",
    }
    assert os.access(GUARDED_TERRAFORM, os.X_OK)


def test_where_there_is_no_terraform_nothing_is_put_in_front_of_it() -> None:
    assert guard_terraform({"A": "b"}, machine(installed=())) == {"A": "b"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "--max-old-space-size=4096 --no-deprecation"),
        ({"NODE_OPTIONS": "--trace-uncaught"}, "--trace-uncaught --max-old-space-size=4096 --no-deprecation"),
        ({"NODE_OPTIONS": "--max-old-space-size=99"}, "--max-old-space-size=99 --no-deprecation"),
    ],
)
def test_options_of_node_are_kept(given: Mapping[str, str], expected: str) -> None:
    assert quiet_node(given)["NODE_OPTIONS"] == expected


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("deploy *", "deploy bootstrap staging"),
        ("deploy * --auto-approve", "deploy bootstrap staging --auto-approve"),
        ("diff staging*", "diff staging"),
        ("deploy stag*", "deploy staging"),
        ("deploy boot*", "deploy boot*"),
        ("deploy staging", "deploy staging"),
        # By its whole name it is meant.
        ("deploy staging-restore-drill", "deploy staging-restore-drill"),
        ("list *", "list *"),
    ],
)
def test_no_pattern_means_a_disposable_stack(command: str, meant: str) -> None:
    known = ["bootstrap", "staging", "staging-restore-drill"]
    argv = command.split()
    assert without_disposable(argv, Invocation.parse(argv), lambda: known) == meant.split()
