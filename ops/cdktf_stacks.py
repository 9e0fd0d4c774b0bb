"""The stacks that the operators' files make, as the command line of the cdktf CLI names them."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from model.errors import did_you_mean, shown
from model.loader import load_environments
from model.naming import BOOTSTRAP_STACK, is_disposable
from model.plan import EnvironmentPlan, plan_environment
from ops.cdktf_invocation import GLOB, NEEDS_TERRAFORM, SYNTHESIZING, Invocation


@cache
def plans_of(environments: Path) -> tuple[EnvironmentPlan, ...]:
    """Return the plan of every environment; the files are read once in a process.

    Raises:
        InvalidInputError: the files are not valid.
    """
    return tuple(plan_environment(environment) for environment in load_environments(environments))


def stack_names(environments: Path) -> list[str]:
    """Return the names of all stacks: the one that makes the state buckets, the environments, their cells and drills.

    Raises:
        InvalidInputError: the operators' files are not valid.
    """
    plans = plans_of(environments)
    return [
        BOOTSTRAP_STACK,
        *(name for plan in plans for name in (plan.name, *(c.name for c in plan.cells))),
        *(plan.drill.name for plan in plans if plan.drill),
    ]


def check_stacks(
    call: Invocation, environ: Mapping[str, str], known: Callable[[], Sequence[str]]
) -> list[str]:
    """Check the operators' files and the names of stacks, before anything asks for credentials.

    Returns:
        One line for each stack that is unknown, or one if the command needs a stack and none is named.

    Raises:
        InvalidInputError: the operators' files are not valid.
    """
    own_program = any(call.option(name, environ) for name in ("app", "a"))
    if call.command not in SYNTHESIZING or call.wants_text or own_program or call.flag("skip-synth", environ):
        return []
    names = sorted(known())
    if call.command not in NEEDS_TERRAFORM:
        return []
    listed = f"The stacks are {', '.join(names)}."
    if not call.stacks:
        return [f"{call.command} needs the name of a stack. {listed}"]
    unknown = [stack for stack in call.stacks if not GLOB.search(stack) and stack not in names]
    return [f"there is no stack {shown(stack)}. {did_you_mean(stack, names)}{listed}" for stack in unknown]


def without_disposable(
    argv: Sequence[str], call: Invocation, known: Callable[[], Sequence[str]]
) -> list[str]:
    """Return a command line on which no pattern means a disposable stack: it is meant by its whole name alone.

    The CLI takes patterns as minimatch does. Those that `*` and `?` make are written out here, if they would match
    such a stack; one of another kind stays as it is.
    """
    if call.command not in NEEDS_TERRAFORM:
        return list(argv)
    words: list[str] = []
    for word in argv:
        meant = (
            [name for name in known() if fnmatchcase(name, word)]
            if word in call.stacks and GLOB.search(word)
            else []
        )
        kept = [name for name in meant if not is_disposable(name)]
        words += kept if len(kept) < len(meant) else [word]
    return words
