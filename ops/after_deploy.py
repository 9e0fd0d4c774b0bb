"""What follows when Terraform has written a deploy: find out what it wrote, and wait until droplets run it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from model.plan import EnvironmentPlan
from ops.fleet import Fleet
from ops.release_wait import Deployed, ReleaseError, deployed, wait
from ops.waiting import LIMIT_VARIABLE, SYSTEM_CLOCK, CannotTellError, Clock, TryAgainError, limit

# Spaces that do not answer are asked for what Terraform has just written into them this often.
ATTEMPTS = 6
ATTEMPT_SECONDS = 5.0


def limit_of(plan: EnvironmentPlan, environ: Mapping[str, str]) -> float:
    """Return how many seconds to wait for an environment's droplets at most; 0 is not to wait.

    Raises:
        ReleaseError: the variable that overrides the file holds no number.
    """
    try:
        return limit(environ, plan.wait_minutes * 60)
    except CannotTellError as error:
        raise ReleaseError(str(error)) from error


def written(plan: EnvironmentPlan, environ: Mapping[str, str], clock: Clock = SYSTEM_CLOCK) -> Deployed:
    """Return what the deploy of an environment wrote, to be called when Terraform has ended.

    Raises:
        ReleaseError: it cannot be read.
    """
    try:
        fleet = Fleet.of(plan, environ, clock)
        for _ in range(ATTEMPTS - 1):
            with suppress(TryAgainError):
                return deployed(fleet)
            clock.sleep(ATTEMPT_SECONDS)
        return deployed(fleet)
    except (CannotTellError, TryAgainError) as error:
        raise ReleaseError(f"{plan.name}: what was deployed cannot be read: {error}") from error


def wait_for(
    plan: EnvironmentPlan,
    environ: Mapping[str, str],
    wanted: Deployed | None = None,
    *,
    say: Callable[[str], None],
    clock: Clock = SYSTEM_CLOCK,
) -> None:
    """Wait until an environment's droplets run what was deployed; without ``wanted``, what its buckets hold now.

    Raises:
        ReleaseError: they do not.
    """
    most = limit_of(plan, environ)
    if most == 0:
        say(f"{plan.name}: the release is not waited for, because {LIMIT_VARIABLE} is 0")
        return
    if wanted is None:
        wanted = written(plan, environ, clock)
    say(f"{plan.name}: Terraform has ended; waiting until every droplet runs what was deployed")
    try:
        fleet = Fleet.of(plan, environ, clock)
    except CannotTellError as error:
        raise ReleaseError(f"{plan.name}: what the droplets say cannot be read: {error}") from error
    wait(fleet, wanted, limit=most, say=say)


def own_stacks(plans: Sequence[EnvironmentPlan], stacks: Sequence[str]) -> list[EnvironmentPlan]:
    """Return the environments whose own stack is among these: a cell's stack releases nothing."""
    return [plan for plan in plans if plan.name in stacks]
