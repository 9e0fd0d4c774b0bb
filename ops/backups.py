"""Dumps of an environment: how they are, another one at once, and the copy that no droplet reaches."""

import json
import secrets
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from model.backup_status import (
    INDEX,
    STATUS_KEY,
    DumpName,
    DumpsStatus,
    dump_name,
    parse_index,
    parse_status,
)
from model.backups import DAYS, DUMPS, MONTHS, REQUESTS, WEEKS, BackupsPlan
from model.contract import ContractError
from model.naming import CONTROL_PLANE_DATABASE, tenant_database, tenant_of_database
from model.plan import EnvironmentPlan
from model.tenancy import Tier
from model.tenant_plane import TenantPlan
from ops.bucket import Bucket
from ops.errors import OperationError, UsageError

OLD = timedelta(hours=36)
"""A night and a half: if the newest dump is older, the nights go by without any (model/alerts/data.py warns before)."""

COPIERS = 4

_MONTH, _WEEK = "%Y-%m", "%G-%V"


@dataclass(frozen=True)
class Backups:
    """The dumps of an environment.

    Attributes:
        environment: its name.
        plan: what its file says of dumps.
        slugs: by database, what people call the church; of each generation of a church's database.
        served: by slug and by id, the church's databases: the one that is served, and those before it, newest first.
        clusters: by slug and by id, the cluster that serves the church, as dumps name it.
        first: the bucket that the control group writes.
        second: the bucket that no droplet has a key for.
    """

    environment: str
    plan: BackupsPlan
    slugs: Mapping[str, str]
    served: Mapping[str, Sequence[str]]
    clusters: Mapping[str, str]
    first: Bucket
    second: Bucket

    @classmethod
    def of(cls, plan: EnvironmentPlan, environ: Mapping[str, str]) -> Self:
        """Return an environment's.

        Raises:
            UsageError: its file asks for no dumps, or there is no key.
        """
        wanted = plan.backups
        if wanted is None:
            raise UsageError([f"{plan.name}: environment.yaml has no `backups:` (docs/backups.md)"])
        return cls(
            environment=plan.name,
            plan=wanted,
            slugs={
                tenant_database(tenant.id, number): _called(tenant, number)
                for tenant in plan.tenants
                for number in tenant.database.there
            },
            served={
                name: [
                    tenant_database(tenant.id, number)
                    for number in range(tenant.database.current, 0, -1)
                    if number not in tenant.database.abandoned
                ]
                for tenant in plan.tenants
                for name in (tenant.slug, tenant.id)
            },
            clusters={CONTROL_PLANE_DATABASE: plan.control_plane.cluster}
            | {
                name: tenant.id if tenant.tier is Tier.DEDICATED else plane.cluster
                for plane in plan.tenant_planes
                for tenant in plane.tenants
                for name in (tenant.slug, tenant.id)
            },
            first=Bucket.of(environ, wanted.region, wanted.bucket),
            second=Bucket.of(environ, wanted.copy_region, wanted.copy_bucket),
        )

    def name(self, database: str) -> str:
        """Return what people call a database: the church's slug."""
        return self.slugs.get(database, database)

    def database(self, wanted: str) -> str:
        """Return the database of a church, by slug or id, or of the control plane.

        Raises:
            UsageError: there is none.
        """
        return self.databases(wanted)[0]

    def databases(self, wanted: str) -> Sequence[str]:
        """Return the database of a church that is served, and those that were before it.

        Raises:
            UsageError: there is no such church.
        """
        if wanted == CONTROL_PLANE_DATABASE:
            return [wanted]
        if wanted not in self.served:
            raise UsageError([f"there is no church {wanted!r} in {self.environment}"])
        return self.served[wanted]

    def home(self, database: str) -> str | None:
        """Return the cluster that serves a database's church; None where nobody knows the church."""
        return self.clusters.get(tenant_of_database(database) or database)

    def status(self) -> DumpsStatus | None:
        """Return what the control group said last; None if it said nothing yet.

        Raises:
            OperationError: it cannot be read.
        """
        content = self.first.read(STATUS_KEY)
        try:
            return None if content is None else parse_status(content)
        except ContractError as error:
            raise OperationError(f"{self.first.name}: {error}") from None

    def ask(self, databases: Sequence[str], at: datetime) -> None:
        """Ask the control group for dumps at once; of every database if none is named.

        Raises:
            OperationError: the request was not written.
        """
        request = {"time": f"{at:%Y-%m-%dT%H:%M:%SZ}", "databases": sorted(databases)}
        key = f"{REQUESTS}/{at:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}.json"
        self.first.write(key, json.dumps(request).encode())

    def dumps(self) -> dict[DumpName, str]:
        """Return the dumps of the first bucket, with the folder of each."""
        return list_dumps(self.first, (DUMPS,))

    def copies(self) -> dict[DumpName, str]:
        """Return the dumps of the second bucket, with the folder of each."""
        return list_dumps(self.second, self.plan.copy_days)


@dataclass
class Copied:
    """What a copy came to.

    Attributes:
        new: dumps that were copied, with the folder that each is in.
        failed: what was wrong with others, by dump.
        old: databases whose newest dump is too old, with when it was made.
        never: databases that have no dump at all.
    """

    new: dict[DumpName, str] = field(default_factory=dict)
    failed: dict[DumpName, str] = field(default_factory=dict)
    old: dict[str, datetime] = field(default_factory=dict)
    never: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything that is to be there is."""
        return not self.failed and not self.old


def copy(backups: Backups, now: datetime, say: Callable[[str], None]) -> Copied:
    """Copy new dumps into the second bucket, and check each before it counts there.

    A copy that is there is never written again: what somebody does to the first bucket does not reach it.

    Raises:
        OperationError: a bucket cannot be listed.
    """
    there = backups.copies()
    here = list_dumps(backups.first, (DUMPS,))
    result = Copied()
    new = sorted(name for name in here if name not in there)
    chosen: dict[DumpName, str] = {}
    for name in new:
        chosen[name] = folder_for({**there, **chosen}, name, backups.plan.copy_days)

    def one(name: DumpName) -> str | None:
        try:
            _copy_one(backups, name, chosen[name])
        except (OperationError, ContractError) as error:
            return str(error)
        return None

    with ThreadPoolExecutor(COPIERS) as pool:
        for name, wrong in zip(new, pool.map(one, new), strict=True):
            if wrong is None:
                result.new[name] = chosen[name]
            else:
                result.failed[name] = wrong
                say(f"{backups.name(name.database)}, {name.at:%Y-%m-%d %H:%M} UTC: {wrong}")
    result.old, result.never = behind(backups, (*there, *result.new), now)
    return result


def behind(
    backups: Backups, copied: Iterable[DumpName], now: datetime
) -> tuple[dict[str, datetime], list[str]]:
    """Return the databases whose newest copy is too old, with when its dump was made, and those without any."""
    newest: dict[str, datetime] = {}
    for name in copied:
        # A copy in another cluster, before or after a move, is dumped as well: it says nothing of what is served.
        if name.cluster != backups.home(name.database):
            continue
        newest[name.database] = max(name.at, newest.get(name.database, name.at))
    wanted = (CONTROL_PLANE_DATABASE, *backups.slugs)
    old = {one: newest[one] for one in wanted if one in newest and now - newest[one] > OLD}
    return old, [one for one in wanted if one not in newest]


def _called(tenant: TenantPlan, generation: int) -> str:
    """Return what people call a generation of a church's database: of the one that is served, the church's slug."""
    return (
        tenant.slug if generation == tenant.database.current else f"{tenant.slug} (generation {generation})"
    )


def fetch(
    backups: Backups, wanted: DumpName, into: Path, *, first: bool = False, only: frozenset[str] = frozenset()
) -> None:
    """Fetch a dump from the second bucket into a folder, and check it; with ``first`` from the first bucket.

    Args:
        backups: where it is.
        wanted: which.
        into: the folder.
        first: whether it comes from the first bucket.
        only: the names of some of its objects; all where none is named.

    Raises:
        OperationError: it is not there, or not what its index says.
    """
    bucket = backups.first if first else backups.second
    folder = DUMPS if first else backups.copies().get(wanted)
    content = folder and bucket.read(f"{folder}/{wanted.folder}/{INDEX}")
    if not content:
        raise OperationError(f"{bucket.name} has no dump {wanted.folder}")
    into.mkdir(parents=True, exist_ok=True)
    try:
        for key, listed in parse_index(content, wanted).items():
            if only and key not in only:
                continue
            found = bucket.fetch(f"{folder}/{wanted.folder}/{key}", into / key)
            if found != (listed.bytes, listed.sha256):
                raise OperationError(f"{wanted.folder}/{key} is not what its index says: it is damaged")
    except ContractError as error:
        raise OperationError(f"{bucket.name}: {wanted.folder}: {error}") from None
    (into / INDEX).write_bytes(content)


def _copy_one(backups: Backups, name: DumpName, folder: str) -> None:
    source, target = f"{DUMPS}/{name.folder}", f"{folder}/{name.folder}"
    index = backups.first.read(f"{source}/{INDEX}")
    if index is None:
        raise OperationError("it is gone")
    for key, listed in parse_index(index, name).items():
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "object"
            found = backups.first.fetch(f"{source}/{key}", file)
            if found != (listed.bytes, listed.sha256):
                raise OperationError(f"{key} is not what its index says: {found[0]} bytes of {listed.bytes}")
            backups.second.put(file, f"{target}/{key}")
        if backups.second.fetch(f"{target}/{key}") != found:
            raise OperationError(f"{key} did not arrive as it was sent")
    # Last: without it, the copy does not exist, and the next run makes it again.
    backups.second.write(f"{target}/{INDEX}", index)


def folder_for(there: Mapping[DumpName, str], name: DumpName, kept: Mapping[str, int]) -> str:
    """Return the folder for a dump: the first of a month, of a week, or one of many."""
    own = {
        (folder, known.at.strftime(_MONTH), known.at.strftime(_WEEK))
        for known, folder in there.items()
        if (known.database, known.cluster) == (name.database, name.cluster)
    }
    month, week = name.at.strftime(_MONTH), name.at.strftime(_WEEK)
    if MONTHS in kept and not any(folder == MONTHS and of == month for folder, of, _ in own):
        return MONTHS
    if WEEKS in kept and not any(folder in {MONTHS, WEEKS} and of == week for folder, _, of in own):
        return WEEKS
    return DAYS


def list_dumps(bucket: Bucket, folders: Sequence[str] | Mapping[str, int]) -> dict[DumpName, str]:
    """Return the dumps of a bucket that have an index, with the folder of each.

    Raises:
        OperationError: the bucket cannot be listed.
    """
    found: dict[DumpName, str] = {}
    for folder in folders:
        prefix, end = f"{folder}/", f"/{INDEX}"
        for key in bucket.keys(prefix):
            name = dump_name(key.removeprefix(prefix).removesuffix(end)) if key.endswith(end) else None
            if name:
                found[name] = folder
    return found
