"""Secrets stand in objects that one service reads, or root alone.

A group's configuration is many objects in one bucket. `settings.env`, `compose.yaml` and others are read by every
service of the group, so a secret there would be every service's. A tenant's credentials are objects of a `for_each`,
in a bucket of their own.
"""

import json
import re

from policies.reading import Block, StackPolicy, is_true, resources, texts
from policies.secret_text import SECRET_ATTRIBUTE

# Of one service; the login of the image registry, which Docker reads; and the isolation job's, which root reads.
ALLOWED = re.compile(r"secrets\.[a-z][a-z0-9-]*\.env|registry\.json|isolation/[a-z0-9-]+\.json")
# A manifest holds digests of the other objects: no secret.
DIGEST = re.compile(r"\b(?:sha256|md5)\(local\.[\w-]+\)")
# From the first expression on: a text without one, such as a program's, may speak of passwords.
EXPRESSIONS = re.compile(r"(?<!\$)\$\{.*", re.DOTALL)
VARIABLE = re.compile(r"\bvar\.(\w+)")


def verdicts(stack: Block) -> dict[str, list[str]]:
    """One verdict for each object that is written once."""
    stack = json.loads(DIGEST.sub("a digest", json.dumps(stack)))
    return {
        address: _problems(stack, body)
        for address, body in resources(stack, "digitalocean_spaces_bucket_object")
        if "for_each" not in body
    }


def _problems(stack: Block, body: Block) -> list[str]:
    key = str(body.get("key"))
    if ALLOWED.fullmatch(key):
        return []
    found = (EXPRESSIONS.search(text) for text in texts(stack, body.get("content")))
    content = "\n".join(match[0] for match in found if match)
    variables = stack.get("variable", {})
    hidden = {name for name in VARIABLE.findall(content) if is_true(variables.get(name, {}).get("sensitive"))}
    finds = {f"var.{name}" for name in hidden} | set(SECRET_ATTRIBUTE.findall(content))
    return [f"{key} shows {find}; put it into secrets.<service>.env" for find in sorted(finds)]


check = StackPolicy("CKV_P360_12", "Secrets stand in objects that one service reads", verdicts)
