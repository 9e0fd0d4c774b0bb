"""presence360-isolation: make one tenant's credentials reach that tenant's database and nothing else.

Runs cluster.sql on every Postgres cluster, each minute and when the configuration changes. That is one connection.
It runs database.sql in each database whose schema is new or not known to be right, and once a day in all of them,
because the shared catalogs do not show everything. A second connection counts the cluster's.

Each Terraform stack has a configuration of its own: the environment, and each further cell. One that cannot be read is
an error and does not delay the clusters of the others.

Needs Debian 13's python3 and postgresql-client, and nothing else. Passwords reach psql by a file that only this
program's user may read.
"""

from droplet.isolation.command import main

__all__ = ["main"]
