"""Show what differs between two databases of one church: how it was in a dump, and how it is now.

    ssh root@CONTROL-DROPLET python3 -I /var/lib/presence360/programs/current compare THEN NOW --in shared

THEN and NOW are names of databases in one cluster, such as tenant_<id>_r2 and tenant_<id>. It prints for each table
how many rows there are only then, only now, and with another content, by primary key. It prints names and counts, and
never what is in a row. Nothing is written, and the church may be served meanwhile. Exit code 2: refused, 1: failed.

Needs root on a droplet of the group that runs the isolation job. docs/runbooks/restore.md has the steps.
"""

from droplet.compare.command import main

__all__ = ["main"]
