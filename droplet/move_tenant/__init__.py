"""Copy a suspended tenant's database from one Postgres cluster to another, and prove that the copy is the same.

    sudo python3 -I /var/lib/presence360/programs/current move_tenant TENANT-ID --from shared --to TENANT-ID

It refuses (exit code 2) unless nobody can use the source any more and the target is isolated and empty. It copies in
one transaction, compares both databases inside it, and commits only if they are the same: the target is empty or right,
also when a run is interrupted. Exit code 1: it failed, or the two differ. Nothing is written to the source. --check
compares, and changes nothing.

With --over the source is a fork of the target's cluster (docs/runbooks/restore-cluster.md): what the target holds goes
in the transaction in which the source's content comes, so that the target is as it was or right.

Needs root on a droplet of the group that runs the isolation job, and Debian 13's python3 and postgresql-client. No row
is written to the disk of the droplet: the dump goes through a pipe.
"""

from droplet.move_tenant.command import main

__all__ = ["main"]
