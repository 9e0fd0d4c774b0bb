"""A scan of the checkout for secrets, by detect-secrets (Yelp, Apache-2.0).

Of its detectors those that know a format, and not those that measure randomness: digests are everywhere here. That of
passwords in addresses is left out as well: templates of addresses are everywhere too, and the operators' files are read
with a rule of their own (model/secret_values.py). A line that shows a secret as an example says so, in detect-secrets'
own way: `pragma: allowlist secret`.
"""

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from inspect import isclass
from pathlib import Path
from typing import Any

from model.placeholders import is_placeholder
from model.secret_values import may_be_secret
from ops.git import git

_LEFT_OUT = frozenset({"BasicAuthDetector", "IPPublicDetector"})
_HEURISTICS = (
    "is_templated_secret",
    "is_prefixed_with_dollar_sign",
    "is_sequential_string",
    "is_not_alphanumeric_string",
    "is_indirect_reference",
)
_ALLOWED = "pragma: allowlist secret"
# Whole tokens and Spaces keys of DigitalOcean (its documentation, "Personal access tokens", "Spaces access keys"):
# detect-secrets does not know them.
_OURS = re.compile(r"\bdo[oprt]_v1_[0-9a-f]{64}\b|\bDO00[0-9A-Z]{16}\b")
# UTF-32's begins with UTF-16's.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}


@dataclass(frozen=True)
class Found:
    """A line that may hold a secret; the secret itself is kept nowhere.

    Attributes:
        file: below the checkout.
        line: its number.
        kind: of the secret.
    """

    file: str
    line: int
    kind: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.kind})"


@dataclass(frozen=True)
class Scan:
    """What a scan came to.

    Attributes:
        found: lines that may hold a secret.
        unread: files that could not be read, so that nothing is known of them.
    """

    found: tuple[Found, ...]
    unread: tuple[str, ...]


def scan(root: Path) -> Scan:
    """Scan what git has, and what it does not ignore.

    Raises:
        OperationError: it is no checkout.
    """
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    unread: list[str] = []
    texts = _texts(root, sorted(filter(None, listed)), unread)
    return Scan(tuple(_scan(texts)), tuple(unread))


def _texts(root: Path, files: list[str], unread: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the files with their texts; note those that cannot be read."""
    for file in files:
        path = root / file
        try:
            # Of a link, git has where it points to.
            yield file, str(path.readlink()) if path.is_symlink() else _text(path.read_bytes())
        except FileNotFoundError:
            continue
        except OSError:
            # A folder as well: a repository inside of this one (git-submodule(1)).
            unread.append(file)


def _text(content: bytes) -> str:
    """Return any file as a text in which a secret can be found.

    By the mark at its beginning; otherwise as UTF-8, or byte by byte, which shows what is ASCII in any encoding. Zeros
    are between the letters of UTF-16 without a mark.
    """
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\0", "")


def _scan(texts: Iterable[tuple[str, str]]) -> Iterator[Found]:
    from detect_secrets.core.scan import scan_line  # noqa: PLC0415  (0.5 s to import)
    from detect_secrets.settings import transient_settings  # noqa: PLC0415

    with transient_settings(_settings()):
        for file, text in texts:
            if not may_be_secret(text):
                continue
            for number, line in enumerate(text.splitlines(), start=1):
                if not may_be_secret(line):
                    continue
                ours = _OURS.search(line)
                if ours and _ALLOWED not in line and not is_placeholder(ours.group()):
                    yield Found(file, number, "DigitalOcean")
                yield from (Found(file, number, str(one.type)) for one in scan_line(line))


def _settings() -> dict[str, Any]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # noqa: PLC0415
    from detect_secrets.plugins.base import RegexBasedDetector  # noqa: PLC0415

    known: Mapping[str, Any] = get_mapping_from_secret_type_to_class()
    kinds = [
        kind.__name__
        for kind in known.values()
        if isclass(kind) and issubclass(kind, RegexBasedDetector) and kind.__name__ not in _LEFT_OUT
    ]
    heuristics = [f"detect_secrets.filters.heuristic.{name}" for name in _HEURISTICS]
    return {
        "plugins_used": [{"name": name} for name in sorted(kinds)],
        "filters_used": [
            {"path": path} for path in ("detect_secrets.filters.allowlist.is_line_allowlisted", *heuristics)
        ],
    }
