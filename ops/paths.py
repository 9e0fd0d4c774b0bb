"""Where things are in this checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / "environments"
OUTDIR = ROOT / "cdktf.out"
"""Where a synth writes the stacks."""
