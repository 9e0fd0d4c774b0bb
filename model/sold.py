"""What DigitalOcean sells: the sizes of droplets and of database nodes, by their slugs.

The lists are of 26 November 2026, and are what can be known without an account. DigitalOcean adds sizes several times a
year; an operator who wants a newer one lists it under `new_sizes` of environment.yaml and need not wait for this file.

Sources:

- Databases: DigitalOcean's OpenAPI document, `GET /v2/databases/options`, `layouts` of `pg` and `valkey`: by the number
  of nodes. A test compares them with the document where there is one.
- Droplets: the output of `doctl compute size list` in pulumi-digitalocean, provider/resources.go, without sizes that it
  calls "no longer supported" and without GPUs; and DigitalOcean's release notes of droplets up to November 2025, which
  name every size that came later with its slug.

`doctl compute size list` and `doctl databases options slugs --engine pg` show what an account can buy today.
"""

import re

LISTED_ON = "26 November 2026"
"""The day on which the lists were compared with their sources."""


def _sizes(prefix: str, sizes: str, suffix: str = "") -> frozenset[str]:
    return frozenset(f"{prefix}-{size}{suffix}" for size in sizes.split())


DISKS_GIB = {
    "s-1vcpu-1gb": 25, "s-1vcpu-2gb": 50, "s-2vcpu-2gb": 60, "s-2vcpu-4gb": 80, "s-4vcpu-8gb": 160,
    "s-8vcpu-16gb": 320,
}  # fmt: skip
"""The disks of the usual droplets: `disk` in answers of GET /v2/sizes, as they stand in public repositories (2026).
Other sizes are not compared: a memory says nothing of a disk, since `g-2vcpu-8gb` has 25 GB."""


_MEMORY_OPTIMIZED = "2vcpu-16gb 4vcpu-32gb 8vcpu-64gb 16vcpu-128gb 24vcpu-192gb 32vcpu-256gb"
_GENERAL_PURPOSE = "2vcpu-8gb 4vcpu-16gb 8vcpu-32gb 16vcpu-64gb 32vcpu-128gb 40vcpu-160gb"
_GENERAL_PURPOSE_PREMIUM = (
    "2vcpu-8gb 4vcpu-16gb 8vcpu-32gb 16vcpu-64gb 32vcpu-128gb 48vcpu-192gb 60vcpu-240gb"
)
_CPU_OPTIMIZED_TWICE_THE_DISK = "4vcpu-8gb 8vcpu-16gb 16vcpu-32gb 32vcpu-64gb 48vcpu-96gb"

DROPLET_SIZES = (
    # Basic: regular, premium of the first kind by maker, premium with more disk.
    _sizes("s", "1vcpu-512mb-10gb 1vcpu-1gb 1vcpu-2gb 2vcpu-2gb 2vcpu-4gb 4vcpu-8gb 8vcpu-16gb")
    | _sizes("s", "1vcpu-1gb 1vcpu-2gb 2vcpu-2gb 2vcpu-4gb 4vcpu-8gb 8vcpu-16gb", "-intel")
    | _sizes("s", "1vcpu-1gb 1vcpu-2gb 2vcpu-2gb 2vcpu-4gb 4vcpu-8gb 8vcpu-16gb", "-amd")
    | _sizes("s", "2vcpu-8gb 4vcpu-16gb 8vcpu-32gb", "-amd")
    | _sizes(
        "s",
        "1vcpu-1gb-35gb 1vcpu-2gb-70gb 2vcpu-2gb-90gb 2vcpu-4gb-120gb 2vcpu-8gb-160gb 4vcpu-8gb-240gb "
        "4vcpu-16gb-320gb 8vcpu-16gb-480gb 8vcpu-32gb-640gb",
        "-intel",
    )
    # CPU-optimized.
    | _sizes("c", "2 4 8 16 32 48")
    | _sizes("c", "4 8 16 32 48 60", "-intel")
    | _sizes("c2", f"2vcpu-4gb {_CPU_OPTIMIZED_TWICE_THE_DISK}")
    | _sizes("c2", f"{_CPU_OPTIMIZED_TWICE_THE_DISK} 60vcpu-120gb", "-intel")
    # General purpose, with one and two times the disk.
    | _sizes("g", _GENERAL_PURPOSE)
    | _sizes("g", _GENERAL_PURPOSE_PREMIUM, "-intel")
    | _sizes("gd", _GENERAL_PURPOSE)
    | _sizes("gd", _GENERAL_PURPOSE_PREMIUM, "-intel")
    # Memory-optimized, with one, three and six times the disk.
    | _sizes("m", _MEMORY_OPTIMIZED)
    | _sizes("m", f"{_MEMORY_OPTIMIZED} 48vcpu-384gb", "-intel")
    | _sizes("m3", _MEMORY_OPTIMIZED)
    | _sizes("m3", f"{_MEMORY_OPTIMIZED} 48vcpu-384gb", "-intel")
    | _sizes("m6", _MEMORY_OPTIMIZED)
    # Storage-optimized, with one and one and a half times the disk.
    | _sizes("so", _MEMORY_OPTIMIZED)
    | _sizes("so", f"{_MEMORY_OPTIMIZED} 48vcpu-384gb", "-intel")
    | _sizes("so1_5", _MEMORY_OPTIMIZED)
    | _sizes("so1_5", _MEMORY_OPTIMIZED, "-intel")
)

_PREMIUM_DATABASE = "1vcpu-1gb 1vcpu-2gb 2vcpu-4gb 2vcpu-8gb 4vcpu-8gb 4vcpu-16gb 8vcpu-32gb 16vcpu-64gb"

SINGLE_NODE_SIZES = frozenset({"db-s-1vcpu-1gb", "db-intel-1vcpu-1gb", "db-amd-1vcpu-1gb"})
"""Of database nodes: those that have no standby."""

POSTGRES_SIZES = (
    _sizes("db-s", "1vcpu-1gb 1vcpu-2gb 2vcpu-4gb 4vcpu-8gb 6vcpu-16gb")
    | _sizes("db-intel", _PREMIUM_DATABASE)
    | _sizes("db-amd", _PREMIUM_DATABASE)
    | _sizes("gd", _GENERAL_PURPOSE)
    | _sizes("so1_5", _MEMORY_OPTIMIZED)
)
"""With one, two or three nodes; SINGLE_NODE_SIZES with one."""

VALKEY_SIZES = _sizes(
    "db-s", "1vcpu-1gb 1vcpu-2gb 2vcpu-4gb 4vcpu-8gb 6vcpu-16gb 8vcpu-32gb 16vcpu-64gb"
) | _sizes("m", _MEMORY_OPTIMIZED)
"""With one, two or three nodes; SINGLE_NODE_SIZES with one."""

_SPELLED = re.compile(r"-(?P<cpus>\d+)vcpu-(?P<memory>\d+)(?P<unit>gb|mb)(?=-|$)")
# Two GiB for each CPU (release notes of droplets, 18 September 2024: c-60-intel has 60 and 120).
_CPU_OPTIMIZED = re.compile(r"^c-(?P<cpus>\d+)(?=-|$)")


def cpus_and_memory_mib(size: str) -> tuple[int, int] | None:
    """Read virtual CPUs and memory (MiB) out of a size's slug: ``s-2vcpu-4gb``, ``c-2``.

    None where it does not say: a size under `new_sizes` may be spelled in a way that this program has not seen.
    """
    if spelled := _SPELLED.search(size):
        return int(spelled["cpus"]), int(spelled["memory"]) * (1024 if spelled["unit"] == "gb" else 1)
    if optimized := _CPU_OPTIMIZED.match(size):
        return int(optimized["cpus"]), 2048 * int(optimized["cpus"])
    return None
