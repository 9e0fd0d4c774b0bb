"""Names and numbers that several programs use in Postgres; scripts get them as psql variables."""

from dataclasses import dataclass

TENANT_ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""A regular expression for a tenant's id, of Python and of Postgres alike."""

ISOLATION_LOCK = 7360360
"""Key of the advisory lock that a run of the isolation job holds in the cluster's first database."""

MOVE_LOCK = 7360361
"""Key of the advisory lock that a run of move_tenant holds in the tenant's database, at source and target."""

WORK_LOCK = 7360362
"""Upper half of the key of the advisory lock that the maker of a work login holds in the administrator's database for
as long as it needs the login; the lower half is the role's oid."""

WATCH_LOCK = 7360363
"""Key of the advisory lock of the one watch of a cluster, in the administrator's database."""

WORK_SUFFIX = "_work_[0-9a-f]{8}"
"""A regular expression for what follows a database's name in the name of a work login (droplet/work_login.py)."""

EXTENSIONS_SCHEMA = "extensions"
"""The schema of every tenant's database that holds its extensions. It belongs to the administrator."""

ISOLATION_MARK = "presence360 isolation"
"""Begins the comment on a database that the isolation job has visited; revision and owner role's oid follow."""

MEMBERSHIP_VERSION = 160000
"""From this server version on, inheritance and SET ROLE belong to a membership, and to alter or grant a role takes
ADMIN OPTION on it (PostgreSQL 16 release notes, "Privileges")."""


@dataclass(frozen=True)
class Tenant:
    """The names that follow from a tenant's id (model/naming.py)."""

    id: str

    @property
    def database(self) -> str:
        """Its database, in every cluster."""
        return f"tenant_{self.id}"

    @property
    def owner(self) -> str:
        """The role that owns what is in it."""
        return f"{self.database}_owner"
