"""The checks before an apply, as the steps call them (ops/preflight)."""

from collections.abc import Mapping, Sequence

from model.loader import Environment, load_environments
from model.naming import BOOTSTRAP_STACK
from model.plan import plan_environment
from ops.ci import workflow
from ops.ci.errors import StepError
from ops.ci.plans import Check, Exists, unasked, unchecked
from ops.guard.known import environment_of as name_of
from ops.paths import ENVIRONMENTS, OUTDIR
from ops.plan_json import Plan
from ops.preflight import checks
from ops.preflight.finding import Checked


def environment_of(stack: str) -> Environment | None:
    """Return the environment of a stack; None for the one that makes the state buckets."""
    if stack == BOOTSTRAP_STACK:
        return None
    return next(one for one in load_environments(ENVIRONMENTS) if one.file.environment == name_of(stack))


def credentials(environ: Mapping[str, str], stacks: Sequence[str]) -> None:
    """Ask DigitalOcean once whether it knows the token and the keys.

    Raises:
        StepError: it does not; the message names every one of them.
    """
    environment = environment_of(stacks[0])
    if environment is None:
        return
    folders = [OUTDIR / "stacks" / stack for stack in stacks]
    found = checks.of_credentials(environ, folders, plan_environment(environment))
    for note in found.notes:
        workflow.annotate("notice", note)
    if found.problems:
        raise StepError("\n".join(found.problems))


def files(environ: Mapping[str, str], stacks: Sequence[str]) -> Checked:
    """Check that what the operators' files name exists."""
    environment = environment_of(stacks[0])
    return checks.of_files(plan_environment(environment), environ) if environment else Checked()


def of_plan(environ: Mapping[str, str], stacks: Sequence[str]) -> Check:
    """Return the check of a stack's plan."""
    environment = environment_of(stacks[0])
    if environment is None:
        return unchecked

    def check(plan: Plan) -> Checked:
        return checks.of_plan(plan, environment.file, environ)

    return check


def exists(environ: Mapping[str, str], stacks: Sequence[str]) -> Exists:
    """Return what says which of a plan's names exist at DigitalOcean."""
    environment = environment_of(stacks[0])
    if environment is None:
        return unasked

    def ask(plan: Plan) -> tuple[str, ...] | None:
        return checks.exists(plan, environment.file.region, environ)

    return ask
