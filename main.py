"""Synthesize every environment into Terraform.

The cdktf CLI runs this through cdktf.json; `python main.py` alone does the same without Terraform or an account.
"""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.plan import EnvironmentPlan

ROOT = Path(__file__).parent
EXIT_INVALID_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code: 0, or 2 if an operator's file has mistakes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--environments", type=Path, default=ROOT / "environments", help="the operators' files"
    )
    parser.add_argument(
        "--outdir", type=Path, default=Path(os.environ.get("CDKTF_OUTDIR", ROOT / "cdktf.out"))
    )
    parser.add_argument("--variants", type=Path, help="what stacks/variants.py synthesizes in their place")
    options = parser.parse_args(arguments)
    if options.variants:
        from stacks.variants import synthesize_variants  # noqa: PLC0415  (loads the framework)

        synthesize_variants(options.variants, options.outdir)
        return 0
    with ThreadPoolExecutor(max_workers=1) as background:
        # The framework waits for Node to start and load; meanwhile the operators' files are read and decided on.
        framework = background.submit(import_module, "stacks.app")
        plans = _plan(options.environments)
        if plans is None:
            return EXIT_INVALID_INPUT
        framework.result()
    from stacks.app import synthesize  # noqa: PLC0415
    from stacks.state import SPACES  # noqa: PLC0415

    synthesize(
        plans,
        options.outdir,
        local_state=os.environ.get("PRESENCE360_STATE") == "local",
        # The provider's own variable: the state is where the provider makes the buckets.
        spaces=os.environ.get("SPACES_ENDPOINT_URL") or SPACES,
    )
    return 0


def _plan(folder: Path) -> "list[EnvironmentPlan] | None":
    """Read and decide every environment; None if a file has mistakes, which have been printed."""
    from model.errors import InvalidInputError  # noqa: PLC0415
    from model.loader import load_environments  # noqa: PLC0415
    from model.plan import plan_environment  # noqa: PLC0415

    try:
        environments = load_environments(folder)
    except InvalidInputError as error:
        print(error, file=sys.stderr)
        return None
    for environment in environments:
        for warning in environment.warnings:
            print(f"warning: {warning}", file=sys.stderr)
    return [plan_environment(environment) for environment in environments]


if __name__ == "__main__":
    # The process ends within seconds; collecting would walk the framework's classes again and again for nothing.
    gc.disable()
    sys.exit(main())
