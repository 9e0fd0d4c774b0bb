"""The program as a whole: every environment's stack, and the one that makes their state buckets."""

from collections.abc import Collection, Sequence
from pathlib import Path

from cdktf import App, TerraformStack

from model.plan import EnvironmentPlan
from model.state import PROVIDER_LOCK_FILE
from stacks.checks import check_addresses, check_output
from stacks.environment import EnvironmentStack
from stacks.provider_lock import place_provider_lock
from stacks.restore_drill import RestoreDrillStack
from stacks.state import SPACES, BootstrapStack
from stacks.tenant_cell import TenantCellStack

STACK_FILE = "cdk.tf.json"
PROVIDER_LOCK = Path(__file__).parent.parent / PROVIDER_LOCK_FILE


def synthesize(
    plans: Sequence[EnvironmentPlan], outdir: Path, *, local_state: bool, spaces: str = SPACES
) -> None:
    """Write one folder a stack below ``outdir/stacks``.

    Args:
        plans: the environments'.
        outdir: the output folder.
        local_state: whether states are kept in files.
        spaces: where Spaces are, with ``{{.Region}}`` in place of the region.

    Raises:
        CorruptOutputError: the output would say something else than the program.
    """
    app = App(outdir=str(outdir))
    stacks: list[TerraformStack] = [BootstrapStack(app, plans=[plan.state for plan in plans])]
    stacks += [EnvironmentStack(app, plan=plan, local_state=local_state, spaces=spaces) for plan in plans]
    stacks += [
        TenantCellStack(app, plan=cell, local_state=local_state, spaces=spaces)
        for plan in plans
        for cell in plan.cells
    ]
    stacks += [
        RestoreDrillStack(app, plan=plan.drill, local_state=local_state, spaces=spaces)
        for plan in plans
        if plan.drill
    ]
    for stack in stacks:
        check_addresses(stack)
    app.synth()
    names = [stack.node.id for stack in stacks]
    for name in names:
        check_output(outdir / "stacks" / name / STACK_FILE)
    _remove_stale(outdir, names)
    place_provider_lock(PROVIDER_LOCK, outdir, names)


def _remove_stale(outdir: Path, names: Collection[str]) -> None:
    """Remove the output of stacks that no longer exist, which cdktf leaves; other files stay."""
    for file in outdir.glob(f"stacks/*/{STACK_FILE}"):
        if file.parent.name not in names:
            file.unlink()
