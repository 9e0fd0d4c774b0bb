"""The program as a whole: every environment's stack, and the one that makes their state buckets."""

from collections.abc import Sequence
from pathlib import Path

from cdktf import App

from model.plan import EnvironmentPlan
from stacks.environment import EnvironmentStack
from stacks.state import BootstrapStack


def synthesize(plans: Sequence[EnvironmentPlan], outdir: Path, *, local_state: bool) -> None:
    """Write one folder a stack below ``outdir/stacks``."""
    app = App(outdir=str(outdir))
    BootstrapStack(app, [(plan.name, plan.state) for plan in plans])
    for plan in plans:
        EnvironmentStack(app, plan=plan, local_state=local_state)
    app.synth()
