"""Terraform's JSON syntax as HCL, as a person would have written it: for stacks that policies read in both."""

import json
from typing import Any

BLOCKS = {
    "lifecycle", "versioning", "lifecycle_rule", "noncurrent_version_expiration", "expiration", "inbound_rule",
    "outbound_rule", "rule", "forwarding_rule", "healthcheck", "maintenance_window", "alerts", "notifications",
    "cors_rule", "grant", "slack", "required_providers", "backend",
}  # fmt: skip


def to_hcl(stack: dict[str, Any]) -> str:
    """Return the whole stack as one file."""
    lines: list[str] = []
    for kind in ("resource", "data"):
        for type_, named in stack.get(kind, {}).items():
            for name, body in named.items():
                lines += [f'{kind} "{type_}" "{name}" {{', *_body(body), "}", ""]
    for kind in ("variable", "output"):
        for name, body in stack.get(kind, {}).items():
            lines += [f'{kind} "{name}" {{', *_body(body), "}", ""]
    for body in stack.get("moved", []):
        lines += ["moved {", *(f"  {name} = {address}" for name, address in body.items()), "}", ""]
    for name, bodies in stack.get("provider", {}).items():
        for body in bodies:
            lines += [f'provider "{name}" {{', *_body(body), "}", ""]
    lines += ["locals {", *_body(stack.get("locals", {}), blocks=False), "}", ""]
    terraform = dict(stack["terraform"])
    (backend,) = terraform.pop("backend").items()
    lines += [
        "terraform {",
        *_body(terraform),
        f'  backend "{backend[0]}" {{',
        *_body(backend[1]),
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _body(body: dict[str, Any], *, blocks: bool = True) -> list[str]:
    lines: list[str] = []
    for name, value in body.items():
        if blocks and name in BLOCKS:
            for block in value if isinstance(value, list) else [value]:
                lines += [f"  {name} {{", *_body(block), "  }"]
        else:
            lines.append(f"  {name} = {_value(name, value)}")
    return lines


def _value(name: str, value: Any) -> str:
    if name == "type" and value == "string":
        return "string"
    if name == "depends_on":
        return "[" + ", ".join(value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value('', item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value("", item) for item in value) + "]"
    if isinstance(value, str) and value.startswith("${") and value.endswith("}") and value.count("${") == 1:
        return value[2:-1]
    return json.dumps(value)
