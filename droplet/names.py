"""Names and numbers that several programs use in Postgres; scripts get them as psql variables."""

import re
from dataclasses import dataclass

TENANT_ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""A regular expression for a tenant's id, of Python and of Postgres alike."""

DATABASE_KEY = f"{TENANT_ID}(_r([2-9]|[1-9][0-9]+))?"
"""The same for what follows `tenant_` in a database's name: of its first generation the id alone (model/naming.py)."""

TENANT_DATABASE = f"tenant_{DATABASE_KEY}"
"""The same for the name of a tenant's database, of any generation."""

ISOLATION_LOCK = 7360360
"""Key of the advisory lock that a run of the isolation job holds in the cluster's first database."""

MOVE_LOCK = 7360361
"""Key of the advisory lock that a run of move_tenant holds in the tenant's database, at source and target."""

WORK_LOCK = 7360362
"""Upper half of the key of the advisory lock that the maker of a work login holds in the administrator's database for
as long as it needs the login; the lower half is the role's oid."""

WATCH_LOCK = 7360363
"""Key of the advisory lock of the one watch of a cluster, in the administrator's database."""

MIGRATION_LOCK = 7360364
"""Key of the advisory lock of the one run of migrations of an environment, in the administrator's database of the
cluster that has `control_plane`."""

DATABASE_LOCK = 7360365
"""Upper half of the key of the advisory lock that a program holds in the administrator's database while it changes or
copies the whole of a database; the lower half is the database's oid. No tenant can connect there to take it."""

RECORD_LOCK = 7360366
"""Key of the advisory lock under which a database's record is read and written, in the administrator's database."""

BACKUP_LOCK = 7360367
"""Key of the advisory lock of the one run of dumps of an environment, in the administrator's database of the cluster
that has `control_plane`."""

DRILL_LOCK = 7360368
"""Key of the advisory lock of the one restore drill of an environment, in the administrator's database of the cluster
that has `control_plane`."""

SQL_LOCK = 7360369
"""Key of the advisory lock under which one droplet of an environment makes readers, in the administrator's database of
the cluster that has `control_plane`."""

WORK_SUFFIX = "_work_[0-9a-f]{8}"
"""A regular expression for what follows a database's name in the name of a work login (droplet/work_login.py)."""

READ_SUFFIX = "_read_[0-9a-f]{8}"
"""The same of a reader: a login that a person asked for, which reads one database and ends by itself (droplet/sql)."""

READ_SECONDS = 8 * 3600
"""For how long a reader may be there at most. One that would be there for longer is removed at once."""

READ_CONNECTIONS = 2
"""That a reader may hold: one, and one while the server has not noticed yet that the first is gone."""

READ_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
    "idle_session_timeout": "15min",
    # A table's lock that a migration waits for is given back soon, and a reader waits for none for long.
    "lock_timeout": "5s",
}
"""Of each of a reader's sessions, until the person at the terminal sets something else. A role may change its own: a
reader with others is removed, because only its church's code did that."""

EXTENSIONS_SCHEMA = "extensions"
"""The schema of every tenant's database that holds its extensions. It belongs to the administrator."""

ISOLATION_MARK = "isolation"
"""The part of a database's record that the isolation job writes when it has visited it: the scripts' revision and the
owner role's oid (droplet/record.py)."""

MIGRATION_PART = "migration"
"""The part of a database's record that says which images have migrated it (droplet/migrate)."""

BACKUP_PART = "backup"
"""The part of a database's record that says when it was dumped last (droplet/backup)."""

MEMBERSHIP_VERSION = 160000
"""From this server version on, inheritance and SET ROLE belong to a membership, and to alter or grant a role takes
ADMIN OPTION on it (PostgreSQL 16 release notes, "Privileges")."""


@dataclass(frozen=True)
class Place:
    """A database by its name, and the role that owns what is in it."""

    database: str

    @property
    def owner(self) -> str:
        """The role that owns what is in it."""
        return owner_of(self.database)


def owner_of(database: str) -> str:
    """Return the role that owns what is in a database."""
    return f"{database}_owner"


def tenant_of(database: str) -> str:
    """Return the id of the tenant whose database it is, of any generation; empty for any other."""
    return (
        database.removeprefix("tenant_").partition("_r")[0] if re.fullmatch(TENANT_DATABASE, database) else ""
    )
