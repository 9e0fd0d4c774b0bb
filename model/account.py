"""What an environment has of that for which DigitalOcean limits the account.

An account may hold several environments, and things that nobody here made: a file says only what its own environment
needs. What the account has is counted before an apply (ops/preflight/limits.py).
"""

from collections.abc import Iterator, Sequence

from model.environment import EnvironmentFile
from model.layout import place
from model.tenants import Tenant

# Buckets: exports, credentials, directory and state; of each group its configuration and its status. Keys: of each
# group, of the tenants' credentials, of the directory, of the exports, and of the state.
_BUCKETS, _BUCKETS_OF_A_GROUP = 4, 2
_KEYS, _KEYS_OF_A_GROUP = 4, 1


def of_account(file: EnvironmentFile, tenants: Sequence[Tenant]) -> Iterator[tuple[str, int, int, str]]:
    """Yield for each limit that the file states: what it is in words, how much is needed, the limit, and its name."""
    groups = file.groups.values()
    droplets = sum(group.replicas or (group.autoscale.max if group.autoscale else 0) for group in groups)
    # Groups are replaced one after another (ops/waves.py); a pool's droplets are DigitalOcean's to replace.
    doubled = max((group.replicas or 0 for group in groups), default=0)
    # A bucket and a key for backups of the metrics, and their volume.
    watched = file.observability
    # Of our own dumps: both buckets; what writes them, and what copies them.
    dumped = 2 * (file.backups is not None)
    needed = {
        "droplets": ("droplets of the account while a group is replaced", droplets + doubled),
        "load_balancers": (
            "load balancers of the account",
            sum(placement.public for placement in place(file.groups, apex=file.dns.apex)),
        ),
        "clusters": (
            "database clusters of the account",
            len(file.postgres.clusters)
            + len(file.postgres.cells)
            + 1  # Valkey
            + sum(tenant.homes.dedicated is not None for tenant in tenants)
            + (file.backups is not None and file.backups.drill is not None),  # a fork, for some hours
        ),
        "buckets": (
            "Spaces buckets of the account",
            _BUCKETS + _BUCKETS_OF_A_GROUP * len(file.groups) + (watched is not None) + dumped,
        ),
        "spaces_keys": (
            "Spaces keys of the account",
            _KEYS + _KEYS_OF_A_GROUP * len(file.groups) + (watched is not None) + dumped,
        ),
        "volumes": ("volumes of the account", int(watched is not None and watched.volume_gib is not None)),
    }
    for name, (what, used) in needed.items():
        if limit := getattr(file.account, name):
            yield what, used, limit, name
