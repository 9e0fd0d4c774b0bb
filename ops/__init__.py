"""What operators and CI run: the command `presence360`, and all behind it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""
