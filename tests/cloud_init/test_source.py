"""Programs in user data lose their comments and nothing else."""

import ast
from pathlib import Path

import pytest

from cloud_init.source import without_comments

FILES = Path(__file__).parents[2] / "cloud_init/files"

PROGRAM = '''#!/usr/bin/python3
"""What it is.

    for --help
"""

# Why.
import re  # for this

LIMIT = 3
"""What it limits; ü before the end."""


class Lone(Exception):
    """Stays, or there would be nothing."""


class Other:
    """Goes.

    All of it.
    """

    value: str = "# no comment"
    """Goes too."""  # and this

    def text(self) -> str:
        """Goes."""
        return """first

# of the value

last"""


pattern = re.compile(r"""#[^"]""")  # ü, after a string with a hash
if LIMIT:
    """The only statement of its block."""
    LIMIT = 4
'''

SHORT = '''#!/usr/bin/python3
"""What it is.

    for --help
"""

import re  # for this

LIMIT = 3

class Lone(Exception):
    """Stays, or there would be nothing."""

class Other:

    value: str = "# no comment"

    def text(self) -> str:
        return """first

# of the value

last"""

pattern = re.compile(r"""#[^"]""")  # ü, after a string with a hash
if LIMIT:
    LIMIT = 4
'''


def meaning(source: str) -> str:
    """What Python makes of a program, without the strings that stand as statements."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [
                part
                for part in node.body
                if not (
                    isinstance(part, ast.Expr)
                    and isinstance(part.value, ast.Constant)
                    and isinstance(part.value.value, str)
                )
            ]
    return ast.dump(tree)


def test_comments_and_docstrings_go() -> None:
    assert without_comments(PROGRAM) == SHORT


@pytest.mark.parametrize("path", sorted(FILES.glob("*.py")), ids=lambda path: path.name)
def test_a_program_means_the_same_without_them(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    short = without_comments(source)
    assert meaning(short) == meaning(source)
    assert short.splitlines()[0] == source.splitlines()[0]
    assert ast.get_docstring(ast.parse(short)) == ast.get_docstring(ast.parse(source))
    assert len(short) < 0.9 * len(source)
    # Twice is once.
    assert without_comments(short) == short
