"""What runs on droplets finds nothing there but Debian's Python, and its own package."""

import ast
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

MODULES = sorted((ROOT / "droplet").rglob("*.py"))
ALONE = {"fetch.py", "health.py", "host.py"}
"""They travel in user data, each as one file."""


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: an import without its package's name"
            found.add(str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_the_standard_library_and_its_own_package(path: Path) -> None:
    others = imported(path) - sys.stdlib_module_names
    assert others <= (set() if path.name in ALONE else {"droplet"})


def test_there_are_modules_to_look_at() -> None:
    assert {path.name for path in MODULES} > ALONE
