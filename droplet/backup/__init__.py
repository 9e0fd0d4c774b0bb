"""presence360-backup: dumps of our own, one of every database each night, encrypted, in a bucket of their own.

Runs every two minutes on the droplets of the control group, one of which works at a time. A database is dumped when its
record says that it was not since the night began, or when an operator asks for it. Each dump is read back, compared
with the database, and encrypted for the operators; no row is written to the droplet's disk in clear text.
docs/backups.md explains it.
"""

from droplet.backup.command import main

__all__ = ["main"]
