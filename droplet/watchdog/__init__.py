"""Whether alerts arrive, told to the world outside: a dead man's switch that needs nobody else.

An alert that always fires, Watchdog (model/alerts/platform.py), reaches `receive` on the observability droplet, which
writes the time into its group's status bucket. `answer`, behind the path /watchdog of a public name, reads it and
answers 200 while it is fresh, 503 otherwise. DigitalOcean's uptime check asks that path.

    watchdog receive <port>
    watchdog answer <port> <bucket, as rclone knows it>
"""

from droplet.watchdog.command import main

__all__ = ["main"]
