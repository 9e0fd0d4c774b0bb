"""Wiring: which constructs a stack has, in which order."""

import constructs_lib as constructs_lib  # prepares the framework; before anything that imports cdktf
