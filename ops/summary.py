"""Say what was synthesized, from the Terraform JSON itself: what Terraform will read, not what was meant."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PROVIDER_PREFIX = "digitalocean_"
COLUMNS = 3
REGISTRY = "control-plane_registry_tenant_"
# A map without some of its entries (constructs_lib/tenant_databases.py, `_without`).
LEFT_OUT = re.compile(
    r"\$\{\{ for id, tenant in local\.([\w-]+) : id => tenant if !contains\(local\.([\w-]+), id\) \}\}"
)

Stack = Mapping[str, Any]


def read(outdir: Path) -> dict[str, Stack]:
    """Read every stack of an output folder, by name."""
    manifest = json.loads((outdir / "manifest.json").read_text(encoding="utf-8"))
    return {
        name: json.loads((outdir / entry["synthesizedStackPath"]).read_text(encoding="utf-8"))
        for name, entry in manifest["stacks"].items()
    }


def as_json(stack: Stack) -> dict[str, Any]:
    """Say the same for programs."""
    counts = resource_counts(stack)
    return {
        "resources": dict(sorted(counts.items())),
        "tenants": tenant_count(stack),
        "names": served_names(stack),
    }


def describe(name: str, stack: Stack) -> Iterator[str]:
    """Describe one stack, line by line."""
    counts = resource_counts(stack)
    tenants = tenant_count(stack)
    churches = "" if tenants is None else f", {tenants} tenant{'' if tenants == 1 else 's'}"
    yield f"{name}: {sum(counts.values())} resources{churches}"
    cells = [f"{kind} {count}" for kind, count in sorted(counts.items()) if count]
    width = max(map(len, cells)) + 3
    for start in range(0, len(cells), COLUMNS):
        yield "  " + "".join(cell.ljust(width) for cell in cells[start : start + COLUMNS]).rstrip()
    for balancer, names in served_names(stack).items():
        yield f"  load balancer {balancer} answers to"
        yield from (f"    {served}" for served in names)


def resource_counts(stack: Stack) -> Counter[str]:
    """Count instances by kind, without the provider's prefix; a `for_each` counts its map's entries."""
    counts: Counter[str] = Counter()
    for kind, resources in stack["resource"].items():
        for resource in resources.values():
            counts[kind.removeprefix(PROVIDER_PREFIX)] += _instances(resource, stack)
    return counts


def tenant_count(stack: Stack) -> int | None:
    """Count the tenants: those that the registry tells the control plane of. None where there is no such thing."""
    objects = stack["resource"].get("digitalocean_spaces_bucket_object", {})
    registry = [body for address, body in objects.items() if address.startswith(REGISTRY)]
    return sum(_instances(body, stack) for body in registry) if registry else None


def served_names(stack: Stack) -> dict[str, list[str]]:
    """Return the names that point at each load balancer, by the load balancer's name."""
    resources = stack["resource"]
    zones = {address: zone["name"] for address, zone in resources.get("digitalocean_domain", {}).items()}
    balancers = resources.get("digitalocean_loadbalancer", {})
    names: defaultdict[str, list[str]] = defaultdict(list)
    for record in resources.get("digitalocean_record", {}).values():
        if record["type"] == "A":
            balancer = balancers[_referenced(record["value"])]["name"]
            zone = zones[_referenced(record["domain"])]
            names[balancer].append(zone if record["name"] == "@" else f"{record['name']}.{zone}")
    return {balancer: sorted(served) for balancer, served in sorted(names.items())}


def _instances(resource: Mapping[str, Any], stack: Stack) -> int:
    if "for_each" not in resource:
        return 1
    local = re.fullmatch(r"\$\{local\.([\w-]+)\}", resource["for_each"])
    value = stack["locals"][local[1]] if local else None
    if isinstance(value, str) and (less := LEFT_OUT.fullmatch(value)):
        return len(stack["locals"][less[1]].keys() - set(stack["locals"][less[2]]))
    if not isinstance(value, dict):
        raise ValueError(f"cannot count the instances of for_each = {resource['for_each']}")
    return len(value)


def _referenced(expression: str) -> str:
    """Return the address within its kind that ``${kind.address.attribute}`` refers to."""
    return expression.removeprefix("${").split(".")[1]
