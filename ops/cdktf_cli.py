"""Run the pinned cdktf CLI with its own Node, the credentials of .env, and the plan guard before every apply.

The CLI reports a missing token minutes later, from inside Terraform, one at a time. Here a command that cannot succeed
is refused before it starts, with one line for each problem and exit code 2.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from model.errors import InvalidInputError
from ops.cdktf_checks import Machine, preflight, this_machine
from ops.cdktf_invocation import APPLYING, Invocation
from ops.cdktf_process import run_and_wait
from ops.cdktf_release import wait_for_releases
from ops.cdktf_stacks import check_stacks, stack_names, without_disposable
from ops.env_file import command_environment
from ops.errors import UsageError
from ops.guarded_terraform import TERRAFORM_VARIABLE
from ops.node import NODE, quiet_node, settle_ci
from ops.paths import ENVIRONMENTS, ROOT
from ops.terraform import BINARY_VARIABLE

GUARDED_TERRAFORM = ROOT / "ops" / "guarded_terraform.sh"
EXIT_USAGE = 2


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
