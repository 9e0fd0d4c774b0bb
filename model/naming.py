"""Physical names: what DigitalOcean, Postgres and Spaces call our things. No other file makes one.

A name that is too long is an error, never cut: two cut names may be one name.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

PRODUCT = "presence360"

BOOTSTRAP_STACK = "bootstrap"
"""The stack that makes the state buckets; no environment can have its name."""

DRILL = "restore-drill"
"""What ends the name of the one kind of stack that is disposable; no environment's name ends so."""

# Droplet, cluster and bucket names are DNS labels (RFC 1035, section 2.3.4); Postgres cuts identifiers at 63
# bytes (NAMEDATALEN, PostgreSQL documentation, section 4.1.1).
MAX_NAME = 63

CONTROL_PLANE_DATABASE = "control_plane"
CONTROL_PLANE_USER = "control_plane"
TENANT_PREFIX = "tenant_"

FIRST_GENERATION = 1
"""Credentials are rotated by a new user with the next number beside the old one, never by a new password. A database is
restored into a new one with the next number beside the old one, and never over it."""


class NameTooLongError(ValueError):
    """A physical name exceeds what its kind of resource allows."""


@dataclass(frozen=True)
class Names:
    """The names of one environment's resources.

    Attributes:
        environment: ``staging``, ``production``, ...
    """

    environment: str

    def resource(self, what: str) -> str:
        """Name a resource within the account: ``staging-vpc``."""
        return _checked(f"{self.environment}-{what}")

    @property
    def project(self) -> str:
        """Name the project: DigitalOcean's folder for what belongs together."""
        return self.resource(PRODUCT)

    def cluster(self, key: str) -> str:
        """Name a Postgres cluster after the operators' name for it, or the tenant whose own it is."""
        return self.resource(f"pg-{key}")

    def bucket(self, what: str) -> str:
        """Name a bucket. It begins with the product, because all customers of a region share Spaces' names."""
        return _checked(f"{PRODUCT}-{self.environment}-{what}")

    def droplet(self, group: str, number: int) -> str:
        """Name a droplet of a group; ``number`` counts from 1."""
        return self.resource(f"{group}-{number}")

    def plane_tag(self, plane: str) -> str:
        """Name the tag of a plane; the kind is in the name so that no group can collide with it."""
        return self.resource(f"plane-{plane}")

    def group_tag(self, group: str) -> str:
        """Name the tag of a droplet group."""
        return self.resource(f"group-{group}")

    def certificate(self, domains: Sequence[str]) -> str:
        """Name a certificate after the names it covers.

        Every argument of a certificate forces its replacement and its name is unique in the account, so the
        replacement needs a new name exactly when the domains change; they are a set, so their order does not matter.
        """
        digest = hashlib.sha256("\n".join(sorted(domains)).encode()).hexdigest()[:8]
        return self.resource(f"edge-{digest}")


def stack_of_cell(environment: str, cell: str) -> str:
    """Name the stack of a further cell: ``production-cell-2``."""
    return _checked(f"{environment}-{cell}")


def drill_stack(environment: str) -> str:
    """Name the stack of an environment's restore drill, and its cluster and tag: ``production-restore-drill``."""
    return _checked(f"{environment}-{DRILL}")


def is_disposable(stack: str) -> bool:
    """Tell whether a stack may be destroyed as a whole: the restore drill's, and no other."""
    return stack.endswith(f"-{DRILL}")


def generation(name: str, *born_with: str) -> str:
    """Name one generation of a droplet after what it was born with: ``staging-app-1-3fa9c2``.

    Until an old droplet goes, its successor stands beside it. Load balancer metrics, logs and the control
    panel show droplets by name; with one name for both, it would not be clear which of the two is healthy.
    """
    digest = hashlib.sha256("\0".join(born_with).encode()).hexdigest()[:6]
    return _checked(f"{name}-{digest}")


def database_suffix(generation: int) -> str:
    """Return what ends the name of a later generation of a tenant's database: ``_r2``; of the first nothing does."""
    return "" if generation == FIRST_GENERATION else f"_r{generation}"


def database_key(tenant_id: str, generation: int = FIRST_GENERATION) -> str:
    """Key one generation of a tenant's database: ``<uuid>``, and ``<uuid>_r2`` for the one that a restore makes."""
    return f"{tenant_id}{database_suffix(generation)}"


def tenant_database(key: str, generation: int = FIRST_GENERATION) -> str:
    """Name a tenant's database: 43 characters and more, to be quoted in SQL because of the hyphens.

    The generation is left out where ``key`` is that of a database already, or stands for one.
    """
    return _checked(f"{TENANT_PREFIX}{database_key(key, generation)}")


def tenant_user(key: str, generation: int | str) -> str:
    """Name the database user that holds one generation of a tenant's credentials; either may be a placeholder.

    ``key`` is the database's (`database_key`): a user belongs to one database, by its name (droplet/isolation).
    """
    return _checked(f"{TENANT_PREFIX}{key}_g{generation}")


def tenant_user_of(key: str) -> str:
    """Name the database user of a key ``<uuid>_g<n>``, as `user_key` makes it."""
    return f"{TENANT_PREFIX}{key}"


def user_key(key: str, generation: int | str) -> str:
    """Key one generation of a tenant's credentials for a database: adding one moves no other."""
    return tenant_user(key, generation).removeprefix(TENANT_PREFIX)


def generation_of_database(database: str) -> int:
    """Return which generation of its tenant's database it is."""
    number = database.partition("_r")[2]
    return int(number) if number.isdecimal() else FIRST_GENERATION


def tenant_of_database(database: str) -> str | None:
    """Return the id of the tenant whose database it is, of any generation; None for any other database."""
    key = database.removeprefix(TENANT_PREFIX)
    return None if key == database else key.partition("_r")[0]


def owner_role(database: str) -> str:
    """Name the role that owns what is in a database, and that its users act as (droplet/isolation)."""
    return _checked(f"{database}_owner")


CREDENTIALS_FOLDER = "tenants"
"""The folder of the credentials objects in their bucket."""


def credentials_key(tenant_id: str) -> str:
    """Name the object that holds a tenant's credentials in the bucket of the tenants' credentials."""
    return f"{CREDENTIALS_FOLDER}/{tenant_id}.json"


def directory_key(tenant_id: str) -> str:
    """Name a tenant's entry in the directory, from which the control plane knows it."""
    return f"tenants/{tenant_id}.json"


ENVIRONMENT_ISOLATION = "environment"
"""Names the environment's own part of the isolation job's configuration; no cell is called so."""


def isolation_key(part: str) -> str:
    """Name the object that tells the isolation job of a stack's clusters: the environment's own, or a cell's."""
    return f"isolation/{part}.json"


def secrets_key(service: str) -> str:
    """Name the object with what one service alone may know."""
    return f"secrets.{service}.env"


def spaces_endpoint(region: str) -> str:
    """Return a region's object store (DigitalOcean documentation, "Use DigitalOcean Spaces with AWS S3 SDKs")."""
    return f"https://{region}.digitaloceanspaces.com"


def queue_prefix(tenant_id: str, override: str | None) -> str:
    """Return what a tenant's names in Valkey begin with; the colon ends it, so none begins another."""
    return f"{override or f'tenant-{tenant_id}'}:"


def _checked(name: str) -> str:
    if (length := len(name.encode())) > MAX_NAME:
        raise NameTooLongError(f"the name {name!r} has {length} bytes; at most {MAX_NAME} are allowed")
    return name
