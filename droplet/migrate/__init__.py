"""presence360-migrate: bring the schema of every database to the images that a release brings.

Runs as root twice a minute on the droplets of the control group. What each database's record says is compared with
what the group's bucket asks for, and what differs is done: in a container of the new image, as the tenant's own owner
role, straight to Postgres. What it does is told in the group's status bucket, where all groups wait for it
(droplet/converge/gate.py). docs/migrations.md explains it.
"""

from droplet.migrate.command import main

__all__ = ["main"]
