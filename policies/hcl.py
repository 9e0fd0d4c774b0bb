"""HCL in Terraform's JSON syntax: what the parser that checkov brings makes of a file, without its wrapping.

The parser puts each argument into a list of one, and repeated blocks into a list of objects. A map looks like a block
there; it is one unless every value in it is wrapped too.
"""

import re
from typing import Any

from policies.stack import LINE_MARKS
from policies.values import Block

LABELLED = {"backend", "provisioner"}
"""Blocks inside of others that have a label."""
_WHOLE = re.compile(r"\$\{([^{}]*)\}")


def to_json(parsed: Block, file: str) -> Block:
    """Return a parsed file in Terraform's JSON syntax; resources know the file's name."""
    content: Block = {}
    for kind, blocks in parsed.items():
        if kind in ("resource", "data"):
            content[kind] = [
                {type_: {name: _block(body) | {"__file__": file} for name, body in named.items()}}
                for one in blocks
                for type_, named in one.items()
                if type_ not in LINE_MARKS
            ]
        elif kind == "locals":
            content[kind] = [
                {name: _argument(value) for name, value in one.items() if name not in LINE_MARKS}
                for one in blocks
            ]
        elif kind == "terraform":
            content[kind] = [_block(one) for one in blocks]
        elif kind == "moved":
            content[kind] = [{name: _bare(value) for name, value in _block(one).items()} for one in blocks]
        else:
            content[kind] = [
                {name: _block(body) for name, body in one.items() if isinstance(body, dict)} for one in blocks
            ]
    return content


def _block(body: Block) -> Block:
    return {
        name: value if name in LINE_MARKS else _labelled(value) if name in LABELLED else _argument(value)
        for name, value in body.items()
    }


def _labelled(value: list[Block]) -> list[Block]:
    return [{label: _block(body) for label, body in one.items() if isinstance(body, dict)} for one in value]


def _argument(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if value and all(isinstance(item, dict) for item in value):
        unwrapped = [_block(item) if _is_block(item) else item for item in value]
        return unwrapped[0] if len(unwrapped) == 1 else unwrapped
    return value[0] if len(value) == 1 else value


def _is_block(item: Block) -> bool:
    return bool(item) and all(
        isinstance(value, list) for name, value in item.items() if name not in LINE_MARKS
    )


def _bare(value: object) -> str:
    return _WHOLE.sub(r"\1", str(value))
