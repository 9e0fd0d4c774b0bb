"""What follows an apply: wait for its release, or hand over to a step that waits."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from model.errors import did_you_mean, shown
from ops import after_deploy
from ops.cdktf_stacks import plans_of
from ops.ci import workflow
from ops.errors import UsageError
from ops.paths import ENVIRONMENTS
from ops.release_wait import from_text, to_text
from ops.waiting import SYSTEM_CLOCK, Clock


def after_apply(
    environ: Mapping[str, str], applied: Sequence[str], *, wait: bool, clock: Clock = SYSTEM_CLOCK
) -> None:
    """Wait for the release of the stacks that were applied, or set the output ``deployed`` for a step that does.

    A cell's stack releases nothing, and nothing is waited for where the limit is 0.

    Raises:
        ReleaseError: droplets do not run it.
    """
    for plan in after_deploy.own_stacks(plans_of(ENVIRONMENTS), applied):
        if wait or after_deploy.limit_of(plan, environ) == 0:
            after_deploy.wait_for(plan, environ, say=_say, clock=clock)
        else:
            workflow.output("deployed", to_text(after_deploy.written(plan, environ, clock)))


def wait_elsewhere(
    environ: Mapping[str, str],
    environment: str,
    text: str,
    *,
    environments: Path,
    clock: Clock = SYSTEM_CLOCK,
) -> None:
    """Wait for a release in another process than the apply's.

    Raises:
        UsageError: there is no such environment, or the text is not what an apply wrote.
        ReleaseError: droplets do not run it.
    """
    plans = {plan.name: plan for plan in plans_of(environments)}
    if environment not in plans:
        hint = did_you_mean(environment, sorted(plans))
        raise UsageError([f"there is no environment {shown(environment)}. {hint}".rstrip()])
    try:
        wanted = from_text(text) if text else None
    except ValueError as error:
        raise UsageError([f"DEPLOYED is {error}"]) from None
    after_deploy.wait_for(plans[environment], environ, wanted, say=_say, clock=clock)


def _say(line: str) -> None:
    print(line, flush=True)
