"""No output shows a secret.

Outputs appear in CI logs and in `cdktf output`. checkov has no checks for outputs, so this reads the stack's file. It
follows local values, because they cannot be marked as sensitive.
"""

import re
from collections.abc import Iterator

from policies.reading import LINE_MARKS, Block, StackPolicy, is_true

SECRET = re.compile(
    r"""(?:\.|\[\s*["'])(password|uri|private_uri|secret_key|private_key|token|docker_credentials|kube_config)\b"""
)
# A whole resource that has such an attribute; not `for u in digitalocean_database_user.x :`, which picks.
WHOLE = re.compile(
    r"(?<!\bin )\b(digitalocean_(?:database_cluster|database_user|database_replica|database_connection_pool"
    r"|spaces_key)\.[\w-]+)(?:\[[^\]]*\])?(?![\w.\[-])"
)
LOCAL = re.compile(r"\blocal\.([\w-]+)")


def verdicts(stack: Block) -> dict[str, list[str]]:
    """One verdict for each output."""
    return {
        f"output.{name}": [] if is_true(body.get("sensitive")) else _problems(stack, body.get("value"))
        for name, body in stack.get("output", {}).items()
        if name not in LINE_MARKS
    }


def _problems(stack: Block, value: object) -> list[str]:
    texts = list(_texts(stack, value, set()))
    finds = {found for text in texts for pattern in (SECRET, WHOLE) for found in pattern.findall(text)}
    return [f"shows {find}; set sensitive = true, or do not output it" for find in sorted(finds)]


def _texts(stack: Block, value: object, seen: set[str]) -> Iterator[str]:
    """Each string in a value and in the locals it refers to."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(stack, key, seen)
            yield from _texts(stack, item, seen)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(stack, item, seen)
    elif isinstance(value, str):
        yield value
        for name in set(LOCAL.findall(value)) - seen:
            seen.add(name)
            yield from _texts(stack, stack.get("locals", {}).get(name), seen)


check = StackPolicy("CKV_P360_10", "Outputs that show a secret are sensitive", verdicts)
