"""Secrets stand in objects that one service reads, or root alone.

A group's configuration is many objects in one bucket. `settings.env`, `compose.yaml` and others are read by every
service of the group, so a secret there would be every service's. A tenant's credentials are objects of a `for_each`,
in a bucket of their own.
"""

import re
from collections.abc import Iterator

from policies.policy import WRITTEN, Section, Severity, whole_stack
from policies.rules.secret_text import SECRET_ATTRIBUTE
from policies.stack import Resource, Stack
from policies.values import is_true, texts

# Of one service; the login of the image registry, which Docker reads; and those that root reads: of the isolation job,
# of the dumps, of the alerts, and of telemetry, which has tokens.
ALLOWED = re.compile(
    r"secrets\.[a-z][a-z0-9-]*\.env|registry\.json|isolation/[a-z0-9-]+\.json"
    r"|observability-secrets\.json|telemetry\.json|backups\.json"
)
# A manifest holds digests of the other objects: no secret.
DIGEST = re.compile(r"\b(?:sha256|md5)\(local\.[\w-]+\)")
# From the first expression on: a text without one, such as a program's, may speak of passwords.
EXPRESSIONS = re.compile(r"(?<!\$)\$\{.*", re.DOTALL)
VARIABLE = re.compile(r"\bvar\.(\w+)")
LOCAL = re.compile(r"\blocal\.([\w-]+)")


@whole_stack(
    12, Severity.CRITICAL, "Secrets stand in objects that one service reads",
    "Put it into secrets.<service>.env: what stands in another object is read by every service of the group.",
    section=Section.SECRETS, shapes=WRITTEN,
)  # fmt: skip
def in_objects(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """One verdict for each object that is written once."""
    for item in stack.of("digitalocean_spaces_bucket_object"):
        if "for_each" not in item.body:
            yield item, _problems(stack, item)


def _problems(stack: Stack, item: Resource) -> list[str]:
    key = str(item["key"])
    if ALLOWED.fullmatch(key):
        return []
    content = "\n".join(
        match[0] for text in _texts(stack, str(item["content"]), set()) if (match := EXPRESSIONS.search(text))
    )
    hidden = {
        name for name in VARIABLE.findall(content) if is_true(stack.variables.get(name, {}).get("sensitive"))
    }
    finds = {f"var.{name}" for name in hidden} | set(SECRET_ATTRIBUTE.findall(content))
    return [f"{key} shows {find}; put it into secrets.<service>.env" for find in sorted(finds)]


def _texts(stack: Stack, text: str, seen: set[str]) -> Iterator[str]:
    """Yield a text and the locals that it refers to, but for those of which it has a digest only."""
    if "${" not in text:
        return
    text = DIGEST.sub("a digest", text)
    yield text
    for name in set(LOCAL.findall(text)) - seen:
        seen.add(name)
        for found in texts(stack.locals.get(name)):
            yield from _texts(stack, found, seen)
