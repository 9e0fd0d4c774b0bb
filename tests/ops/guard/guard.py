"""The guard on plans that tests make."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.plans.environment import Tenant
from lab.plans.planner import Situation
from model.generations import ONE_GENERATION
from ops.guard import report
from tests.support import ENVIRONMENTS

WINDOW = "maintenance: {day: sunday, hour: '03:00'}"


def write(folder: Path, plans: Mapping[str, Any]) -> list[Path]:
    """Write plans, or what stands for them, into files named after their stacks."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for stack, plan in plans.items():
        file = folder / f"{stack}.json"
        shown = plan.plan() if isinstance(plan, Situation) else plan
        file.write_text(shown if isinstance(shown, str) else json.dumps(shown), encoding="utf-8")
        files.append(file)
    return files


def judge(
    folder: Path, plans: Mapping[str, Any], *, locks: Sequence[Path] = (), **options: Any
) -> report.Report:
    """Write plans, and judge them as the program does."""
    read, problems = report.read_plans(write(folder, plans))
    known, unread = report.read_locks(locks)
    return report.judge(read, locks=known, problems=[*problems, *unread], **options)


def _more(tenant: Tenant) -> str:
    """Return what a restore writes into an entry, and a cluster of its own."""
    more = (
        ""
        if tenant.database == ONE_GENERATION
        else f", database: {tenant.database.model_dump_json(exclude_none=True)}"
    )
    if tenant.tier == "dedicated":
        more += (
            f", tier: dedicated, dedicated: {{size: {tenant.own_cluster}, nodes: 2, version: '17', {WINDOW}}}"
        )
    return more


def write_environments(folder: Path, environment: str, tenants: tuple[Tenant, ...]) -> Path:
    """Write operators' files that list some tenants, as far as every version of the model knows entries."""
    # Without the lock, which would not agree with other tenants.
    shutil.copytree(ENVIRONMENTS, folder, ignore=shutil.ignore_patterns("*.lock"))
    entries = "".join(
        f"  - {{id: {one.id}, slug: {one.slug}, name: {json.dumps(one.name)}{_more(one)}}}\n"
        for one in tenants
    )
    text = f"tenants:\n{entries}" if entries else "tenants: []\n"
    (folder / environment / "tenants.yaml").write_text(text, encoding="utf-8")
    return folder
