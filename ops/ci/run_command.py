"""Run a command in a service's image, as the workflow `run.yml` asks for it after somebody has approved it."""

import argparse
import os
import shlex
import sys
from collections.abc import Mapping

from model.loader import load_environments
from model.plan import plan_environment
from ops import foreign_output, remote_run
from ops.ci import settings
from ops.edits import by_name, environment_named
from ops.errors import UsageError
from ops.paths import ENVIRONMENTS, ROOT

ENVIRONMENT, SERVICE, COMMAND, MINUTES = "RUN_ENVIRONMENT", "RUN_SERVICE", "RUN_COMMAND", "RUN_MINUTES"
"""The workflow's inputs. They are read here and nowhere else: no shell and no make ever sees their text."""


def run_command(_: argparse.Namespace) -> int:
    """Run a command in a service's image, and end with its exit status."""
    environ = settings.load(ROOT)
    environment, service, command, minutes = inputs(os.environ)
    remote_run.check_call(command, minutes)
    remote_run.check_place(environment, os.environ, service, command, minutes)
    found = environment_named(by_name(load_environments(ENVIRONMENTS)), environment, ENVIRONMENTS)
    remote = remote_run.Remote.of(plan_environment(found), service, environ)
    return remote_run.run(
        remote,
        command,
        by=remote_run.who(os.environ),
        minutes=minutes,
        out=foreign_output.write,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )


def inputs(environ: Mapping[str, str]) -> tuple[str, str, list[str], int]:
    """Return the workflow's inputs: environment, service, the command's words, and the time limit in minutes.

    Raises:
        UsageError: one is missing, or cannot be read.
    """
    if missing := [f"{name} is not set" for name in (ENVIRONMENT, SERVICE, COMMAND) if not environ.get(name)]:
        raise UsageError(missing)
    minutes = environ.get(MINUTES) or "30"
    if not (minutes.isascii() and minutes.isdigit()):
        raise UsageError([f"{MINUTES} is not a number of minutes"])
    try:
        command = shlex.split(environ[COMMAND])
    except ValueError as error:
        raise UsageError([f"{COMMAND} cannot be split into words as a shell does: {error}"]) from None
    return environ[ENVIRONMENT], environ[SERVICE], command, int(minutes)
