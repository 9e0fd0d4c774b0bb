"""Fill an empty database from a dump, and prove that it is what was dumped.

    presence360 backups open grace-dump --identity key.txt |
        ssh root@CONTROL-DROPLET python3 -I /var/lib/presence360/programs/current restore DATABASE --to shared

With `--from CLUSTER --of DATABASE` it reads a database of another cluster, such as a fork of a backup, in the place of
a dump.

It reads the decrypted dump from its input: neither the dump nor a key is ever on the droplet's disk. It refuses (exit
code 2) unless the dump is that database's, and the database is isolated, empty, and used by nobody. It restores in one
transaction, compares every row with what the dump says of itself, and commits only if they are the same. Exit code 1:
it failed, or the two differ; then the database is as empty as before.

Needs root on a droplet of the group that runs the isolation job. docs/runbooks/restore.md has the steps.
"""

from droplet.restore.command import main

__all__ = ["main"]
