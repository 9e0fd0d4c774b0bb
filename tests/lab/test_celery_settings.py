"""Two examples set up Celery: where both set something, they set the same, and the pages have those numbers."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from ops.paths import ROOT

SERVICE = ROOT / "lab/services/backend/church/celery_app.py"
QUEUES = ROOT / "docs/examples/church_queues.py"
LIMIT, SOFT, AGAIN = "task_time_limit", "task_soft_time_limit", "visibility_timeout"


def _pairs(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant):
                    yield str(key.value), value
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "celery.conf.update":
            yield from ((one.arg, one.value) for one in node.keywords if one.arg)


def _settings(text: str) -> dict[str, Any]:
    """The settings that are numbers, words and flags, with the file's own constant put in."""
    tree = ast.parse(text)
    found = re.search(r'^(?:LONGEST_)?TASK_SECONDS = .*?(\d+)"?\)*$', text, re.MULTILINE)
    assert found
    known = {"TASK_SECONDS": int(found[1]), "LONGEST_TASK_SECONDS": int(found[1])}
    settings = {}
    for name, value in _pairs(tree):
        names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
        if names <= known.keys() and not any(isinstance(node, ast.Call) for node in ast.walk(value)):
            settings[name] = eval(ast.unparse(value), {}, known)  # noqa: S307  (an example of this repository)
    return settings


def test_both_examples_set_the_same() -> None:
    service, queues = (_settings(file.read_text(encoding="utf-8")) for file in (SERVICE, QUEUES))
    both = {name for name in service.keys() & queues.keys() if not isinstance(service[name], dict)}
    assert {LIMIT, SOFT, AGAIN, "result_expires", "task_acks_late", "worker_prefetch_multiplier"} <= both
    assert {name: service[name] for name in both} == {name: queues[name] for name in both}


def test_a_task_ends_before_its_message_is_given_out_again() -> None:
    settings = _settings(SERVICE.read_text(encoding="utf-8"))
    assert settings[SOFT] < settings[LIMIT] < settings[AGAIN]


def test_the_pages_have_these_numbers() -> None:
    settings = _settings(SERVICE.read_text(encoding="utf-8"))
    rows = (ROOT / "docs/services.md").read_text(encoding="utf-8")
    (limits,) = re.findall(rf"^\| `{LIMIT}`, `{SOFT}` \| none \| (.*?) \|", rows, re.MULTILINE)
    assert limits == f"{settings[LIMIT]} s, {settings[SOFT]:.0f} s"
    (again,) = re.findall(rf"^\| `{AGAIN}` \| 3,600 s \| (.*?) \|", rows, re.MULTILINE)
    assert again == f"{settings[AGAIN]} s"
    killed = re.findall(r"its tasks are repeated after (\d+) minutes", rows)
    assert killed == [str(settings[AGAIN] // 60)]
    queues = " ".join((ROOT / "docs/services-data.md").read_text(encoding="utf-8").split())
    assert re.findall(rf"`{AGAIN}` \((\d+) minutes\)", queues) == [str(settings[AGAIN] // 60)]
    assert re.findall(rf"`{LIMIT}` \((\d+) minutes\)", queues) == [str(settings[LIMIT] // 60)]
