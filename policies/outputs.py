"""No output shows a secret.

Outputs appear in CI logs and in `cdktf output`. checkov has no checks for outputs, so this reads the stack's file. It
follows local values, because they cannot be marked as sensitive.
"""

import re

from policies.reading import LINE_MARKS, Block, StackPolicy, is_true, texts
from policies.secret_text import SECRET_ATTRIBUTE

# A whole resource that has such an attribute; not `for u in digitalocean_database_user.x :`, which picks.
WHOLE = re.compile(
    r"(?<!\bin )\b(digitalocean_(?:database_cluster|database_user|database_replica|database_connection_pool"
    r"|spaces_key)\.[\w-]+)(?:\[[^\]]*\])?(?![\w.\[-])"
)


def verdicts(stack: Block) -> dict[str, list[str]]:
    """One verdict for each output."""
    return {
        f"output.{name}": [] if is_true(body.get("sensitive")) else _problems(stack, body.get("value"))
        for name, body in stack.get("output", {}).items()
        if name not in LINE_MARKS
    }


def _problems(stack: Block, value: object) -> list[str]:
    shown = list(texts(stack, value))
    finds = {
        found for text in shown for pattern in (SECRET_ATTRIBUTE, WHOLE) for found in pattern.findall(text)
    }
    return [f"shows {find}; set sensitive = true, or do not output it" for find in sorted(finds)]


check = StackPolicy("CKV_P360_10", "Outputs that show a secret are sensitive", verdicts)
