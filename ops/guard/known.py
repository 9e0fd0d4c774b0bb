"""What is known of tenants besides the plans' changes: the operators' files, the lock of the base, the outputs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from model.errors import InvalidInputError
from model.generations import ONE_GENERATION, Database
from model.known_tenants import LOCK_FILE, KnownTenant, parse_lock
from model.naming import DRILL
from model.tenancy import Status
from model.tenants import Tenant
from ops.arguments import told
from ops.plan_json import Plan, UnusablePlanError

# model/environment.py, CELL_PATTERN: the environment's own stack is its first cell.
_CELL = re.compile(r"-cell-\d+$")


@dataclass(frozen=True)
class Entry:
    """What the guard needs of a tenant's entry in `tenants.yaml`.

    Attributes:
        slug: its host name.
        name: the church's name.
        status: active, suspended or retired.
        tier: shared or dedicated.
        shared_copy: whether the database that it left in the shared cluster is `kept` or `retired`; empty otherwise.
        has_cluster: whether it has, or is to have, a cluster of its own.
        database: the generations of its database.
    """

    slug: str
    name: str
    status: str = "active"
    tier: str = "shared"
    shared_copy: str = ""
    has_cluster: bool = False
    database: Database = ONE_GENERATION


@dataclass(frozen=True)
class LockFile:
    """A tenants.lock of what is deployed.

    Attributes:
        environment: whose tenants it lists.
        text: its content.
        source: what messages call it.
    """

    environment: str
    text: str
    source: str

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file that is called `<environment>/tenants.lock` or `<environment>.lock`.

        Raises:
            UnusablePlanError: it cannot be read.
        """
        environment = file.parent.name if file.name == LOCK_FILE else file.stem
        try:
            return cls(environment, file.read_text(encoding="utf-8"), str(file))
        except (OSError, UnicodeDecodeError):
            raise UnusablePlanError([f"{told(file)}: cannot be read\n    Name a {LOCK_FILE}."]) from None


Exists = Mapping[str, Sequence[str]]
"""By stack, in words what exists at DigitalOcean under the names that a plan would make."""


@dataclass(frozen=True)
class Known:
    """All that is known of tenants.

    Attributes:
        files: by environment, its entries by id; None if the files were not given or are not valid.
        locks: by environment, each known tenant; the environment is what the lock's path says.
        outputs: by stack, slug and name by id, from the plans themselves.
        here: by environment, the tenants that the operators' files have a lock line of.
        exists: by stack, what DigitalOcean has under the names of a plan that makes everything; a stack that is
            missing here was not asked about.
    """

    files: Mapping[str, Mapping[str, Entry]] | None = None
    locks: Mapping[str, Mapping[str, KnownTenant]] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, tuple[str, str]]] = field(default_factory=dict)
    here: Mapping[str, frozenset[str]] = field(default_factory=dict)
    exists: Exists = field(default_factory=dict)

    def entries(self, stack: str) -> Mapping[str, Entry] | None:
        """Return the entries of a stack's environment; those of all environments if it is not among them."""
        if self.files is None:
            return None
        if (own := self.files.get(environment_of(stack))) is not None:
            return own
        return {tenant: entry for entries in self.files.values() for tenant, entry in entries.items()}

    def lock(self, stack: str) -> Mapping[str, KnownTenant] | None:
        """Return what the base knew of the tenants of a stack; None if no lock file was given.

        If no lock belongs to its environment, all locks count: a lock under another name must not switch the check
        off. A tenant that is retired in one lock and not in another is not retired.
        """
        if (own := self.locks.get(environment_of(stack))) is not None:
            return own
        merged: dict[str, KnownTenant] = {}
        for lines in self.locks.values():
            for tenant, line in lines.items():
                if tenant not in merged or merged[tenant].status == Status.RETIRED:
                    merged[tenant] = line
        return merged if self.locks else None

    def label(self, stack: str, tenant: str) -> tuple[str, str]:
        """Return slug and name; empty if they are not known."""
        if entry := (self.entries(stack) or {}).get(tenant):
            return entry.slug, entry.name
        own = self.outputs.get(stack, {})
        for outputs in (own, *self.outputs.values()):
            if tenant in outputs:
                return outputs[tenant]
        return "", ""


def know(
    plans: Sequence[Plan], environments: Path | None, locks: Iterable[LockFile], exists: Exists | None = None
) -> Known:
    """Gather what is known.

    Raises:
        UnusablePlanError: the operators' files are not valid, or a lock file is none. Without
            them a comparison is missing, which must not pass as agreement.
    """
    files = _files(environments)
    outputs = {
        plan.stack: {
            tenant: (said["slug"], said["name"])
            for tenants in (plan.tenants_before, plan.tenants_after)
            for tenant, said in tenants.items()
        }
        for plan in plans
    }
    return Known(files, _locks(locks), outputs, _here(environments), exists or {})


def environment_of(stack: str) -> str:
    """Return the environment of a stack: `staging-cell-2` and `staging-restore-drill` are staging's."""
    return _CELL.sub("", stack).removesuffix(f"-{DRILL}")


def _files(folder: Path | None) -> dict[str, dict[str, Entry]] | None:
    if folder is None:
        return None
    from model.loader import load_environments  # noqa: PLC0415 (loads pydantic, which the rest does not need)

    try:
        loaded = load_environments(folder)
    except InvalidInputError as error:
        raise UnusablePlanError(
            [
                f"{told(folder)}: the operators' files are not valid ({len(error.problems)} problems)\n"
                "    `make synth` lists them."
            ]
        ) from None
    return {
        environment.file.environment: {tenant.id: _entry(tenant) for tenant in environment.tenants}
        for environment in loaded
    }


def _here(folder: Path | None) -> dict[str, frozenset[str]]:
    """Return whom the locks beside the operators' files know; the files were loaded, so the locks can be read."""
    files = [] if folder is None else sorted(folder.glob(f"*/{LOCK_FILE}"))
    return {
        file.parent.name: frozenset(parse_lock(file.read_text("utf-8"), str(file), file.parent.name)[0])
        for file in files
    }


def _entry(tenant: Tenant) -> Entry:
    return Entry(
        slug=tenant.slug,
        name=tenant.name,
        status=tenant.status,
        tier=tenant.tier,
        shared_copy=tenant.shared_copy or "",
        has_cluster=tenant.dedicated is not None,
        database=tenant.database,
    )


def _locks(files: Iterable[LockFile]) -> dict[str, dict[str, KnownTenant]]:
    problems: list[str] = []
    known: dict[str, dict[str, KnownTenant]] = {}
    for file in files:
        lines, wrong = parse_lock(file.text, file.source, file.environment)
        problems += map(str, wrong)
        known.setdefault(file.environment, {}).update(lines)
    if problems:
        raise UnusablePlanError(problems)
    return known
