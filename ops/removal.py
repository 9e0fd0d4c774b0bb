"""What is left of a church that was removed, until when, and its erasure before that."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from model import naming
from model.backups import DUMPS, NONCURRENT_DAYS
from model.errors import did_you_mean
from model.known_tenants import LOCK_FILE
from model.loader import TENANTS_FILE, Environment
from model.plan import EnvironmentPlan
from ops.bucket import Bucket
from ops.errors import OperationError, UsageError
from ops.git import git

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

CLUSTER_BACKUP_DAYS = 7
"""DigitalOcean documentation, "PostgreSQL: Backups": daily, kept for 7 days."""

# constructs_lib/object_storage.py, NONCURRENT_DAYS; tests/ops/command/test_removal.py compares the two.
EXPORTS_NONCURRENT_DAYS = 7

QUEUES_SCRIPT = (
    "import os,ssl,sys,redis;"
    "r=redis.Redis.from_url(os.environ['VALKEY_URL'],ssl_exclude_verify_flags=[ssl.VERIFY_X509_STRICT]);"
    "k=[x for x in r.scan_iter(match=sys.argv[1]+'*',count=1000)];"
    "print(sum(r.unlink(x) for x in k),'keys')"
)
"""Deletes every key of a church in Valkey. It runs in the worker's image: only droplets reach Valkey."""


@dataclass(frozen=True)
class Rest:
    """What one place still has of a church.

    Attributes:
        what: in words.
        place: bucket and prefix.
        objects: how many versions.
        until: when the last of them is gone by itself; None: nothing is left, or it stays.
        stays: whether something stays until Terraform deletes it: at the deploy that removes the church's entry.
    """

    what: str
    place: str
    objects: int
    until: datetime | None
    stays: bool = False


@dataclass(frozen=True)
class _Place:
    what: str
    bucket: Bucket
    prefix: str
    days: int
    """After its last version was written, or after it was deleted, nothing is left of an object."""
    expires: bool = True
    """Whether what is current there is deleted by itself too; if not, Terraform deletes it."""

    def rest(self) -> Rest:
        place, found = f"{self.bucket.name}/{self.prefix}", list(self.bucket.versions(self.prefix))
        if not self.expires and any(one.current and not one.deleted for one in found):
            return Rest(self.what, place, len(found), None, stays=True)
        until = max((one.at for one in found), default=None)
        return Rest(self.what, place, len(found), until and until + timedelta(days=self.days))


@dataclass(frozen=True)
class Removal:
    """A church that leaves, by its id.

    Attributes:
        environment: its environment's name.
        tenant_id: the church's id.
        slug: what people call it; None where its entry is gone.
        queue_prefix: what its keys in Valkey begin with.
        places: where its objects are.
    """

    environment: str
    tenant_id: str
    slug: str | None
    queue_prefix: str
    places: Sequence[_Place]

    @classmethod
    def of(cls, loaded: Environment, plan: EnvironmentPlan, wanted: str, environ: Mapping[str, str]) -> Self:
        """Return a church by slug or id; one whose entry is gone by its id.

        Raises:
            UsageError: it is neither.
            OperationError: there is no key.
        """
        found = next((one for one in loaded.tenants if wanted in {one.slug, one.id}), None)
        if found is None and not _ID.fullmatch(wanted):
            raise UsageError(
                [
                    f"there is no church {wanted!r} in {plan.name}; of one that was removed write the id, which "
                    "`git log -p -- environments` still has"
                ]
            )
        tenant_id = found.id if found else wanted
        return cls(
            environment=plan.name,
            tenant_id=tenant_id,
            slug=found.slug if found else None,
            queue_prefix=naming.queue_prefix(tenant_id, found.queue_prefix if found else None),
            places=tuple(_places(plan, tenant_id, environ)),
        )

    def rests(self) -> list[Rest]:
        """Return what every place has.

        Raises:
            OperationError: a bucket cannot be listed.
        """
        return [one.rest() for one in self.places]

    def check_known(self, root: Path) -> None:
        """Check that there was a church of this id: of one that is mistyped, nothing is ever left.

        Args:
            root: the folder of the environments, whose git history has the ids of churches that were removed.

        Raises:
            UsageError: neither git nor a bucket knows it.
            OperationError: a bucket cannot be listed.
        """
        if self.slug is not None:
            return
        try:
            known, why = _ids_of_history(root, self.environment), ""
            if git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
                why = "This clone has not the whole history: `git fetch --unshallow`. "
        except OperationError:
            known, why = set(), f"Git was not asked: {root} is in no repository. "
        if self.tenant_id in known or any(one.objects for one in self.rests()):
            return
        raise UsageError(
            [
                f"no church of {self.environment} ever had the id {self.tenant_id}: neither the history of "
                f"{TENANTS_FILE} and {LOCK_FILE} nor any bucket knows it. {why}{did_you_mean(self.tenant_id, known)}"
                f"`git log -p -- environments/{self.environment}` has the ids of all that were removed"
            ]
        )

    def erase(self, say: Callable[[str], None]) -> int:
        """Delete every version of everything that buckets have; return how many.

        Raises:
            UsageError: the church's entry is still there.
            OperationError: something was not deleted.
        """
        if self.slug is not None:
            raise UsageError(
                [
                    f"{self.slug} is still in tenants.yaml: nothing of a church is erased before it is removed "
                    f"(presence360 tenant retire {self.environment} {self.slug}, a deploy, presence360 tenant remove "
                    f"{self.environment} {self.slug}, and a deploy)"
                ]
            )
        total = 0
        for one in self.places:
            count = one.bucket.erase(one.prefix)
            total += count
            say(f"{one.what}: {count} versions were deleted from {one.bucket.name}/{one.prefix}")
        if left := [rest for rest in self.rests() if rest.objects]:
            raise OperationError(
                f"{left[0].place} has {left[0].objects} objects again: somebody writes there"
            )
        return total

    @property
    def queues_command(self) -> list[str]:
        """How its keys in Valkey are deleted."""
        return ["python", "-c", QUEUES_SCRIPT, self.queue_prefix]


def _ids_of_history(root: Path, environment: str) -> set[str]:
    """Return the ids of all churches that an environment's files had in any commit.

    Raises:
        OperationError: the folder is in no repository.
    """
    files = [f"{environment}/{name}" for name in (TENANTS_FILE, LOCK_FILE)]
    return {
        found.group()
        for line in git(root, "log", "-p", "-U0", "--format=", "--no-renames", "--", *files).splitlines()
        if line.startswith("+")
        for found in _ID.finditer(line)
    }


def _places(plan: EnvironmentPlan, tenant_id: str, environ: Mapping[str, str]) -> Iterator[_Place]:
    region, exports = plan.network.region, plan.data.exports
    bucket = Bucket.of(environ, region, exports.name)
    for prefix, days in sorted(exports.ttl_days.items()):
        # docs/examples/church_files.py: what a service stores begins with the church's id below the prefix.
        yield _Place(prefix.rstrip("/"), bucket, f"{prefix}{tenant_id}/", days + EXPORTS_NONCURRENT_DAYS)
    credentials, directory = plan.tenant_plane.credentials, plan.control_plane.directory
    yield _Place(
        "credentials",
        Bucket.of(environ, region, credentials.name),
        naming.credentials_key(tenant_id),
        credentials.noncurrent_days,
        expires=False,
    )
    yield _Place(
        "directory",
        Bucket.of(environ, region, directory.name),
        naming.directory_key(tenant_id),
        directory.noncurrent_days,
        expires=False,
    )
    if (dumped := plan.backups) is None:
        return
    # Without a slash: of every generation of the database.
    database = naming.tenant_database(tenant_id)
    yield _Place(
        "dumps",
        Bucket.of(environ, dumped.region, dumped.bucket),
        f"{DUMPS}/{database}",
        dumped.keep_days + NONCURRENT_DAYS,
    )
    second = Bucket.of(environ, dumped.copy_region, dumped.copy_bucket)
    for folder, days in dumped.copy_days.items():
        yield _Place(f"copied dumps, {folder}", second, f"{folder}/{database}", days + NONCURRENT_DAYS)
