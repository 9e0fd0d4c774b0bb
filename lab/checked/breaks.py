"""What goes wrong once, or more often, for each line of the check."""

from lab.checked import breaks_edge, breaks_inside
from lab.checked.breaking import BREAKS, Break, broken

__all__ = ["BREAKS", "Break", "breaks_edge", "breaks_inside", "broken"]
