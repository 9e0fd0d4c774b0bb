"""DigitalOcean's OpenAPI document, as far as checking requests and answers against it goes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jsonschema import Draft4Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT4

DOCUMENT = "urn:digitalocean"

# OpenAPI 3.0 says `nullable` where JSON Schema says another type (OpenAPI Specification 3.0.3, "Schema Object").


def _type(validator: Any, types: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not (instance is None and schema.get("nullable")):
        yield from Draft4Validator.VALIDATORS["type"](validator, types, instance, schema)


def _enum(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not (instance is None and schema.get("nullable")):
        yield from Draft4Validator.VALIDATORS["enum"](validator, allowed, instance, schema)


def _all_of(validator: Any, schemas: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    # Wherever a whole may be null, the document says so in one of the parts.
    if not (instance is None and any(part.get("nullable") for part in schemas)):
        yield from Draft4Validator.VALIDATORS["allOf"](validator, schemas, instance, schema)


_extend: Any = extend  # the stubs say nothing of it
_Validator = _extend(Draft4Validator, {"type": _type, "enum": _enum, "allOf": _all_of})


class Document:
    """The document.

    Attributes:
        paths: what it knows, by template.
    """

    def __init__(self, file: Path) -> None:
        contents = json.loads(file.read_text(encoding="utf-8"))
        self.paths: dict[str, Any] = contents["paths"]
        resource = DRAFT4.create_resource(contents)
        self._registry: Registry[Any] = Registry().with_resource(DOCUMENT, resource)

    def has(self, method: str, template: str) -> bool:
        """Tell whether it knows an endpoint."""
        return method.lower() in self.paths.get(template, {})

    def request_errors(self, method: str, template: str, body: Any) -> list[str]:
        """Return what is wrong with a request's body."""
        operation = f"#/paths/{_escaped(template)}/{method.lower()}"
        if body is None:
            return []
        return self._errors(f"{operation}/requestBody", body)

    def answer_errors(self, method: str, template: str, status: int, answer: Any) -> list[str]:
        """Return what is wrong with an answer."""
        responses = f"#/paths/{_escaped(template)}/{method.lower()}/responses"
        known = self._at(responses)
        if str(status) not in known and status >= 400:
            return self._errors(f"{responses}/default", answer)
        if str(status) not in known:
            return [f"status {status} is none of {sorted(known)}"]
        return self._errors(f"{responses}/{status}", answer)

    def _errors(self, pointer: str, instance: Any) -> list[str]:
        content, at = self._follow(pointer)
        if "content" not in content:
            return [] if instance is None else [f"there is an answer, and the document has none: {instance}"]
        validator = _Validator({"$ref": f"{at}/content/application~1json/schema"}, registry=self._registry)
        return [
            f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
            for error in sorted(validator.iter_errors(instance), key=str)
        ]

    def _at(self, pointer: str) -> Any:
        return self._registry.resolver().lookup(f"{DOCUMENT}{pointer}").contents

    def _follow(self, pointer: str) -> tuple[Any, str]:
        """Return what stands at a pointer, and where it stands in the end."""
        found = self._at(pointer)
        while isinstance(found, dict) and set(found) == {"$ref"}:
            pointer = found["$ref"]
            found = self._at(pointer)
        return found, f"{DOCUMENT}{pointer}"


def _escaped(template: str) -> str:
    return quote(template.replace("~", "~0").replace("/", "~1"), safe="~")


def matches(template: str, path: str) -> bool:
    """Tell whether a path is one of a template's."""
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) is not None
