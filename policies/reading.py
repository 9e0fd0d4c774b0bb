"""Base of all policies: rules about one resource and rules about a whole stack, with a verdict for everything.

checkov 3.3.30 gets verdicts wrong in four ways, each seen in a run: an exception in a check becomes UNKNOWN, or
nothing; `count = 0` becomes UNKNOWN; it guesses what a `dynamic` block holds, or drops the resource; and its graph
turns a `for_each` into two instances named `__startline__` and `__endline__`, and tells that a connection exists but
not how many. Here an exception fails, a resource that cannot be read fails, and a rule about a whole stack reads the
stack's file.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from checkov.common.checks_infra.registry import get_graph_checks_registry
from checkov.common.graph.checks_infra.base_check import BaseGraphCheck
from checkov.common.graph.graph_builder import CustomAttributes
from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.common.util.consts import END_LINE, LINE_FIELD_NAMES, START_LINE
from checkov.runner_filter import RunnerFilter
from checkov.terraform.checks.resource.base_resource_check import BaseResourceCheck

Block = dict[str, Any]
LINE_MARKS = frozenset({*LINE_FIELD_NAMES, "//"})
_LOCAL = re.compile(r"\blocal\.([\w-]+)")


class ResourcePolicy(BaseResourceCheck):
    """A rule about one resource; `problems` yields a sentence for each thing that is wrong with it."""

    def __init__(
        self, check_id: str, name: str, types: list[str], problems: Callable[[Block], Iterable[str]]
    ) -> None:
        super().__init__(name, check_id, [CheckCategories.GENERAL_SECURITY], types)
        self.problems = problems

    def scan_entity_conf(self, conf: dict[str, Any], entity_type: str) -> CheckResult:  # noqa: ARG002
        """Check a resource: checkov's own method answers UNKNOWN for `count = 0` and guesses at `dynamic`."""
        try:
            if "dynamic" in conf:
                raise ValueError("a dynamic block cannot be checked; write the blocks out")
            self.details = list(self.problems(plain(conf)))
        except Exception as error:  # checkov would turn any exception into UNKNOWN, which does not fail
            self.details = [f"cannot be read: {error}"]
        return CheckResult.FAILED if self.details else CheckResult.PASSED

    def scan_resource_conf(self, conf: dict[str, Any]) -> CheckResult:
        """Satisfy the base class; nothing calls it, because scan_entity_conf is replaced."""
        return self.scan_entity_conf(conf, "")


class StackPolicy(BaseGraphCheck):
    """A rule about a whole stack; `verdicts` maps each address that it checks to what is wrong with it.

    It uses checkov's graph only for the list of files.
    """

    def __init__(self, check_id: str, name: str, verdicts: Callable[[Block], dict[str, list[str]]]) -> None:
        super().__init__()
        self.id, self.name, self.verdicts = check_id, name, verdicts
        registry = get_graph_checks_registry("terraform")  # the one the terraform_json runner uses
        if not any(check.id == check_id for check in registry.checks):
            RunnerFilter.notify_external_check(check_id)
            registry.checks.append(self)

    def run(self, graph_connector: Any) -> tuple[list[Block], list[Block], list[Block]]:
        """Return passed, failed and unknown entities in checkov's form; the reasons go to the log."""
        passed: list[Block] = []
        failed: list[Block] = []
        for file in sorted({str(node[CustomAttributes.FILE_PATH]) for _, node in graph_connector.nodes()}):
            text = Path(file).read_text(encoding="utf-8")
            try:
                verdicts = self.verdicts(json.loads(text))
            except Exception as error:  # checkov would drop the whole policy silently
                verdicts = {"stack": [f"cannot be read: {error}"]}
            for address, reasons in verdicts.items():
                (failed if reasons else passed).append(_entity(file, address))
                for reason in reasons:
                    logging.getLogger("policies").warning("%s: %s: %s: %s", self.id, file, address, reason)
        return passed, failed, []


def _entity(file: str, address: str) -> Block:
    """Return what the runner reads of a graph node; it needs line numbers, which have no meaning here."""
    return {CustomAttributes.FILE_PATH: file, CustomAttributes.ID: address, START_LINE: 1, END_LINE: 1}


def plain(conf: Block) -> Block:
    """Undo checkov's wrapping: attributes become values, nested blocks become lists of blocks."""
    return {key: _unwrap(value) for key, value in conf.items() if key not in LINE_MARKS}


def _unwrap(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if value and all(isinstance(item, dict) for item in value):
        return [plain(item) for item in value]
    return value[0] if len(value) == 1 else value


def blocks(parent: Block, name: str) -> list[Block]:
    """Return the nested blocks of a name, [] if there are none; ValueError if an expression is in their place."""
    value = parent.get(name) or []
    value = [value] if isinstance(value, dict) else value
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"{name} is an expression, which cannot be checked; write the blocks out")
    return value


def block(parent: Block, name: str) -> Block:
    """Return the one nested block of a name; {} if it is absent."""
    return next(iter(blocks(parent, name)), {})


def is_set(value: Any) -> bool:
    """Whether there is a value or a reference."""
    return isinstance(value, str) and bool(value.strip())


def is_true(value: Any) -> bool:
    """Whether a value is literally true; an expression is not."""
    return value is True or value == "true"


def items(value: Any) -> list[Any]:
    """Return the items of a list that is written out; [] for anything else, also for an expression."""
    return value if isinstance(value, list) else []


def at_least_one(value: Any) -> bool:
    """Whether a value is a literal whole number of at least one."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def resources(stack: Block, type_name: str) -> Iterator[tuple[str, Block]]:
    """Yield the address and the body of each resource of a type in a stack's JSON."""
    for name, body in stack.get("resource", {}).get(type_name, {}).items():
        if name not in LINE_MARKS:
            yield f"{type_name}.{name}", body


def lifecycle(resource: Block) -> Block:
    """Return the lifecycle block; {} if it is absent."""
    return block(resource, "lifecycle")


def local_keys(stack: Block, for_each: object) -> list[str] | None:
    """Return the keys of the local map that a for_each uses; None if it uses anything else."""
    text = str(for_each)
    if not (text.startswith("${local.") and text.endswith("}")):
        return None
    table = stack.get("locals", {}).get(text.removeprefix("${local.").removesuffix("}"))
    return list(table) if isinstance(table, dict) else None


def texts(stack: Block, value: object) -> Iterator[str]:
    """Yield each string in a value and in the locals that it refers to."""
    return _texts(stack, value, set())


def _texts(stack: Block, value: object, seen: set[str]) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(stack, key, seen)
            yield from _texts(stack, item, seen)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(stack, item, seen)
    elif isinstance(value, str):
        yield value
        for name in set(_LOCAL.findall(value)) - seen:
            seen.add(name)
            yield from _texts(stack, stack.get("locals", {}).get(name), seen)
