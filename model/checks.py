"""Rules that a file's shape cannot express. All of them run, and each finding names its place in the file."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from model import public_suffixes
from model.backups import check_backups
from model.environment import EnvironmentFile, observes
from model.errors import Finding, Findings, did_you_mean, shown
from model.ip_ranges import admin_range_fault, is_documentation_range, vpc_range_faults
from model.layout import check_layout
from model.migrations import warn_without_migrations
from model.naming import BOOTSTRAP_STACK, is_disposable
from model.observability import check_observability, observability_mib, warn_of_examples
from model.releases import check_registry, check_releases
from model.scheduled_jobs import check_scheduled_jobs
from model.services import PLATFORM_HOSTS
from model.sizes import check_cluster, check_group
from model.ssh_keys import is_example, key_fault, key_material, weakness

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
    if has(file, "base_domain"):
        _check_base_domain(file.base_domain, findings)
    if has(file, "groups"):
        check_layout(file.groups, findings, observes(file) if has(file, "observability") else None)
    if has(file, "groups", "new_sizes"):
        _check_sizes(file, findings)
    if has(file, "groups", "observability"):
        check_observability(file, findings)
    if has(file, "postgres", "valkey", "new_sizes"):
        _check_data(file, findings)
    if has(file, "dns"):
        _check_dns(file, findings)
    if has(file, "releases", "settings", "secrets"):
        check_releases(file, findings)
    check_scheduled_jobs(file, findings)
    check_backups(file, findings)
    if has(file, "environment", "registry"):
        check_registry(file, findings)


def _check_sizes(file: EnvironmentFile, findings: Findings) -> None:
    for name, group in file.groups.items():
        observing = has(file, "observability") and observes(file) == name
        more = observability_mib(file.observability) if observing else 0
        check_group(name, group, file.new_sizes, findings, more_mib=more)


def has(file: EnvironmentFile, *sections: str) -> bool:
    """Tell whether a file, which may be incomplete, has these sections."""
    return all(hasattr(file, section) for section in sections)


def environment_warnings(file: EnvironmentFile) -> Findings:
    """Find what is valid and most likely a mistake: example values that were not replaced."""
    warnings = Findings()
    for index, cidr in enumerate(file.network.admin_cidrs):
        if is_documentation_range(cidr):
            warnings.add(
                ("network", "admin_cidrs", index),
                f"{cidr} is an example address, so nobody can reach SSH",
                "Replace it with your own address before the first deploy.",
            )
    if public_suffixes.is_example(file.base_domain):
        warnings.add(
            ("base_domain",),
            f"{file.base_domain} is an example: nobody can register it, and no certificate is issued for it",
            "Replace it with your own domain before the first deploy.",
        )
    if file.observability:
        warn_of_examples(file.observability, warnings)
    for name, key in file.network.ssh_keys.items():
        if is_example(key):
            warnings.add(
                ("network", "ssh_keys", name),
                "this is an example key: nobody has its private half",
                "Paste your own public key before the first deploy.",
            )
    warn_without_migrations(file, warnings)
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
            f"{shown(file.environment)} is reserved: a stack of this program has that name",
            "Choose another name for the folder and the environment.",
        )
    if is_disposable(file.environment):
        findings.add(
            ("environment",),
            f"{shown(file.environment)} ends like the stack of a restore drill, which is destroyed when the drill ends",
            "Choose another name for the folder and the environment.",
        )


def _check_base_domain(domain: str, findings: Findings) -> None:
    path = ("base_domain",)
    remedy = "Write a domain that your organization has registered, or a name below one."
    if public_suffixes.is_example(domain):
        return  # It is warned about.
    if not public_suffixes.has_registry(domain):
        findings.add(path, f"there is no top-level domain {shown(domain.rpartition('.')[2])}", remedy)
    elif public_suffixes.is_public_suffix(domain):
        findings.add(
            path, f"{domain} is a public suffix: strangers register their own names directly below it", remedy
        )


def _check_network(file: EnvironmentFile, findings: Findings) -> None:
    for fault in vpc_range_faults(file.network.ip_range, file.region):
        findings.add(
            ("network", "ip_range"),
            fault,
            "Choose a private range between /16 and /28 that overlaps no reserved range, for example 10.60.0.0/20.",
        )
    for index, cidr in enumerate(file.network.admin_cidrs):
        if wrong := admin_range_fault(cidr):
            findings.add(
                ("network", "admin_cidrs", index),
                wrong,
                "List the administrators' own public addresses, such as x.x.x.x/32.",
            )
        for wider in file.network.admin_cidrs[:index]:
            if wider.version == cidr.version and wider.supernet_of(cidr):  # type: ignore[arg-type]
                findings.add(
                    ("network", "admin_cidrs", index),
                    f"{cidr} is listed twice"
                    if wider == cidr
                    else f"{cidr} lies in {wider}, which is listed too",
                    "Remove one of the two.",
                )
    first_with_key: dict[str, str] = {}
    for name, key in file.network.ssh_keys.items():
        earlier = first_with_key.setdefault(key_material(key), name)
        if earlier != name:
            findings.add(
                ("network", "ssh_keys", name),
                f"this is the same key as {shown(earlier)}",
                "Remove one of the two: DigitalOcean accepts a public key only once per account.",
            )
        if broken := key_fault(key):
            remedy = "Paste the whole line of the .pub file, in quotes, on one line."
            findings.add(("network", "ssh_keys", name), broken, remedy)
        elif weak := weakness(key):
            remedy = "Make a new one: ssh-keygen -t ed25519. Then paste the line of its .pub file."
            findings.add(("network", "ssh_keys", name), weak, remedy)


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
            "nothing uses this cluster",
            "Use it in `control_plane` or `tenants`, or remove it.",
            at_key=True,
        )
    for kind, named in (("clusters", clusters), ("cells", file.postgres.cells)):
        for name, cluster in named.items():
            check_cluster(cluster, ("postgres", kind, name), file.new_sizes, findings)
    for name in sorted(clusters.keys() & file.postgres.cells.keys()):
        findings.add(
            ("postgres", "cells", name),
            f"`clusters` already has a cluster {shown(name)}",
            "Rename one of the two before anything is deployed: two clusters cannot have the same name.",
            at_key=True,
        )
    check_cluster(file.valkey, ("valkey",), file.new_sizes, findings)


def _check_dns(file: EnvironmentFile, findings: Findings) -> None:
    for index, label in enumerate(file.dns.delegations):
        if label in PLATFORM_HOSTS:
            findings.add(
                ("dns", "delegations", index),
                f"{shown(label)} is the host name of a service",
                f"Delegate another name. Taken: {', '.join(sorted(PLATFORM_HOSTS))}.",
            )
        if label in file.dns.delegations[:index]:
            findings.add(
                ("dns", "delegations", index), f"{shown(label)} is listed twice", "Remove one of the two."
            )


@dataclass(frozen=True)
class CrossFinding:
    """A finding that concerns two environments, reported in the file of one of them."""

    environment: str
    finding: Finding


def cross_findings(
    files: Sequence[EnvironmentFile], deployed: Collection[str] = ()
) -> Iterator[CrossFinding]:
    """Find what environments share although they must share nothing.

    Of two environments the new one gets the finding, because its names can still be changed.

    Args:
        files: the environments.
        deployed: the names of those that are not new. Where both are, or neither is, the later name gets it.
    """
    ordered = sorted(files, key=lambda file: (file.environment not in deployed, file.environment))
    for index, newer in enumerate(ordered):
        for older in ordered[:index]:
            for finding in _shared(older, newer):
                yield CrossFinding(newer.environment, finding)
    for file in ordered:
        above = [other for other in ordered if file.base_domain.endswith(f".{other.base_domain}")]
        if above:
            yield from _undelegated(parent=max(above, key=lambda other: len(other.base_domain)), child=file)


def delegation_findings(files: Sequence[EnvironmentFile]) -> Iterator[CrossFinding]:
    """Find delegations to zones that no environment holds; all environments' files are right.

    A delegation names DigitalOcean's name servers, which serve any account's zones: a zone that is not ours
    yet is anybody's to make, and with it the name.
    """
    held = {file.base_domain for file in files}
    for file in files:
        for index, label in enumerate(file.dns.delegations):
            zone = f"{label}.{file.base_domain}"
            if not any(f".{domain}".endswith(f".{zone}") for domain in held):
                yield CrossFinding(
                    file.environment,
                    Finding(
                        ("dns", "delegations", index),
                        f"no environment has the zone {zone}, so that anybody with a DigitalOcean account could "
                        f"take it",
                        "Remove it, and add it together with the environment whose `base_domain` it is.",
                    ),
                )


def _shared(older: EnvironmentFile, newer: EnvironmentFile) -> Iterator[Finding]:
    """Find what the newer of two environments may not have."""
    # Names are `{environment}-{what}`: droplets of one would carry tags that firewalls of the other trust.
    first, second = sorted((older.environment, newer.environment), key=len)
    if second.startswith(f"{first}-"):
        yield Finding(
            ("environment",),
            f"{shown(second)} begins with {shown(first)} and a hyphen, so that names and tags of the two environments "
            "could be the same",
            f"Choose another name for {newer.environment}.",
        )
    if older.network.ip_range.overlaps(newer.network.ip_range):
        yield Finding(
            ("network", "ip_range"),
            f"{newer.network.ip_range} overlaps {older.network.ip_range} of {older.environment}",
            "Choose a range that no other environment uses: DigitalOcean allows no overlap within an account.",
        )
    if older.base_domain == newer.base_domain:
        yield Finding(
            ("base_domain",),
            f"{newer.base_domain} is already the base domain of {older.environment}",
            "Give each environment its own domain.",
        )
    taken: Mapping[str, str] = {key_material(key): name for name, key in older.network.ssh_keys.items()}
    for name, key in newer.network.ssh_keys.items():
        if key_material(key) in taken:
            yield Finding(
                ("network", "ssh_keys", name),
                f"{older.environment} already uses this key, as {taken[key_material(key)]!r}",
                "Use another key: DigitalOcean accepts a public key only once per account, and environments "
                "share nothing.",
            )


def _undelegated(*, parent: EnvironmentFile, child: EnvironmentFile) -> Iterator[CrossFinding]:
    """A zone below another one is found only through NS records in the nearest zone above."""
    label = child.base_domain.removesuffix(f".{parent.base_domain}").rsplit(".", maxsplit=1)[-1]
    if label not in parent.dns.delegations:
        yield CrossFinding(
            parent.environment,
            Finding(
                ("dns", "delegations"),
                f"{child.base_domain} of {child.environment} is below {parent.base_domain} and is not delegated",
                f"Add {shown(label)} to `dns.delegations`.",
            ),
        )
