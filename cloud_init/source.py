"""Take from a Python program what only its readers need, so that user data stays short. Pure.

Not compressed instead: another zlib packs the same text into other bytes, and other bytes replace every droplet.
"""

import ast
from collections.abc import Iterator


def without_comments(source: str) -> str:
    """Return a program without its lines of comment and the docstrings inside it; it does the same.

    The first line (`#!`) and the module's own docstring stay: the one is the kernel's, the other what `--help`
    shows. So does a docstring that is all there is of a class or a function, and a comment behind a statement.

    Args:
        source: a formatted program: a docstring shares its lines with nothing else.
    """
    tree = ast.parse(source)
    gone = set(_docstring_lines(tree))
    within = set(_lines_within_strings(tree))
    kept: list[str] = []
    for number, line in enumerate(source.splitlines(), start=1):
        comment = line.lstrip().startswith("#") and number > 1
        second_blank = not line and (not kept or not kept[-1])
        if number in gone or (number not in within and (comment or second_blank)):
            continue
        kept.append(line)
    return "\n".join(kept) + "\n"


def _docstring_lines(tree: ast.Module) -> Iterator[int]:
    """Find the strings that stand as statements, those that describe constants included."""
    kept = tree.body[:1]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and len(node.body) == 1:
            kept += node.body
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
            and node not in kept
        ):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _lines_within_strings(tree: ast.Module) -> Iterator[int]:
    """Find the lines that begin within a string: blank or with a hash, they are part of its value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno:
            yield from range(node.lineno + 1, node.end_lineno + 1)
