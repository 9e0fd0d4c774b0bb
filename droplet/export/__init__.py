"""Write some tables of a church's database to the output, as SQL: those of then, beside the database that is served.

    ssh root@CONTROL-DROPLET python3 -I /var/lib/presence360/programs/current export DATABASE TABLE... --in shared

What is written is the church's data in clear text. It is read by a login with that church's rights and no others, and
nothing of it is on the droplet's disk. Exit code 2: refused, 1: failed.

Needs root on a droplet of the group that runs the isolation job. docs/runbooks/restore.md has the steps.
"""

from droplet.export.command import main

__all__ = ["main"]
