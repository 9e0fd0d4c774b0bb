"""The addresses in Terraform that more than one room needs: constructs, the plan guard, the rehearsal, tests.

An address is a promise: under another one Terraform would take what is deployed for something that has to go. The
constructs' ids decide it, and `tests/stacks/test_addresses.py` holds every address here against a synthesized stack.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from model.tenancy import Guard

CLUSTER = "digitalocean_database_cluster"
CLUSTER_CONFIG = "digitalocean_database_postgresql_config"
CLUSTER_FIREWALL = "digitalocean_database_firewall"
LOG_SINK = "digitalocean_database_logsink_rsyslog"
DATABASE = "digitalocean_database_db"
USER = "digitalocean_database_user"
BUCKET = "digitalocean_spaces_bucket"
OBJECT = "digitalocean_spaces_bucket_object"
SPACES_KEY = "digitalocean_spaces_key"
ZONE = "digitalocean_domain"
LOAD_BALANCER = "digitalocean_loadbalancer"
DROPLET = "digitalocean_droplet"
POOL = "digitalocean_droplet_autoscale"
FIREWALL = "digitalocean_firewall"


@dataclass(frozen=True)
class Address:
    """One block of a stack.

    Attributes:
        kind: the resource's type.
        path: the constructs' ids from the stack down, with slashes: ``tenant-plane/databases/database``.
    """

    kind: str
    path: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.name}"

    @property
    def stem(self) -> str:
        """The block's name without the digits at its end: ``tenant-plane_databases_database``."""
        kept: list[str] = []
        for part in self.path.split("/"):
            # cdktf 0.21, lib/private/unique.ts, removeDupes: what the id above ends in is not said again.
            if not kept or not kept[-1].endswith(part):
                kept.append(part)
        return "_".join(kept)

    @property
    def name(self) -> str:
        """The block's name, as cdktf 0.21 makes it of the path (lib/private/unique.ts, makeUniqueId)."""
        if "/" not in self.path:
            return self.path
        digest = hashlib.md5(self.path.encode(), usedforsecurity=False).hexdigest()
        return f"{self.stem}_{digest[:8].upper()}"

    def instance(self, key: str) -> str:
        """Return the address of one entry of the block's `for_each`."""
        return f'{self}["{key}"]'


@dataclass(frozen=True)
class DedicatedAddresses:
    """What tenants' own clusters consist of, each with an instance for every tenant.

    Attributes:
        cluster: the clusters.
        config: their settings.
        firewall: who may connect.
        database: the tenant's database in each.
        restored: databases of later generations, which restores made.
        user: its users; there are none of a retired tenant.
    """

    cluster: Address
    config: Address
    firewall: Address
    database: Address
    restored: Address
    user: Address

    @classmethod
    def at(cls, path: str) -> "DedicatedAddresses":
        """Return those below a construct."""
        return cls(
            cluster=Address(CLUSTER, f"{path}/cluster"),
            config=Address(CLUSTER_CONFIG, f"{path}/config"),
            firewall=Address(CLUSTER_FIREWALL, f"{path}/firewall"),
            database=Address(DATABASE, f"{path}/database"),
            restored=Address(DATABASE, f"{path}/restored"),
            user=Address(USER, f"{path}/user"),
        )

    @property
    def moved(self) -> tuple[Address, ...]:
        """What a tenant's cluster takes along when it is retired, or brought back, beside its databases."""
        return self.cluster, self.config, self.firewall

    def databases(self, *, is_first: bool) -> Address:
        """Return the databases of the first generation, or of later ones."""
        return self.database if is_first else self.restored


# Of every stack with tenants: the environment's own, and each further cell's.
TENANT_DATABASES: Mapping[Guard, Address] = {
    Guard.KEPT: Address(DATABASE, "tenant-plane/databases/database"),
    Guard.RETIRED: Address(DATABASE, "tenant-plane/databases/retired"),
}
"""The databases in the cell's cluster, by what guards them."""
RESTORED_DATABASES = Address(DATABASE, "tenant-plane/databases/restored")
"""Databases of later generations, which restores made, in the cell's cluster, while they are kept."""
TENANT_USERS = Address(USER, "tenant-plane/databases/user")
"""The users in the cell's cluster, by id and generation."""
TENANT_CREDENTIALS = Address(OBJECT, "tenant-plane/credentials/tenant")
TENANT_DIRECTORY = Address(OBJECT, "control-plane/registry/tenant")
"""The tenants' entries in the directory. The construct's id is from when that was called a registry, and stays."""
DEDICATED: Mapping[Guard, DedicatedAddresses] = {
    Guard.KEPT: DedicatedAddresses.at("tenant-plane/dedicated"),
    Guard.RETIRED: DedicatedAddresses.at("tenant-plane/retired-dedicated"),
}
"""Tenants' own clusters, by what guards them."""
RETIRED_GENERATIONS = Address(DATABASE, "tenant-plane/dedicated/retired")
"""Databases in tenants' own clusters that are retired while the cluster is kept: what a restore has left behind."""

# Of the environment's own stack.
VPC = Address("digitalocean_vpc", "network/vpc")
PROJECT = Address("digitalocean_project", "project/project")
DOMAIN = Address(ZONE, "edge/zone")
CERTIFICATE = Address("digitalocean_certificate", "edge/certificate")
CONTROL_PLANE_DATABASE = Address(DATABASE, "control-plane/database")
CONTROL_PLANE_USER = Address(USER, "control-plane/user")
CREDENTIALS_BUCKET = Address(BUCKET, "tenant-plane/credentials/bucket")
DIRECTORY_BUCKET = Address(BUCKET, "control-plane/registry/bucket")
EXPORTS_BUCKET = Address(BUCKET, "data/exports/bucket")
VALKEY = Address(CLUSTER, "data/valkey/cluster")
VALKEY_CONFIG = Address("digitalocean_database_valkey_config", "data/valkey/config")
VALKEY_FIREWALL = Address(CLUSTER_FIREWALL, "data/valkey/firewall")

# Of a further cell's stack.
CELL_POSTGRES = Address(CLUSTER, "postgres/cluster")
CELL_POSTGRES_CONFIG = Address(CLUSTER_CONFIG, "postgres/config")
CELL_POSTGRES_FIREWALL = Address(CLUSTER_FIREWALL, "postgres/firewall")


def postgres(cluster: str) -> Address:
    """Return a Postgres cluster of the environment's own stack, by the operators' name for it."""
    return Address(CLUSTER, f"data/postgres-{cluster}/cluster")


def postgres_config(cluster: str) -> Address:
    """Return its settings."""
    return Address(CLUSTER_CONFIG, f"data/postgres-{cluster}/config")


def postgres_firewall(cluster: str) -> Address:
    """Return who may connect to it."""
    return Address(CLUSTER_FIREWALL, f"data/postgres-{cluster}/firewall")


def group_tag(group: str) -> Address:
    """Return the tag of a group's droplets."""
    return Address("digitalocean_tag", f"network/tag-group-{group}")


def load_balancer(group: str) -> Address:
    """Return a public group's load balancer."""
    return Address(LOAD_BALANCER, f"edge/load-balancer-{group}")


def droplet(group: str, number: int) -> Address:
    """Return a droplet of a group of a fixed size; the number counts from 1."""
    return Address(DROPLET, f"group-{group}/{number}")


def droplet_of(name: str) -> tuple[str, int] | None:
    """Return group and number of a block that is a droplet of a group of a fixed size; None if it is none."""
    match = re.fullmatch(r"group-(?P<group>[a-z0-9-]+)_(?P<number>\d+)_[0-9A-F]{8}", name)
    if match and droplet(match["group"], int(match["number"])).name == name:
        return match["group"], int(match["number"])
    return None


def serving(group: str, number: int) -> Address:
    """Return the wait for a droplet, on which the destruction of its predecessor waits."""
    return Address("terraform_data", f"group-{group}/serving-{number}")


def pool(group: str) -> Address:
    """Return a group's pool of droplets."""
    return Address(POOL, f"group-{group}/pool")


def pool_of(name: str) -> str | None:
    """Return the group of a block that is a pool of droplets; None if it is none."""
    match = re.fullmatch(r"group-(?P<group>[a-z0-9-]+)_pool_[0-9A-F]{8}", name)
    return match["group"] if match and pool(match["group"]).name == name else None


def firewall(group: str) -> Address:
    """Return the cloud firewall around a group's droplets."""
    return Address(FIREWALL, f"group-{group}/firewall")


def user_data(group: str) -> Address:
    """Return the local value that holds what a group's droplets are born with."""
    return Address("local", f"group-{group}/user-data")


def config_bucket(group: str) -> Address:
    """Return the bucket with a group's configuration."""
    return Address(BUCKET, f"config-{group}/bucket")


def group_key(group: str) -> Address:
    """Return the key that a group's droplets hold."""
    return Address(SPACES_KEY, f"config-{group}/reader")


def config_object(group: str, key: str) -> Address:
    """Return one object of it, by its key in the bucket."""
    return Address(OBJECT, f"config-{group}/{config_object_id(key)}")


def config_object_id(key: str) -> str:
    """Return the construct id of an object of a group's configuration: ids keep neither dots nor slashes."""
    return key.replace(".", "-").replace("/", "-")


def configuration_of(name: str) -> tuple[str, str] | None:
    """Return group and construct id of a block that is an object of a group's configuration; None if it is none."""
    match = re.fullmatch(r"config-(?P<group>[a-z0-9-]+)_(?P<object>[a-z0-9_-]+)_[0-9A-F]{8}", name)
    if match and config_object(match["group"], match["object"]).name == name:
        return match["group"], match["object"]
    return None
