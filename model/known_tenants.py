"""`tenants.lock`: the tenants that were last agreed on, so that a change can be compared with what is deployed.

`tenants.yaml` alone cannot tell a church that was never there from one whose entry was deleted. The lock is written
by `make tenants` and committed; it says where each tenant's data is, and a synth refuses an edit that would lose any.
It is the first of two refusals. The second is Terraform's, by `prevent_destroy`, where somebody edits both files.

    # written by `make tenants`
    3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001 active staging shared=kept
    7d1c2b9a-5b1f-4e0c-8a6d-2c9be0f1a002 retired staging-cell-2 shared=retired dedicated=retired
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from model.environment import CELL_PATTERN
from model.errors import Problem, shown
from model.naming import stack_of_cell
from model.tenancy import Guard, Homes, Status
from model.tenants import Tenant, is_tenant_id

LOCK_FILE = "tenants.lock"

_HEADING = (
    "# Written by `make tenants`: a line for each tenant that was agreed on. Edit tenants.yaml instead.\n"
)
_CONFLICT = re.compile(r"<<<<<<<|=======|>>>>>>>")


@dataclass(frozen=True)
class KnownTenant:
    """One line of the lock.

    Attributes:
        id: the tenant's.
        stack: which stack's state its data is in.
        homes: where its data is.
        line: of the file, counted from 1; 0 for one that was made from an entry.
    """

    id: str
    status: Status
    stack: str
    homes: Homes
    line: int = 0

    @classmethod
    def of(cls, tenant: Tenant, environment: str) -> "KnownTenant":
        """Return what the lock will say of an entry."""
        stack = stack_of_cell(environment, tenant.cell) if tenant.cell else environment
        return cls(tenant.id, tenant.status, stack, tenant.homes)

    def __str__(self) -> str:
        places = (
            f"{place}={guard}" for place in ("shared", "dedicated") if (guard := getattr(self.homes, place))
        )
        return " ".join([self.id, self.status, self.stack, *places])


def format_lock(tenants: Iterable[Tenant], environment: str) -> str:
    """Return the text of the lock for these tenants, sorted by id, so that the file's order means nothing."""
    lines = sorted(f"{KnownTenant.of(tenant, environment)}\n" for tenant in tenants)
    return _HEADING + "".join(lines)


def parse_lock(text: str, file: str, environment: str) -> tuple[dict[str, KnownTenant], list[Problem]]:
    """Read a lock; what cannot be read is a problem, and every other line is returned."""
    known: dict[str, KnownTenant] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        tenant = _parse_line(line, number, environment)
        if tenant is None or tenant.id in known:
            what = (
                "this is the mark of an unresolved merge"
                if _CONFLICT.match(line)
                else f"{shown(line)} is not a valid line of this file"
            )
            if tenant:
                what = f"{tenant.id} is listed twice"
            remedy = (
                "Restore the file from the main branch (git checkout), then run `presence360 tenant lock`."
            )
            problems.append(Problem(file, number, "", what, remedy))
        else:
            known[tenant.id] = tenant
    return known, problems


def _parse_line(line: str, number: int, environment: str) -> KnownTenant | None:
    try:
        tenant_id, status, stack, *places = line.split()
        guards = dict(place.split("=") for place in places)
        found = Homes(
            *(Guard(guards.pop(place)) if place in guards else None for place in ("shared", "dedicated"))
        )
    except ValueError:
        return None
    cell = stack.removeprefix(f"{environment}-")
    right = is_tenant_id(tenant_id) and status in list(Status) and not guards
    if not right or not (stack == environment or re.match(CELL_PATTERN, cell)):
        return None
    return KnownTenant(tenant_id, Status(status), stack, found, number)


def losses(
    known: Mapping[str, KnownTenant], tenants: Iterable[Tenant], environment: str, lock: str
) -> list[Problem]:
    """Find edits that would lose a tenant's data, or leave it behind where nothing finds it.

    Args:
        known: what was agreed on before.
        tenants: what is written now.
        environment: the environment's name.
        lock: the lock's file name; problems are reported there, since an entry that is gone has no line.
    """
    now = {tenant.id: KnownTenant.of(tenant, environment) for tenant in tenants}
    problems = []
    for before in known.values():
        for message, remedy in _losses_of(before, now.get(before.id)):
            problems.append(Problem(lock, before.line, before.id, message, remedy))
    return problems


def _losses_of(before: KnownTenant, after: KnownTenant | None) -> Iterable[tuple[str, str]]:
    places = {"shared": "the database in its cell's cluster", "dedicated": "its own cluster"}
    if after is None:
        kept = [words for place, words in places.items() if getattr(before.homes, place) is Guard.KEPT]
        if kept:
            yield (
                f"this tenant was removed from tenants.yaml, but it was not retired: {' and '.join(kept)} "
                "would be lost",
                "Put the entry back. To remove a church, write `status: retired`, deploy that, and remove the entry "
                "in a later change.",
            )
        return
    if after.stack != before.stack:
        yield (
            f"this tenant's data is in {before.stack}, and tenants.yaml now says {after.stack}",
            "Restore `cell`: a tenant stays in its cell, because nothing would move its data.",
        )
    for place, words in places.items():
        if getattr(before.homes, place) is Guard.KEPT and getattr(after.homes, place) is None:
            step = (
                "`shared_copy: kept`, and later `shared_copy: retired`"
                if place == "shared"
                else "`retired: true` under `dedicated`"
            )
            yield (
                f"tenants.yaml no longer mentions {words}, but it was not retired: it would be lost",
                f"Write {step}, deploy that, and remove it in a later change "
                "(docs/runbooks/move-to-dedicated.md).",
            )
