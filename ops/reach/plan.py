"""A plan in the shape of a synthesized stack: planned values, and in place of what is not known yet what it refers to.

An id or a port that DigitalOcean gives is not known before the apply. The plan's configuration says whose it will be,
which is all that a rule needs: the port of that cluster, the id of that load balancer.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from model.addresses import CLUSTER
from ops.reach.stack import UnreadableError, of_each
from ops.reach.unseen import refuse_unseen

Json = Mapping[str, Any]


_IDS = ("cluster_id", "private_network_uuid", "source_load_balancer_uids", "vpc_uuid")
"""Arguments that hold ids; of what exists already, the ids are known and say nothing to a reader."""


def stack_of(shown: Json) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the resources of what `terraform show -json` printed, `for_each` written out, by `resource` and `data`.

    Raises:
        UnreadableError: its configuration is not the JSON that this program writes, or holds more than that.
    """
    refuse_unseen(shown)
    blocks = shown["configuration"]["root_module"].get("resources", ())
    configured = {f"{one['type']}.{one['name']}": one for one in blocks if one["mode"] == "managed"}
    unknown = {one["address"]: one["change"].get("after_unknown") for one in shown["resource_changes"]}
    planned = shown["planned_values"].get("root_module", {}).get("resources", ())
    prior = shown.get("prior_state", {}).get("values", {}).get("root_module", {}).get("resources", ())
    read = [one for one in prior if one["mode"] == "data"]
    known = dict(_known([*planned, *read]))
    found: dict[str, dict[str, dict[str, Any]]] = {"resource": {}, "data": {}}
    for one in planned:
        if one["mode"] == "managed":
            expressions = configured.get(f"{one['type']}.{one['name']}", {}).get("expressions", {})
            body = _Fill(one.get("index")).attributes(
                one.get("values", {}), unknown.get(one["address"]), expressions
            )
            found["resource"].setdefault(one["type"], {})[_address(one)] = _referring(body, known)
    for one in blocks:
        if one["mode"] == "data":
            constants = {
                name: expression.get("constant_value") for name, expression in one["expressions"].items()
            }
            found["data"].setdefault(one["type"], {})[one["name"]] = constants
    return found


def _address(one: Json) -> str:
    index = one.get("index")
    return str(one["name"]) if index is None else f"{one['name']}[{json.dumps(index)}]"


def _known(resources: Iterable[Json]) -> Iterator[tuple[str, str]]:
    """Yield what stands for a resource in the arguments of others, and the reference that says so."""
    for one in resources:
        data = "data." if one["mode"] == "data" else ""
        for attribute in ("id", "port"):
            value = one.get("values", {}).get(attribute)
            if value not in (None, "") and (attribute == "id" or one["type"] == CLUSTER):
                yield f"{attribute} {value}", f"${{{data}{one['type']}.{_address(one)}.{attribute}}}"


def _referring(body: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """Return arguments with references in place of known ids, and of the known port of a cluster."""
    changed: dict[str, Any] = {}
    for name, value in body.items():
        if name == "outbound_rule":
            changed[name] = [
                {**rule, "port_range": known.get(f"port {rule.get('port_range')}", rule.get("port_range"))}
                for rule in value
            ]
        elif isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
            changed[name] = [_referring(inner, known) for inner in value]
        elif name in _IDS and isinstance(value, list):
            changed[name] = [known.get(f"id {inner}", inner) for inner in value]
        else:
            changed[name] = known.get(f"id {value}", value) if name in _IDS else value
    return changed


class _Fill:
    """Fills in what one instance does not know yet."""

    def __init__(self, key: object) -> None:
        self._key = key

    def attributes(self, values: Json, unknown: Any, expressions: Json) -> dict[str, Any]:
        """Return values with a reference in place of each that is not known."""
        marks = unknown if isinstance(unknown, dict) else {}
        filled = {name: value for name, value in values.items() if value is not None}
        for name, mark in marks.items():
            expression = expressions.get(name)
            # What is neither known nor configured is DigitalOcean's to decide, such as an id.
            if _any(mark) and expression is not None:
                filled[name] = self._value(values.get(name), mark, expression)
        return filled

    def _value(self, value: Any, mark: Any, expression: Any) -> Any:
        if isinstance(expression, list):
            return self._blocks(value, mark, expression)
        written = expression.get("constant_value")
        if written is None:
            raise UnreadableError(f"{expression} is not written as JSON: plan what `make synth` wrote")
        # In a configuration in JSON an expression stands there as it was written.
        return of_each(written, str(self._key), None) if self._key is not None else written

    def _blocks(self, value: Any, mark: Any, expressions: list[Json]) -> list[dict[str, Any]]:
        """Fill in nested blocks: the provider may have sorted them, so each is found by what is known of it."""
        if not isinstance(value, list) or not isinstance(mark, list):
            return [self.attributes({}, dict.fromkeys(one, True), one) for one in expressions]
        left = list(expressions)
        filled = []
        for block, marks in zip(value, mark, strict=True):
            mine: Json = {}
            if _any(marks):
                mine = next((one for one in left if _refers(one) and _fits(one, block)), {})
                left = [one for one in left if one is not mine]
            filled.append(self.attributes(block, marks, mine))
        return filled


def _any(mark: Any) -> bool:
    """Tell whether anything inside is not known."""
    if isinstance(mark, dict):
        return any(map(_any, mark.values()))
    if isinstance(mark, list):
        return any(map(_any, mark))
    return mark is True


def _refers(block: Json) -> bool:
    return any("references" in one for one in block.values() if isinstance(one, dict))


def _fits(expressions: Json, block: Json) -> bool:
    """Tell whether a configured block can have become a planned one: what is written out in one is in the other."""
    for name, one in expressions.items():
        if "references" in one:
            continue
        written, planned = one["constant_value"], block.get(name)
        alike = (
            sorted(map(str, written)) == sorted(map(str, planned or ()))
            if isinstance(written, list)
            else str(written) == str(planned)
        )
        if not alike:
            return False
    return all(name in expressions for name, value in block.items() if value not in (None, "", [], False, 0))
