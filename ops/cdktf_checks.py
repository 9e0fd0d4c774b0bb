"""Whether a command of the cdktf CLI can succeed, seen before it starts: one line for each problem.

The CLI reports a missing token minutes later, from inside Terraform, one at a time.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from model.errors import InvalidInputError
from model.naming import BOOTSTRAP_STACK
from model.placeholders import is_placeholder
from ops.cdktf_invocation import APPLYING, NEEDS_TERRAFORM, PLANNING, Invocation
from ops.cdktf_stacks import plans_of
from ops.credentials import PROVIDER_CREDENTIALS, STATE_CREDENTIALS, STATE_VARIABLE
from ops.errors import UsageError
from ops.paths import ENVIRONMENTS
from ops.secret_places import secret_places
from ops.terraform import BINARY_VARIABLE

# The first releases in which lock files beside the state on S3 are not experimental: Terraform 1.11 made
# `use_lockfile` generally available, and OpenTofu has it since 1.10.
OLDEST = {"Terraform": (1, 11), "OpenTofu": (1, 10)}


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


def this_machine(environ: Mapping[str, str]) -> Machine:
    """Return the machine that this process runs on, seen with these variables."""
    return Machine(
        which=lambda name: shutil.which(name, path=environ["PATH"]),
        terraform_version=_terraform_version,
        terraform_variables=terraform_variables,
        has_terminal=os.isatty(0),
        secret_places=lambda: secret_places(ENVIRONMENTS),
    )


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
