"""A stack as a plan in JSON has it, `terraform show -json`: what will be there after the apply.

A plan has every instance of a `for_each`, and values instead of expressions. It has neither `lifecycle` nor backend nor
`moved`. A value that Terraform learns only while it applies is given as the expression in the configuration.
"""

from collections.abc import Iterator
from typing import Any

from policies.stack import Resource, Shape, Stack, filled_in
from policies.values import Block

NAMES = ("id", "urn", "uuid", "name", "fingerprint", "ip", "ipv4_address")
"""By what other resources name one."""


def is_plan(content: object) -> bool:
    """Whether this is what `terraform show -json` writes of a plan."""
    return isinstance(content, dict) and "planned_values" in content and "configuration" in content


def read_plan(content: Block, file: str, group: str = "") -> Stack:
    """Make a stack of a plan."""
    configured = {
        block.pop("address"): block for block in _configured(content["configuration"]["root_module"], "")
    }
    unknown = {change["address"]: change["change"] for change in content.get("resource_changes", [])}
    resources = {}
    for entry in _planned(content):
        resource = _resource(entry, configured, unknown.get(entry["address"], {}))
        resources[resource.address] = resource
    root = content["configuration"]["root_module"]
    planned = content["planned_values"].get("outputs", {})
    return Stack(
        file,
        Shape.PLAN,
        group,
        resources=resources,
        outputs={
            name: {
                "value": _expression(body.get("expression", {}), None, ""),
                "sensitive": planned.get(name, {}).get("sensitive", body.get("sensitive", False)),
            }
            for name, body in root.get("outputs", {}).items()
        },
        variables=root.get("variables", {}),
        terraform={"required_providers": _providers(content)},
        providers={
            body["name"]: [
                {name: _expression(value, None, "") for name, value in body["expressions"].items()}
            ]
            for body in content["configuration"].get("provider_config", {}).values()
            if "expressions" in body
        },
    )


def _providers(content: Block) -> Block:
    """Return the providers as required_providers has them; those that Terraform brings have no version."""
    return {
        body["name"]: {
            "source": body["full_name"].partition("/")[2],
            "version": body.get("version_constraint", ""),
        }
        for body in content["configuration"].get("provider_config", {}).values()
        if not body.get("full_name", "").startswith("terraform.io/builtin/")
    }


def _configured(module: Block, prefix: str) -> Iterator[Block]:
    for block in module.get("resources", []):
        yield {**block, "address": prefix + block["address"]}
    for name, call in module.get("module_calls", {}).items():
        yield from _configured(call.get("module", {}), f"{prefix}module.{name}.")


def _planned(content: Block) -> Iterator[Block]:
    """Yield what will be there, and the data sources that have been read already."""
    yield from _of_module(content["planned_values"].get("root_module", {}))
    before = content.get("prior_state", {}).get("values", {}).get("root_module", {})
    yield from (entry for entry in _of_module(before) if entry["mode"] == "data")


def _of_module(module: Block) -> Iterator[Block]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _of_module(child)


def _resource(entry: Block, configured: dict[str, Block], change: Block) -> Resource:
    index = entry.get("index")
    module = _before(
        entry["address"], f"{'data.' if entry['mode'] == 'data' else ''}{entry['type']}.{entry['name']}"
    )
    block = configured.get(_without_keys(module) + entry["address"][len(module) :].partition("[")[0], {})
    key = None if index is None else str(index)
    expressions = block.get("expressions", {})
    values = _configured_of(entry.get("values", {}), dict.fromkeys((*expressions, *NAMES)))
    body = _known(values, change.get("after_unknown", {}), expressions, key, module)
    if "depends_on" in block:
        body["depends_on"] = block["depends_on"]
    return Resource(entry["type"], entry["name"], body, key, entry["mode"] == "data", module=module)


def _before(address: str, part: str) -> str:
    return address[: address.rindex(part)]


def _without_keys(module: str) -> str:
    """`module.a["x"].` -> `module.a.`, which is where the configuration has it."""
    return "".join(piece.partition("[")[0] + "." for piece in module.split(".") if piece)


def _configured_of(values: Block, written: Block) -> Block:
    """Return only what is configured; all of it where that cannot be told, as in a `dynamic` block.

    Once it exists, a load balancer that finds droplets by tag has their ids too, and that of the certificate it names.
    """
    return {name: value for name, value in values.items() if name in written} if written else values


def _known(values: Block, unknown: Any, expressions: Block, key: str | None, module: str) -> Block:
    """Return the arguments, without those that are null, and with expressions for those that are not known yet."""
    unknown = unknown if isinstance(unknown, dict) else {}
    body = {name: value for name, value in values.items() if value is not None}
    for name in [*body, *(name for name in unknown if name not in body)]:
        what, expression = unknown.get(name), expressions.get(name)
        if what is True and expression is not None:
            body[name] = _expression(expression, key, module)
        elif isinstance(body.get(name), list):
            parts = what if isinstance(what, list) else []
            body[name] = [
                _item(value, parts[number] if number < len(parts) else {}, expression, number, key, module)
                for number, value in enumerate(body[name])
            ]
    return body


def _item(value: Any, what: Any, expression: Any, number: int, key: str | None, module: str) -> Any:
    """Return an item of a list: a block, or a value."""
    if isinstance(value, dict):
        written = _block_of(value, expression)
        return _known(_configured_of(value, written), what, written, key, module)
    if what is not True or not isinstance(expression, dict):
        return value
    items = _expression(expression, key, module)
    return items[number] if isinstance(items, list) and number < len(items) else items


def _block_of(value: Block, expressions: Any) -> Block:
    """Return the block of the configuration that became a block of the plan: the order in a set is another one."""
    for block in expressions if isinstance(expressions, list) else []:
        written = {
            name: argument.get("constant_value")
            for name, argument in block.items()
            if isinstance(argument, dict)
        }
        if all(
            wanted is None or "${" in str(wanted) or _alike(value.get(name), wanted)
            for name, wanted in written.items()
        ):
            return dict(block)
    return {}


def _alike(value: Any, wanted: Any) -> bool:
    """Whether a value is what was written: a number may be a text by now, and a set has an order of its own."""
    if isinstance(value, list) and isinstance(wanted, list):
        return sorted(map(str, value)) == sorted(map(str, wanted))
    return str(value) == str(wanted)


def _expression(expression: Any, key: str | None, module: str) -> Any:
    """Return an argument of the configuration as Terraform's JSON syntax has it.

    Of HCL, a plan has only the references in an expression: the longest one of each is taken.
    """
    if isinstance(expression, list):
        return [
            {name: _expression(value, key, module) for name, value in block.items()} for block in expression
        ]
    if "constant_value" in expression:
        value = expression["constant_value"]
        return value if key is None else filled_in(value, key, None)
    references = expression.get("references", [])
    longest = [
        one for one in references if not any(other.startswith((f"{one}.", f"{one}[")) for other in references)
    ]
    found = [
        f"${{{filled_in(f'${{{module}{one}}}', key, None)[2:-1] if key else module + one}}}"
        for one in longest
        if not one.startswith(("each.", "count."))
    ]
    return found[0] if len(found) == 1 else found
