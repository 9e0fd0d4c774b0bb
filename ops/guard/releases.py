"""Which versions of which services a plan releases. Of an object's content only the image references are read."""

import json
import re
from collections.abc import Iterator, Mapping

from model.addresses import OBJECT, configuration_of
from ops.guard.text import quote
from ops.guard.world import World

_REFERENCE = re.compile(r"[\w.:/-]+(?:@(?P<digest>sha256:[0-9a-f]{64})|:(?P<tag>[\w.-]+))")
_SHORT = len("sha256:") + 12
"""Characters of a digest that are shown, as Docker does."""


def released(world: World) -> Iterator[tuple[str, str]]:
    """Yield stack and line for each service whose version changes, once for all groups that run it."""
    told = set()
    for change in world.changes:
        part = configuration_of(change.block) if change.kind == OBJECT and change.updates else None
        if part is None or part[1] != "release-json" or "content" in change.hidden:
            continue
        before, after = _versions(change.before), _versions(change.after)
        for service in sorted(before.keys() & after.keys()):
            if before[service] != after[service]:
                told.add(
                    (change.stack, f"{quote(service)} {quote(before[service])} -> {quote(after[service])}")
                )
    yield from sorted(told)


def _versions(attributes: Mapping[str, object]) -> dict[str, str]:
    try:
        images = json.loads(str(attributes.get("content") or "{}"))["images"]
        found = {str(service): _REFERENCE.fullmatch(str(image)) for service, image in images.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {service: match["tag"] or match["digest"][:_SHORT] for service, match in found.items() if match}
