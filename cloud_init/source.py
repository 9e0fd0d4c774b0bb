"""Take from a Python program what only its readers need, so that user data stays short. Pure.

Not compressed instead: another zlib packs the same text into other bytes, and other bytes replace every droplet.
"""

import ast
import io
import tokenize
from collections.abc import Iterator

Span = tuple[int, int, int, int]
"""From line and column to line and column: lines from 0, columns in characters."""


def without_comments(source: str) -> str:
    """Return a program without its comments and the docstrings inside it; it does the same.

    The first line (`#!`) and the module's own docstring stay: the one is the kernel's, the other what `--help`
    shows. So does a docstring that is all there is of a class or a function.
    """
    lines = source.splitlines()
    emptied = set()
    # From the end, so that what is still to go stays where it was.
    for first, begin, last, end in sorted([*_comments(source), *_docstrings(source)], reverse=True):
        lines[first] = (lines[first][:begin] + lines[last][end:]).rstrip()
        emptied |= {first} if not lines[first] else set()
        emptied |= set(range(first + 1, last + 1))
    within = set(_within_strings(source))
    kept: list[str] = []
    for number, line in enumerate(lines):
        if number in emptied or (not line and number not in within and (not kept or not kept[-1])):
            continue
        kept.append(line)
    return "\n".join(kept) + "\n"


def _comments(source: str) -> Iterator[Span]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not (token.start == (1, 0) and token.string.startswith("#!")):
            yield token.start[0] - 1, token.start[1], token.end[0] - 1, token.end[1]


def _docstrings(source: str) -> Iterator[Span]:
    """Find the strings that stand as statements, those that describe constants included."""
    lines = source.splitlines()
    tree = ast.parse(source)
    kept = tree.body[:1]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and len(node.body) == 1:
            kept += node.body
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node not in kept:
            if (
                not isinstance(node.value.value, str)
                or node.end_lineno is None
                or node.end_col_offset is None
            ):
                continue
            first, last = node.lineno - 1, node.end_lineno - 1
            # The parser counts bytes.
            begin = len(lines[first].encode()[: node.col_offset].decode())
            yield first, begin, last, len(lines[last].encode()[: node.end_col_offset].decode())


def _within_strings(source: str) -> Iterator[int]:
    """Find the lines that begin within a string: blank or not, they are part of its value."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno is not None:
            yield from range(node.lineno, node.end_lineno)
