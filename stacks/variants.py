"""Synthesize variants of environments, each by itself: what would Terraform get if one key had another value?

`main.py --variants` writes them for ops/parity, which makes the variants and compares what comes of them. They are not
checked: with half of another environment's keys an environment may have too little of something, and is compared all
the same.
"""

import json
from pathlib import Path
from typing import Any

from model.environment import EnvironmentFile
from model.loader import Environment
from model.plan import plan_environment
from model.tenants import TenantsFile
from stacks.app import synthesize
from stacks.state import SPACES

IMPOSSIBLE = "impossible"
"""The file, beside the stacks, that says why there are none."""


def synthesize_variants(folder: Path, outdir: Path) -> None:
    """Synthesize each JSON file of a folder into a folder of its name.

    Args:
        folder: files with the content of environment.yaml and of tenants.yaml, as `environment` and `tenants`.
        outdir: the output folder.
    """
    for file in sorted(folder.glob("*.json")):
        content = json.loads(file.read_text(encoding="utf-8"))
        into = outdir / file.stem
        into.mkdir(parents=True)
        try:
            environment = Environment(
                EnvironmentFile.model_validate(_as_in_yaml(content["environment"])),
                TenantsFile.model_validate(_as_in_yaml(content["tenants"])).tenants,
                (),
            )
            plan = plan_environment(environment)
        except (ValueError, KeyError, LookupError) as error:
            # A key names what another key no longer has: together they would be possible.
            (into / IMPOSSIBLE).write_text(f"{error}\n", encoding="utf-8")
            continue
        synthesize([plan], into, local_state=False, spaces=SPACES)


def _as_in_yaml(value: Any) -> Any:
    """Return lists as tuples, which is how model/yaml_document.py reads them."""
    if isinstance(value, dict):
        return {key: _as_in_yaml(inner) for key, inner in value.items()}
    return tuple(map(_as_in_yaml, value)) if isinstance(value, list) else value
