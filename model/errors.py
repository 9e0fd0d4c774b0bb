"""Problems in operators' files: where, what was written, what is allowed, what to do."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.secret_values import HIDDEN, is_secret, redacted

# Characters of a value that a message repeats.
_SHOWN = 60

SECRETS = "secrets"
"""The key of environment.yaml below which only names belong. What stands there instead may be a secret in a format that
nobody knows, so it is shown in no message, whatever its shape."""
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,62}")

YamlPath = tuple[str | int, ...]
"""Where a value stands in a file: ``("groups", "app", "services", 0)``."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that an operator has to correct.

    Attributes:
        file: the file as the operator would name it.
        line: the line, counted from 1; 0 when the whole file is meant.
        path: where in the file, as ``groups.app.services[0]``; empty for the whole file.
        message: what is wrong, with the value that was written.
        remedy: what to do about it, as an imperative sentence.
    """

    file: str
    line: int
    path: str
    message: str
    remedy: str

    def __post_init__(self) -> None:
        # Messages end up in CI's logs. Here it is seen to once, for every message that is ever worded.
        for name in ("path", "message", "remedy"):
            object.__setattr__(self, name, redacted(getattr(self, name)))
        object.__setattr__(self, "file", printable(_redacted_file(self.file)))

    def __str__(self) -> str:
        where = self.file if self.line == 0 else f"{self.file}:{self.line}"
        subject = f"{self.path}: " if self.path else ""
        return f"{where}: {subject}{self.message}\n    {self.remedy}"


def _redacted_file(file: str) -> str:
    """Hide the part of a path that is a secret: a token that was given as a name becomes a folder's name."""
    told = "/".join(map(redacted, file.split("/"))) if is_secret(file) else file
    # An address with a password in it is a secret as a whole, and its parts are not.
    return redacted(told)


class InvalidInputError(Exception):
    """The operators' files cannot be used; carries every problem found, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __str__(self) -> str:
        count = len(self.problems)
        heading = f"{count} problem{'' if count == 1 else 's'} in the environment files; nothing was written."
        return "\n".join([*(str(problem) for problem in self.problems), "", heading])


@dataclass(frozen=True)
class Finding:
    """A problem of one file's content, before the file and the line are known."""

    path: YamlPath
    message: str
    remedy: str
    at_key: bool = False
    """True when the key itself is wrong, so that its own line is shown."""


class Findings:
    """Collects the findings of one file, so that an operator sees all of them at once."""

    def __init__(self) -> None:
        self._found: list[Finding] = []

    def add(self, path: YamlPath, message: str, remedy: str, *, at_key: bool = False) -> None:
        """Record one finding."""
        self._found.append(Finding(path, message, remedy, at_key))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found)


def format_path(path: YamlPath) -> str:
    """Write a path the way operators read it: ``tenants[3].slug``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        # A key is free text until it is known: no line break of it may look like a second message.
        name = part if part.isprintable() and len(part) <= _SHOWN and not is_secret(part) else shown(part)
        if text and path[0] == SECRETS and not _VARIABLE.fullmatch(part):
            name = HIDDEN
        text += f".{name}" if text else name
    return text


def shown(value: object) -> str:
    """Quote a value for a message as YAML would write it, short enough to stay on a line; a secret is not repeated."""
    text = _flow(value)
    if is_secret(text):
        return HIDDEN
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def shown_recipient(value: object) -> str:
    """Quote what stands for a public key of age. What does not begin as one may be any secret, and is not repeated."""
    return shown(value) if isinstance(value, str) and value.startswith("age1") else HIDDEN


def _flow(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        shown_by_key = {key: HIDDEN if key == SECRETS else _flow(child) for key, child in value.items()}
        return "{" + ", ".join(f"{key}: {child}" for key, child in shown_by_key.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return repr(value)


def printable(text: str) -> str:
    """Return a text on one line, with what a terminal would obey or not show escaped as Python writes it."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def did_you_mean(written: object, known: Iterable[str]) -> str:
    """Return ``Did you mean 'x'? `` with a trailing blank, or nothing if no name is near."""
    near = difflib.get_close_matches(str(written), list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}? " if near else ""


def relative_name(file: Path) -> str:
    """Name a file as the operator would: relative to the working directory where it lies below it."""
    try:
        # The folder is resolved and the file is not: a symbolic link is called by its own name, not by its target's.
        return (file.parent.resolve() / file.name).relative_to(Path.cwd()).as_posix()
    except ValueError:
        return file.as_posix()
