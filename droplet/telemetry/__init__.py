"""Where this droplet forwards what its services send by OpenTelemetry's protocol, and what it takes from others.

nginx does the work, in a process of its own (presence360-otlp.service). This program writes its configuration. It finds
the observability group's droplet by what that says in its status object, address and certificate, and pins both; on
that droplet it writes the receiver's side as well. docs/telemetry.md explains all of it.
"""

from droplet.telemetry.command import main

__all__ = ["main"]
