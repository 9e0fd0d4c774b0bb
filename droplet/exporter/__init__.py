"""What the droplet's containers use and whether it wants a reboot, as metrics in Prometheus's text format.

A daemon: it asks Docker and the kernel's control groups every quarter of a minute. It listens to Docker's events as
well: that the kernel killed a process of a container shows in nothing else once the container started again. The health
daemon serves what it writes. docs/telemetry.md lists the metrics.
"""

from droplet.exporter.command import main

__all__ = ["main"]
