"""Synthesize every environment into Terraform.

The cdktf CLI runs this through cdktf.json; `python main.py` alone does the same without Terraform or an account.
"""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from model.errors import InvalidInputError
from model.loader import load_environments
from model.plan import plan_environment

ROOT = Path(__file__).parent
EXIT_INVALID_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code: 0, or 2 when an operator's file has to be mended."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--environments", type=Path, default=ROOT / "environments", help="the operators' files"
    )
    parser.add_argument(
        "--outdir", type=Path, default=Path(os.environ.get("CDKTF_OUTDIR", ROOT / "cdktf.out"))
    )
    options = parser.parse_args(arguments)
    try:
        environments = load_environments(options.environments)
    except InvalidInputError as error:
        print(error, file=sys.stderr)
        return EXIT_INVALID_INPUT
    for environment in environments:
        for warning in environment.warnings:
            print(f"warning: {warning}", file=sys.stderr)
    plans = [plan_environment(environment) for environment in environments]
    # Imported here: an operator whose file has a typo should not wait for the framework to be told.
    from stacks.app import synthesize  # noqa: PLC0415

    synthesize(plans, options.outdir, local_state=os.environ.get("PRESENCE360_STATE") == "local")
    return 0


if __name__ == "__main__":
    # The process ends within seconds; collecting would walk the framework's classes again and again for nothing.
    gc.disable()
    sys.exit(main())
