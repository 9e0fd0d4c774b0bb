"""What the operators' files come to in Terraform JSON, in a folder that is gone afterwards."""

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ops.ci.steps import run_synth
from ops.paths import ROOT
from ops.reach.read import READ
from ops.summary import Stack, read
from policies.presence360.unseen import written

_ELSEWHERE = frozenset({"CDKTF_OUTDIR", "PRESENCE360_STATE", "SPACES_ENDPOINT_URL"})
"""Variables by which a person's synth differs from everybody's."""

NOT_COMPARED = "its paths are not compared: it is no environment's own stack, and no cell's"


def synthesized(environments: Path) -> dict[str, Stack]:
    """Synthesize every environment; return the stacks by name. Ends the program where a file is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        main = [
            sys.executable,
            str(ROOT / "main.py"),
            "--environments",
            str(environments),
            "--outdir",
            folder,
        ]
        run_synth(main, {name: value for name, value in os.environ.items() if name not in _ELSEWHERE})
        return read(Path(folder))


def of_environment(stacks: Mapping[str, Stack], name: str) -> dict[str, Stack]:
    """Return an environment's own stack and its cells'."""
    return {
        stack: body for stack, body in stacks.items() if stack == name or stack.startswith(f"{name}-cell-")
    }


def of_no_environment(stacks: Mapping[str, Stack], environments: Iterable[str]) -> list[str]:
    """Return the stacks with droplets, clusters or firewalls that are no environment's own and no cell's."""
    known = {stack for name in environments for stack in of_environment(stacks, name)}
    return sorted(
        name
        for name in stacks.keys() - known
        if any(kind in READ for kind, _, _ in written(stacks[name], "resource"))
    )
