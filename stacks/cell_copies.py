"""Plain cells, written from the synthesis of the first one.

Forty cells without a tenant that is special differ in their names, their clusters' sizes and their tenants. To build
each from constructs takes a hundred messages to Node, and more for each tenant: seconds for 10,000 tenants. So the
first one is built, and the others are written after it, with their own values in its places.
`tests/stacks/test_cell_copies.py` proves that not a byte is different from what the constructs would have made.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from constructs_lib.isolation import overrides
from constructs_lib.tenant_databases import entries, generations
from model.cells import CellPlan
from model.tenancy import Guard, Homes

STACK_FILE = "cdk.tf.json"
MANIFEST = "manifest.json"

_PLAIN = Homes(shared=Guard.KEPT, dedicated=None)
_DATABASE = "digitalocean_database_db.tenant-plane_databases_database_"
_RETIRED = "digitalocean_database_db.tenant-plane_databases_retired_"


def copies(cells: Sequence[CellPlan]) -> dict[str, CellPlan]:
    """Return the cells of one environment that need no constructs of their own, and the one that each is written from.

    Keyed by the copy's stack name.
    """
    plain = [cell for cell in cells if _is_plain(cell)]
    return {cell.name: plain[0] for cell in plain[1:]}


def write_copies(outdir: Path, cells: Sequence[CellPlan], originals: Mapping[str, CellPlan]) -> None:
    """Write the stacks that were left out of the synthesis, and name them in the manifest that the CLI reads."""
    if not originals:
        return
    manifest = json.loads((outdir / MANIFEST).read_text(encoding="utf-8"))
    texts = {
        original.name: (outdir / "stacks" / original.name / STACK_FILE).read_text(encoding="utf-8")
        for original in originals.values()
    }
    for cell in cells:
        if original := originals.get(cell.name):
            folder = outdir / "stacks" / cell.name
            folder.mkdir(parents=True, exist_ok=True)
            stack = _retargeted(texts[original.name], original, cell)
            (folder / STACK_FILE).write_text(_dumped(stack), encoding="utf-8")
            entry = json.dumps(manifest["stacks"][original.name])
            manifest["stacks"][cell.name] = json.loads(_renamed(entry, original, cell))
    (outdir / MANIFEST).write_text(_dumped(manifest), encoding="utf-8")


def _is_plain(cell: CellPlan) -> bool:
    """Tell whether nothing but values makes a cell different from another."""
    shared = (
        cell.shared.vpc,
        cell.shared.project,
        cell.shared.environment_tag,
        *cell.shared.group_tags.values(),
    )
    return (
        all(tenant.served and tenant.homes == _PLAIN for tenant in cell.tenant_plane.tenants)
        # Names of the environment are copied as they are, unless one looks like the cell's.
        and not any(_name_of(cell).search(name) for name in (*shared, cell.shared.config_bucket))
    )


def _name_of(cell: CellPlan) -> re.Pattern[str]:
    """Match a cell's name where it stands: every name of a cell's things is made from it."""
    return re.compile(rf"(?<![a-z0-9]){cell.cell}(?![a-z0-9])")


def _renamed(text: str, original: CellPlan, cell: CellPlan) -> str:
    return _name_of(original).sub(cell.cell, text)


def _retargeted(text: str, original: CellPlan, cell: CellPlan) -> dict[str, Any]:
    stack = json.loads(text)
    # Tenants first: what they are called is no name of the cell's.
    stack["moved"] = []
    places = {name: value for name, value in stack["locals"].items() if isinstance(value, dict)}
    stack["locals"] |= {name: {} for name in places}
    stack = json.loads(_renamed(json.dumps(stack), original, cell))
    tenants = cell.tenant_plane.tenants
    for name in places:
        if "_tenants_" in name:
            stack["locals"][name] = entries(tenants)
        elif "_generations_" in name:
            stack["locals"][name] = generations(tenants)
    there, back = (_address(stack, prefix) for prefix in (_DATABASE, _RETIRED))
    stack["moved"] = [
        {"from": f'{back}["{tenant.id}"]', "to": f'{there}["{tenant.id}"]'} for tenant in tenants
    ]
    (cluster,) = (
        body for body in stack["resource"]["digitalocean_database_cluster"].values() if "for_each" not in body
    )
    cluster |= {
        "size": cell.cluster.size,
        "node_count": cell.cluster.nodes,
        "version": cell.cluster.version,
        "maintenance_window": [{"day": cell.cluster.maintenance.day, "hour": cell.cluster.maintenance.hour}],
    }
    for body in stack["resource"]["digitalocean_spaces_bucket_object"].values():
        body["content"] = body["content"].replace(overrides(original.isolation), overrides(cell.isolation))
    return dict(stack)


def _address(stack: Mapping[str, Any], prefix: str) -> str:
    kind, _, name = prefix.partition(".")
    (found,) = (address for address in stack["resource"][kind] if address.startswith(name))
    return f"{kind}.{found}"


# An empty mapping or list, as json.dumps writes it at the end of a line; in a text it would stand before a quote.
_EMPTY = re.compile(r'(?m)^( *)((?:"(?:[^"\\]|\\.)*": )?)(\{\}|\[\])(,?)$')


def _dumped(value: object) -> str:
    """Write JSON as cdktf does (json-stable-stringify): sorted, and what is empty on two lines."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    return _EMPTY.sub(
        lambda found: f"{found[1]}{found[2]}{found[3][0]}\n{found[1]}{found[3][1]}{found[4]}", text
    )
