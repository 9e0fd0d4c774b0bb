"""Compare two environments of the operators' files: make the variants, synthesize them, read them."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.loader import Environment
from ops.errors import OperationError
from ops.parity.compare import Leaves, Parity, Stacks, attribute, leaves, of_the_name
from ops.parity.steps import NAME, Json, Step, content, named, steps
from ops.paths import ROOT
from ops.progress import working
from ops.summary import read

_FIRST, _SECOND = "twin-of-first", "twin-of-second"


def compare(
    first: Environment, second: Environment, stacks: Mapping[str, Any], *, explain: bool = True
) -> Parity:
    """Compare two environments.

    Args:
        first: the one.
        second: the other.
        stacks: what was synthesized, by the stacks' names.
        explain: whether each key's share is worked out, which takes a synth for each. What no file explains is found
            without.

    Raises:
        OperationError: the variants could not be synthesized.
    """
    pair = {one.file.environment: named(content(one), NAME) for one in (first, second)}
    one, other = pair.values()
    way = list(steps(one, other)) if explain else []
    variants: dict[str, Json] = {_FIRST: one, _SECOND: other}
    variants |= {f"step-{number:03}": changed for number, (_, changed) in enumerate(way)}
    found = _synthesized(variants)
    for twin, name in zip((_FIRST, _SECOND), pair, strict=True):
        if not found[twin]:
            raise OperationError(f"{name} cannot be synthesized under another name: is its file valid?")
    chain: list[tuple[Step | None, Leaves]] = [(None, leaves(found[_FIRST]))]
    waiting: list[Step] = []
    for number, (step, _) in enumerate(way):
        waiting.append(step)
        # Where one key alone is impossible, it and the next are one change.
        if variant := found[f"step-{number:03}"]:
            chain.append((_joined(waiting), leaves(variant)))
            waiting = []
    names = tuple(pair)
    return Parity(
        first=names[0],
        second=names[1],
        explained=attribute(chain),
        unexplained={
            name: of_the_name(own(stacks, name), found[twin], name)
            for name, twin in zip(names, (_FIRST, _SECOND), strict=True)
        },
    )


def own(stacks: Mapping[str, Any], name: str) -> Stacks:
    """Return the stacks of an environment, by their names without its own."""
    return {
        stack.removeprefix(name).removeprefix("-"): body
        for stack, body in stacks.items()
        if stack == name or stack.startswith(f"{name}-cell-")
    }


def _joined(waiting: list[Step]) -> Step:
    if len(waiting) == 1:
        return waiting[0]
    return Step(*(", ".join(getattr(step, name) for step in waiting) for name in ("key", "first", "second")))


def _synthesized(variants: Mapping[str, Json]) -> dict[str, Stacks]:
    """Synthesize all variants in one process; an impossible one has no stacks."""
    with tempfile.TemporaryDirectory() as folder:
        files, outdir = Path(folder) / "variants", Path(folder) / "out"
        files.mkdir()
        for name, variant in variants.items():
            (files / f"{name}.json").write_text(json.dumps(variant), encoding="utf-8")
        command = [sys.executable, str(ROOT / "main.py"), "--variants", str(files), "--outdir", str(outdir)]
        with working("synth"):
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise OperationError(f"the variants could not be synthesized:\n{ended.stderr.strip()}")
        return {
            name: own(read(outdir / name), NAME) if (outdir / name / "manifest.json").exists() else {}
            for name in variants
        }
