"""What operators and CI run: the command `presence360`, and all behind it."""

import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

if find_spec("pydantic") is None:
    # Somebody's own Python, and not the environment that `make setup` makes.
    sys.stderr.write(f"This Python lacks the packages of {ROOT}: run `make setup` there, then bin/presence360\n")
    sys.exit(2)
