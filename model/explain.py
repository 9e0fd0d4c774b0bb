"""Say in an operator's words what pydantic found wrong with a file's shape."""

import re
from collections.abc import Collection, Mapping
from inspect import isclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from model import choices
from model.backups_file import RECIPIENT_PATTERN
from model.environment import CELL_PATTERN, VARIABLE_PATTERN
from model.errors import SECRETS, Finding, YamlPath, did_you_mean, shown, shown_recipient
from model.schema import LABEL_PATTERN, TEXT_PATTERN
from model.secret_values import HIDDEN
from model.services import CATALOGUE
from model.tenants import Tenant, fresh_id
from model.yaml_document import LeadingZero

LABEL_RULE = "Use 1 to 20 of a-z, 0-9 and hyphens, starting with a letter, ending without a hyphen."
# What stands in quotes although it would be right without them.
_BOOLEANS = ("true", "false")
_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")
_NUMBER = re.compile(rf"(?:{_WHOLE.pattern})(?:\.[0-9]{{1,9}})?")

# Patterns that many fields share; what is special about one is in its description.
_PATTERN_RULES = {
    LABEL_PATTERN: LABEL_RULE,
    TEXT_PATTERN: "Write one line of text: no blanks at its ends, and no control, zero-width or direction characters.",
    CELL_PATTERN: "Write cell-2, cell-3 and so on: the environment's own stack is the first cell.",
    VARIABLE_PATTERN: "Use 1 to 63 of A-Z, 0-9 and underscores, starting with a letter: LOG_LEVEL.",
    RECIPIENT_PATTERN: "Copy the line `# public key: age1...` that `age-keygen` writes, without its beginning.",
}


def explain(model: type[BaseModel], error: ValidationError) -> list[Finding]:
    """Turn pydantic's errors into findings, one for each place and message."""
    found: dict[tuple[YamlPath, str], Finding] = {}
    for details in error.errors():
        if details["type"] == "too_short" and details["input"]:
            continue  # Pydantic counts the valid entries only; the others have an error of their own.
        finding = _finding(model, details)
        found.setdefault((finding.path, finding.message), finding)
    return list(found.values())


def without_value(model: type[BaseModel], value: object, told: Collection[YamlPath]) -> list[Finding]:
    """Find optional keys that have no value.

    Pydantic takes them for keys that are not there: an empty `migrations:`, whose lines are all commented out, would
    turn migrations off without a word.

    Args:
        model: the file's model.
        value: the file's content.
        told: the paths where something is wrong already; nothing is said of what is below them.
    """
    found, pending = list[Finding](), list[tuple[YamlPath, object]]([((), value)])
    while pending:
        path, here = pending.pop()
        if path in told:
            continue
        if here is None and path:
            place = _Place.at(model, path)
            remedy = f"Give it a value, or remove the line. {place.rule}".rstrip()
            found.append(Finding(path, "this has no value", f"{remedy}{place.keys}"))
        elif isinstance(here, Mapping):
            pending.extend(((*path, key), child) for key, child in here.items())
        elif isinstance(here, tuple):
            pending.extend(((*path, index), child) for index, child in enumerate(here))
    return found


_LIST_THE_SERVICES = (
    "List the services that need it: [worker]. If this is its value, it is exposed: replace it where it comes "
    "from, and keep "
    "the new one out of these files (.env.example says where it goes)."
)
_NAME_THE_SECRETS = (
    "Write a line for each secret with its name and the services that need it: MNOTIFY_API_KEY: [worker]. If this is "
    "the value of a secret, it is exposed: replace it where it comes from, and keep the new one out of these files "
    "(.env.example says where it goes)."
)


def _finding(model: type[BaseModel], details: ErrorDetails) -> Finding:  # noqa: PLR0911, PLR0912, PLR0915 (a case a kind)
    path: YamlPath = details["loc"]
    at_key = bool(path) and path[-1] == "[key]"
    if at_key:
        path = path[:-1]
    place = _Place.at(model, path)
    value = details["input"]
    rule = place.rule
    told = shown(value)
    if path[:1] == (SECRETS,):
        told = told if isinstance(value, str) and value in CATALOGUE else HIDDEN
        if not at_key and (secret := _in_place_of_names(path, value)):
            return secret
    match details["type"]:
        case "missing":
            key = str(path[-1])
            line = f"Add `id: {fresh_id()}`." if (place.owner, key) == (Tenant, "id") else f"Add `{key}:`."
            return Finding(path, "this key is missing", f"{line} {rule}".rstrip())
        case "extra_forbidden":
            known = sorted(place.owner.model_fields) if place.owner else []
            remedy = f"{did_you_mean(path[-1], known)}Allowed here: {', '.join(known)}."
            return Finding(path, f"the key {shown(path[-1])} is unknown", remedy, at_key=True)
        case _ if value is None:
            return _empty(path, details["type"], place)
        case _ if at_key:
            return _misnamed(path, details, told)
        case "literal_error" | choices.ONE_OF:
            allowed = place.literals or details["ctx"]["allowed"]
            return Finding(path, f"{told} is not one of the allowed values", _choose(value, allowed))
        case "value_error":
            reason = details.get("ctx", {}).get("error", details["msg"])
            return Finding(path, f"{told} is not allowed: {reason}", rule)
        case "string_type":
            scalar = isinstance(value, (bool, int, float, LeadingZero))
            how = f'Write it in quotes: "{told}".' if scalar else "Write text."
            return Finding(path, f"{told} is not text", f"{how} {rule}".rstrip())
        case "string_pattern_mismatch":
            pattern = details.get("ctx", {})["pattern"]
            told = shown_recipient(value) if pattern == RECIPIENT_PATTERN else told
            shared = _PATTERN_RULES.get(pattern, "")
            return Finding(path, f"{told} is not allowed", f"{shared} {rule}".strip())
        case "string_too_long":
            limit = details.get("ctx", {})["max_length"]
            message = f"{told} has {len(value)} characters; at most {limit} are allowed"
            return Finding(path, message, f"Shorten it. {rule}".rstrip())
        case "int_type" | "float_type":
            return _no_number(path, value, told, rule, whole=details["type"] == "int_type")
        case "bool_type":
            how = f"Write it without quotes: {value}." if value in _BOOLEANS else "Write `true` or `false`."
            return Finding(path, f"{told} is neither true nor false", f"{how} {rule}".rstrip())
        case "too_short" | "string_too_short":
            return Finding(path, "this is empty", rule)
        case "tuple_type":
            return Finding(path, f"{told} is not a list", f"Write a list. {rule}".rstrip())
        case "model_type" | "mapping_type" | "dict_type":
            return Finding(path, f"{told} is not a mapping", f"Write `key: value` lines.{place.keys}")
        case "greater_than_equal" | "less_than_equal":
            context = details.get("ctx", {})
            limit = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
            return Finding(path, f"{told} is out of range", f"Write {limit}. {rule}".rstrip())
        case _:
            return Finding(path, f"{told} is not allowed", rule or details["msg"])


def _empty(path: YamlPath, kind: str, place: "_Place") -> Finding:
    """Explain a key without a value: what its value looks like, and that an optional key can go."""
    values = {"bool_type": "`true` or `false`", "int_type": "a whole number", "float_type": "a number"}
    how = ""
    if kind in values:
        field = place.owner.model_fields.get(str(path[-1])) if place.owner else None
        optional = field is not None and not field.is_required()
        how = f"Write {values[kind]}{', or remove the line' if optional else ''}."
    remedy = f"{how} {place.rule}".strip()
    return Finding(path, "this has no value", remedy or f"Write `key: value` lines.{place.keys}")


def _in_place_of_names(path: YamlPath, value: object) -> Finding | None:
    """Explain what stands where names of secrets and services belong: it may be a secret, in a format nobody knows."""
    if len(path) == 1 and value is not None:
        return Finding(path, f"{HIDDEN} is not a mapping", _NAME_THE_SECRETS)
    if not _resembles_services(value):
        return Finding(path, f"{HIDDEN} is not a list of services", _LIST_THE_SERVICES)
    return None


def _resembles_services(value: object) -> bool:
    """Tell whether a value is, or is nearly, one service or a list of them; nothing at all is no secret either."""
    written = value if isinstance(value, (tuple, list)) else [value]
    return value is None or all(isinstance(one, str) and did_you_mean(one, CATALOGUE) for one in written)


def _no_number(path: YamlPath, value: object, told: str, rule: str, *, whole: bool) -> Finding:
    if isinstance(value, LeadingZero):
        message = f"{told} begins with 0: some programs read such a number as octal"
        return Finding(path, message, f"Write it without the zero. {rule}".rstrip())
    message = f"{told} is not a {'whole ' if whole else ''}number"
    how = "Write digits only. " if whole else ""
    if isinstance(value, str) and (_WHOLE if whole else _NUMBER).fullmatch(value):
        how = f"Write it without quotes: {value}. "
    return Finding(path, message, f"{how}{rule}".rstrip())


def _misnamed(path: YamlPath, details: ErrorDetails, told: str) -> Finding:
    """Explain what is wrong with a key that operators name themselves."""
    written = details["input"]
    if details["type"] == choices.ONE_OF:
        remedy = _choose(written, details["ctx"]["allowed"])
        return Finding(path, f"there is no service {told}", remedy, at_key=True)
    pattern = details.get("ctx", {}).get("pattern", LABEL_PATTERN)
    remedy = _PATTERN_RULES.get(pattern, LABEL_RULE)
    return Finding(path, f"the name {told} is not allowed", remedy, at_key=True)


def _choose(value: object, allowed: list[str]) -> str:
    if str(value) in allowed:
        return f'Write it in quotes: "{value}".'
    return f"{did_you_mean(value, allowed)}Choose one of: {', '.join(allowed)}."


class _Place:
    """What the models say about one path of a file.

    Attributes:
        owner: the model whose key the path ends in, or below which it lies.
        field: that key's field; None where the key is unknown.
        annotation: the type of the value there.
    """

    def __init__(self, owner: type[BaseModel] | None, field: FieldInfo | None, annotation: Any) -> None:
        self.owner = owner
        self.field = field
        self.annotation = annotation

    @classmethod
    def at(cls, model: type[BaseModel], path: YamlPath) -> "_Place":
        owner: type[BaseModel] | None = None
        field: FieldInfo | None = None
        here: Any = model
        for part in path:
            here = _bare(here)
            if isclass(here) and issubclass(here, BaseModel):
                owner = here
                field = here.model_fields.get(str(part))
                if field is None:
                    return cls(owner, None, None)
                here = field.annotation
            else:
                arguments = get_args(here)
                here = arguments[0] if get_origin(here) is tuple else arguments[1]
        return cls(owner, field, _bare(here))

    @property
    def rule(self) -> str:
        """The field's description: what it takes."""
        return (self.field.description or "") if self.field else ""

    @property
    def keys(self) -> str:
        """A sentence with the keys of the mapping that belongs here; empty where they are free."""
        here = self.annotation
        known = list(here.model_fields) if isclass(here) and issubclass(here, BaseModel) else []
        return f" Its keys: {', '.join(known)}." if known else ""

    @property
    def literals(self) -> list[str]:
        """The values that are allowed here."""
        return [str(value) for value in get_args(self.annotation)]


def _bare(annotation: Any) -> Any:
    """Strip None from an optional annotation and the metadata from an annotated one."""
    if get_origin(annotation) in {Union, UnionType}:
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    return annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation
