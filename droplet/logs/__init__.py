"""Logs: what systemd's programs, which send and keep them (docs/logs.md), do not do themselves.

On each droplet, before it shuts down: wait until its last lines are sent. On that of the observability group: make
files of a day out of those that are written, and remove the oldest.
"""

from droplet.logs.command import main

__all__ = ["main"]
