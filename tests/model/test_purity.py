"""The model is pure: no framework, no templates, no environment variables."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

MODULES = sorted((ROOT / "model").glob("*.py"))
FORBIDDEN = ("cdktf", "cdktf_cdktf_provider_digitalocean", "constructs", "jsii", "jinja2")
IMPORT_ALL = """
import importlib, pkgutil, sys, model
for module in pkgutil.iter_modules(model.__path__):
    importlib.import_module(f"model.{module.name}")
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_importing_all_of_it_imports_no_framework() -> None:
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = result.stdout.split()
    assert "yaml" in imported, "nothing was imported"
    assert [name for name in imported if name in FORBIDDEN] == []


def reads_environment(source: str) -> list[int]:
    """Return the lines that read environment variables, under whatever name `os` was imported."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names) if any(alias.name.split(".")[0] == "os" for alias in names):
                lines.append(node.lineno)
            case ast.ImportFrom(module="os"):
                lines.append(node.lineno)
            case ast.Attribute(attr="environ" | "environb" | "getenv" | "expandvars"):
                lines.append(node.lineno)
            case (
                ast.Call(func=ast.Name(id="__import__")) | ast.Call(func=ast.Attribute(attr="import_module"))
            ):
                lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_no_module_reads_environment_variables(module: Path) -> None:
    assert reads_environment(module.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "import os.path",
        "from os import environ",
        "import pathlib\npathlib.os.environ",
        "x.getenv('A')",
        "__import__('os')",
    ],
)
def test_the_scan_finds_what_it_looks_for(source: str) -> None:
    assert reads_environment(source) == [source.count("\n") + 1]
