"""Jobs: commands in a service's image that run once. What operators ask for, and what is due by a schedule.

Each run is a container beside the service's own, of the same image, with the same settings, secrets and limits. Docker
keeps it, so neither a new version of the programs nor a release ends it. docs/jobs.md explains all of it.
"""

from droplet.jobs.command import main

__all__ = ["main"]
