"""Traces, on their way off the droplet: what may be about a person is taken out of every span.

The listener for telemetry hands over what services send, and takes what is left to the observability group.
docs/traces.md explains all of it.
"""

from droplet.traces.command import main

__all__ = ["main"]
