"""The connections that a droplet's services share: PgBouncer's configuration, from the tenants' credentials objects.

PgBouncer itself is Debian's. This program fetches the credentials, writes its files, has it read them again where they
changed, and says in metrics how full the pools are. docs/connections.md explains all of it.
"""

from droplet.pool.command import main

__all__ = ["main"]
