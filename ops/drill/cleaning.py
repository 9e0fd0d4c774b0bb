"""The end of a drill: everything that it made is destroyed, and nothing that is another run's."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from model.naming import is_disposable
from model.restore_drill import EXCHANGE, RestoreDrillPlan
from ops.drill import state_lock
from ops.drill.asking import run_id
from ops.drill.holding import Holding, Record, TakenError, held
from ops.drill.place import Place, Terraform
from ops.errors import OperationError
from ops.plan_json import Plan, parse_plan


def clean(place: Place, say: Callable[[str], None], *, unless_at_work: bool = False) -> bool:
    """Destroy everything of a drill, also if another run goes on; return whether it was done.

    What is of a drill, its marks say, and its state.

    Args:
        place: where.
        say: takes a line about what happens.
        unless_at_work: leave alone what another run works on.

    Raises:
        OperationError: something is left; the message says what.
    """
    hold = place.holding(run_id(place.clock.time()))
    keep = hold.keep
    with ExitStack() as held_fork:
        try:
            other = held(place.config)
            own = other.run_id if other is not None and other.who == place.who else ""
            if unless_at_work:
                if going := _at_work(place, other, own):
                    say(f"{going}: nothing is destroyed")
                    return False
                held_fork.enter_context(hold.taken(how_to_end(place), own))
            else:
                if other is not None and not other.is_stale and not own:
                    say(f"{other}: it is ended")
                held_fork.enter_context(hold.taken())
        except OperationError as error:
            if unless_at_work:
                raise
            # What costs money and holds people's data goes, whether the bucket answers or not.
            say(f"whether somebody's drill goes on is not known: {error}")
            keep = _nobody
        destroy(place, say, keep)
    return True


def _nobody() -> None:
    """Check nothing: whose the fork is cannot be known."""


def _at_work(place: Place, other: Record | None, own: str) -> str:
    """Say who works on a fork that is not this run's; nothing if nobody does.

    A record alone does not tell: a laptop that sleeps says nothing, and the droplet that it asked works on.
    """
    if other is not None and not own and not other.is_stale:
        return str(other)
    return place.asking("none").at_work(but=own)


def how_to_end(place: Place) -> str:
    """Return the command that ends any drill of an environment."""
    return f"presence360 drill {place.plan.name} --clean"


def destroy(place: Place, say: Callable[[str], None], keep: Callable[[], None]) -> None:
    """Destroy what is of a drill: what costs money first, and each step only while `keep` lets it.

    Raises:
        TakenError: it is another run's by now.
        OperationError: something is left; the message says what.
    """
    problems = []
    try:
        # First what costs money and what holds people's data, whatever the state says.
        place.forks.destroy(say, keep)
    except TakenError:
        raise
    except OperationError as error:
        problems.append(str(error))
    try:
        with plan_files() as file:
            keep()
            terraform = opened(place, say)
            if terraform.plan(file, "-destroy"):
                check_plan(parse_plan(terraform.show(file), place.drill.name), place.drill, destroys=True)
                keep()
                terraform.apply(file)
        # What Terraform has not heard of.
        place.forks.sweep(keep)
    except TakenError:
        raise
    except OperationError as error:
        problems.append(str(error))
    for bucket_problem in forget(place, keep):
        problems.append(bucket_problem)
    if problems:
        raise OperationError("\n".join(problems))


def end(place: Place, hold: Holding, say: Callable[[str], None]) -> None:
    """Destroy what a run made, if the fork is still its own.

    Where something is left, its record stays: by that, its workflow's last step knows whose it is, and goes on.

    Raises:
        OperationError: something is left; the message says what.
    """
    if not hold.holds():
        say("another run has the fork by now, or it cannot be known: nothing is destroyed")
        return
    hold.leaves_something = True
    try:
        destroy(place, say, hold.keep)
    except TakenError as error:
        say(f"{error}: nothing more is destroyed")
    hold.leaves_something = False


def check_plan(plan: Plan, drill: RestoreDrillPlan, *, destroys: bool) -> None:
    """Check that a plan does nothing but make the drill's resources, or destroy them.

    Raises:
        OperationError: it does something else.
    """
    if not is_disposable(plan.stack) or plan.stack != drill.name:
        raise OperationError(f"{plan.stack} is not the stack of a drill")
    names = {drill.name, drill.project.name}
    for change in plan.changes:
        if change.actions in {("no-op",), ("read",)}:
            continue
        if change.actions != (("delete",) if destroys else ("create",)):
            raise OperationError(
                f"{plan.stack}: {change.address}: {'/'.join(change.actions)}: a drill makes everything anew. "
                f"Clean up first: presence360 drill {drill.name.removesuffix('-restore-drill')} --clean"
            )
        named = (change.before if destroys else change.after).get("name")
        if named is not None and named not in names:
            raise OperationError(
                f"{plan.stack}: {change.address} is called {named}, which is not one of the drill's"
            )


def opened(place: Place, say: Callable[[str], None]) -> Terraform:
    """Open Terraform in the drill's folder, without a lock that a killed run has left."""
    terraform = place.open_stack()
    state_lock.remove_stale(terraform, place.clock.time(), say)
    return terraform


def forget(place: Place, keep: Callable[[], None]) -> Iterator[str]:
    """Remove the question, and what was sent for it; yield what is wrong."""
    asking = place.asking("none")
    try:
        keep()
        asking.forget()
        # Of a run whose program was killed; also what its droplet has deleted, of which the bucket keeps versions.
        # First the objects, then whose they are: what is sent after that is not removed.
        left = [one for one in asking.status.versions(f"{EXCHANGE}/") if one.key.endswith(".age")]
        keep()
        asking.status.remove(left)
    except OperationError as error:
        yield str(error)


@contextmanager
def plan_files() -> Iterator[Path]:
    """Yield the name of a plan file that its owner alone reads; it holds passwords."""
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        yield Path(folder) / "plan"
