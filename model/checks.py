"""Rules that a file's shape cannot express, each found at its place; all of them run, whatever the others say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from model.environment import EnvironmentFile
from model.errors import Finding, Findings, did_you_mean, shown
from model.ip_ranges import admin_range_fault, is_documentation_range, vpc_range_faults
from model.layout import check_layout
from model.naming import BOOTSTRAP_STACK
from model.releases import check_releases
from model.services import PLATFORM_HOSTS
from model.sizes import check_nodes
from model.ssh_keys import is_example, key_fault, key_material

# The sections that environments are compared by.
COMPARED = ("environment", "base_domain", "network", "dns")


def check_environment(file: EnvironmentFile, folder: str, findings: Findings) -> None:
    """Check one environment by itself.

    A file whose shape is wrong somewhere is checked as far as it goes: it lacks the sections that are wrong, and a
    rule runs when the sections that it is about are there.
    """
    if has(file, "environment"):
        _check_name(file, folder, findings)
    if has(file, "network", "region"):
        _check_network(file, findings)
    if has(file, "groups"):
        check_layout(file.groups, findings)
    if has(file, "postgres", "valkey"):
        _check_data(file, findings)
    if has(file, "dns"):
        _check_dns(file, findings)
    if has(file, "releases", "settings", "secrets"):
        check_releases(file, findings)


def has(file: EnvironmentFile, *sections: str) -> bool:
    """Tell whether a file, which may be incomplete, has these sections."""
    return all(hasattr(file, section) for section in sections)


def environment_warnings(file: EnvironmentFile) -> Findings:
    """Find what works and is surely not meant: example values that nobody replaced."""
    warnings = Findings()
    for index, cidr in enumerate(file.network.admin_cidrs):
        if is_documentation_range(cidr):
            warnings.add(
                ("network", "admin_cidrs", index),
                f"{cidr} is an example's address; nobody reaches SSH from there",
                "Write your own address before the first deploy.",
            )
    for name, key in file.network.ssh_keys.items():
        if is_example(key):
            warnings.add(
                ("network", "ssh_keys", name),
                "this is an example's key; nobody holds its other half",
                "Paste your own public key before the first deploy.",
            )
    return warnings


def _check_name(file: EnvironmentFile, folder: str, findings: Findings) -> None:
    if file.environment != folder:
        findings.add(
            ("environment",),
            f"{shown(file.environment)} is not the folder's name, {shown(folder)}",
            f"Write `environment: {folder}`, or rename the folder.",
        )
    if file.environment == BOOTSTRAP_STACK:
        findings.add(
            ("environment",),
            f"{shown(file.environment)} is the name of a stack of this project",
            "Choose another name for the folder and the environment.",
        )


def _check_network(file: EnvironmentFile, findings: Findings) -> None:
    for fault in vpc_range_faults(file.network.ip_range, file.region):
        findings.add(
            ("network", "ip_range"),
            fault,
            "Choose a private range from /16 to /28, for example 10.60.0.0/20, clear of the reserved ones.",
        )
    for index, cidr in enumerate(file.network.admin_cidrs):
        if wide := admin_range_fault(cidr):
            findings.add(
                ("network", "admin_cidrs", index),
                wide,
                "List the administrators' own addresses, such as x.x.x.x/32.",
            )
    first_with_key: dict[str, str] = {}
    for name, key in file.network.ssh_keys.items():
        earlier = first_with_key.setdefault(key_material(key), name)
        if earlier != name:
            findings.add(
                ("network", "ssh_keys", name),
                f"this is the key {shown(earlier)} as well",
                "Remove one of the two: an account holds a public key once.",
            )
        if broken := key_fault(key):
            remedy = "Paste the whole line of the .pub file, in quotes, on one line."
            findings.add(("network", "ssh_keys", name), broken, remedy)


def _check_data(file: EnvironmentFile, findings: Findings) -> None:
    clusters = file.postgres.clusters
    for what in ("control_plane", "tenants"):
        name = getattr(file.postgres, what)
        if name not in clusters:
            findings.add(
                ("postgres", what),
                f"there is no cluster {shown(name)}",
                f"{did_you_mean(name, clusters)}Name one of: {', '.join(sorted(clusters))}.",
            )
    for unused in sorted(clusters.keys() - {file.postgres.control_plane, file.postgres.tenants}):
        findings.add(
            ("postgres", "clusters", unused),
            "nothing lives in this cluster",
            "Name it under `control_plane` or `tenants`, or remove it.",
            at_key=True,
        )
    for kind, named in (("clusters", clusters), ("cells", file.postgres.cells)):
        for name, cluster in named.items():
            check_nodes(cluster, ("postgres", kind, name), findings)
    for name in sorted(clusters.keys() & file.postgres.cells.keys()):
        findings.add(
            ("postgres", "cells", name),
            f"there is a cluster {shown(name)} under `clusters` as well",
            "Rename that one, before anything is deployed: two clusters cannot have one name.",
            at_key=True,
        )
    check_nodes(file.valkey, ("valkey",), findings)


def _check_dns(file: EnvironmentFile, findings: Findings) -> None:
    for index, label in enumerate(file.dns.delegations):
        if label in PLATFORM_HOSTS:
            findings.add(
                ("dns", "delegations", index),
                f"{shown(label)} is a name that a service answers to",
                f"Delegate another name, none of: {', '.join(sorted(PLATFORM_HOSTS))}.",
            )
        if label in file.dns.delegations[:index]:
            findings.add(
                ("dns", "delegations", index), f"{shown(label)} stands here twice", "Remove one of the two."
            )


@dataclass(frozen=True)
class CrossFinding:
    """A finding that concerns two environments, reported in the file of one of them."""

    environment: str
    finding: Finding


def cross_findings(files: Sequence[EnvironmentFile]) -> Iterator[CrossFinding]:
    """Find what environments share although they must share nothing; in name order, the later one is told."""
    ordered = sorted(files, key=lambda file: file.environment)
    for index, later in enumerate(ordered):
        for earlier in ordered[:index]:
            for finding in _shared(earlier, later):
                yield CrossFinding(later.environment, finding)
        above = [file for file in ordered if later.base_domain.endswith(f".{file.base_domain}")]
        if above:
            yield from _undelegated(parent=max(above, key=lambda file: len(file.base_domain)), child=later)


def _shared(earlier: EnvironmentFile, later: EnvironmentFile) -> Iterator[Finding]:
    # Names are `{environment}-{what}`: droplets of one would carry tags that firewalls of the other trust.
    if later.environment.startswith(f"{earlier.environment}-"):
        yield Finding(
            ("environment",),
            f"{shown(later.environment)} begins with the name of {earlier.environment} and a hyphen, so that names "
            "and tags of the two could be the same",
            "Choose a name that does not.",
        )
    if earlier.network.ip_range.overlaps(later.network.ip_range):
        yield Finding(
            ("network", "ip_range"),
            f"{later.network.ip_range} overlaps {earlier.network.ip_range} of {earlier.environment}",
            "Choose a range of its own: DigitalOcean allows no overlap within an account.",
        )
    if earlier.base_domain == later.base_domain:
        yield Finding(
            ("base_domain",),
            f"{later.base_domain} is the base domain of {earlier.environment} as well",
            "Give each environment a domain of its own.",
        )
    taken: Mapping[str, str] = {key_material(key): name for name, key in earlier.network.ssh_keys.items()}
    for name, key in later.network.ssh_keys.items():
        if key_material(key) in taken:
            yield Finding(
                ("network", "ssh_keys", name),
                f"this is the key {taken[key_material(key)]!r} of {earlier.environment} as well",
                "Use a key of its own: an account holds a public key once, and environments share nothing.",
            )


def _undelegated(*, parent: EnvironmentFile, child: EnvironmentFile) -> Iterator[CrossFinding]:
    """A zone below another one is found only through NS records in the nearest zone above."""
    label = child.base_domain.removesuffix(f".{parent.base_domain}").rsplit(".", maxsplit=1)[-1]
    if label not in parent.dns.delegations:
        yield CrossFinding(
            parent.environment,
            Finding(
                ("dns", "delegations"),
                f"{child.base_domain} of {child.environment} lies below {parent.base_domain} and is not delegated",
                f"Add {shown(label)} to `dns.delegations`.",
            ),
        )
