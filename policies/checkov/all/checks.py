"""Every policy."""

import sys
from pathlib import Path

# checkov imports this file by its path.
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from policies.checkov.adapter import register
from policies.pack import PACK

register(PACK.values())
