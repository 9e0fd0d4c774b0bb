"""presence360-converge: bring this droplet to what its group's bucket says, or leave it as it is.

Runs as root each minute and at boot, after the fetcher has fetched the bucket's objects. It installs the units that
came with this version, checks all objects before it touches anything, and keeps each state of the bucket as a
release: a folder named after its content. Where containers change, the droplet waits for its turn, drains, starts
them, and goes back to the last healthy release if that fails.

Needs Debian 13's python3, docker-cli, docker-compose and nginx, and nothing else.
"""

from droplet.converge.command import main

__all__ = ["main"]
