"""Operators' files with any number of tenants, in as many cells as they need: for benchmarks, rehearsals and tests."""

import re
import shutil
import uuid
from pathlib import Path

from model.tenancy import MAX_TENANTS_OF_A_CELL

# What a full cell needs: 250 users of three connections each fit into the 997 of 64 GiB (model/sizes.py).
CONNECTIONS = 3
SIZE = "gd-16vcpu-64gb"


def write_fleet(environments: Path, folder: Path, tenants: int, *, environment: str = "staging") -> Path:
    """Copy operators' files, with so many tenants in one environment; returns the copy.

    Args:
        environments: the files to copy; their lock of known tenants is left out.
        folder: where to; it must not be there yet.
        tenants: how many; each cell but the last is full.
        environment: whose tenants they are.
    """
    shutil.copytree(environments, folder, ignore=shutil.ignore_patterns("*.lock"))
    file = folder / environment / "environment.yaml"
    text = file.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^(      size: )db-\S+$", rf"\g<1>{SIZE}", text, count=1)
    text = re.sub(
        r"(?m)^limits:\n(?:  .*\n)+",
        f"limits: {{requests_per_second: 20, connections: {CONNECTIONS}}}\n",
        text,
    )
    cells = range(2, -(-tenants // MAX_TENANTS_OF_A_CELL) + 1)
    shape = f'{{size: {SIZE}, nodes: 1, version: "17", maintenance: {{day: tuesday, hour: "02:00"}}}}'
    added = "".join(f"    cell-{number}: {shape}\n" for number in cells)
    text = text.replace("  clusters:\n", f"  cells:\n{added}  clusters:\n" if added else "  clusters:\n")
    file.write_text(text, encoding="utf-8")
    entries = "".join(_entry(number) for number in range(tenants))
    (folder / environment / "tenants.yaml").write_text(
        f"tenants:\n{entries}" if entries else "tenants: []\n", encoding="utf-8"
    )
    return folder


def tenant_id(number: int) -> str:
    """Return the id of the tenant with this number, counted from 0."""
    return str(uuid.UUID(int=number << 64 | number, version=4))


def _entry(number: int) -> str:
    cell = number // MAX_TENANTS_OF_A_CELL + 1
    where = f"    cell: cell-{cell}\n" if cell > 1 else ""
    return (
        f"  - id: {tenant_id(number)}\n    slug: church-{number}\n    name: Church number {number}\n{where}"
    )
