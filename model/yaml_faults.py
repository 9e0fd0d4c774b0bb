"""What is wrong with a text that is no YAML, at the line where a person has to look."""

import re
from typing import Any, TypeAlias

import yaml

from model.secret_values import is_secret, may_be_secret

Fault: TypeAlias = tuple[int, str, str]
"""Line, message and remedy."""

# YAML 1.2.2, section 5.1: what no YAML text may hold, and libyaml reports without a line. And the line breaks
# that only libyaml counts: behind them every line number would be another than the editor's.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")
# YAML 1.2.2, section 6.6: a comment begins the line or stands behind a blank.
_COMMENT = re.compile(r"(?:^|(?<=[ \t]))#.*", re.MULTILINE)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")


def text_fault(text: str) -> Fault | None:
    """Find what no operator's file may hold, whatever it means."""
    if control := _CONTROL.search(text):
        message = f"the control character {control.group()!r} is not allowed"
        return _line(text, control), message, "Remove it; an editor that shows invisible characters helps."
    if key := _PRIVATE_KEY.search(text):
        return (
            _line(text, key),
            "this is a private key, and this file is in git",
            "Remove it and make a new pair of keys: this one is exposed. Only the line of the .pub file belongs here.",
        )
    return None


def comment_fault(text: str) -> Fault | None:
    """Find a password or a key in a comment: git and its readers do not tell comments from values."""
    if may_be_secret(text):
        for comment in _COMMENT.finditer(text):
            if is_secret(comment.group()):
                return (
                    _line(text, comment),
                    "this comment contains a password or a key, and this file is in git",
                    "Remove it, and replace the password or key where it comes from: it is exposed.",
                )
    return None


def _line(text: str, found: re.Match[str]) -> int:
    return text.count("\n", 0, found.start()) + 1


def syntax_fault(text: str, error: yaml.MarkedYAMLError, loader: Any) -> Fault:
    """Explain libyaml's error."""
    if quote := _open_quote(text, error, loader):
        first, last = quote
        message = "a quote opens on this line and is not closed on it"
        if last:
            message = f"a quote opens on this line and closes on line {last}"
        return first, message, "Close it at the end of the value."
    mark = error.problem_mark or error.context_mark
    # What is missing at the end is reported behind it.
    line = min(mark.line, text.count("\n")) + 1 if mark else 0
    message = f"this is not YAML: {error.problem or error.context}"
    if error.context_mark and error.context_mark.line + 1 < line:
        message += f", in the block that begins on line {error.context_mark.line + 1}"
    tab = line and re.match(r" *\t", text.split("\n")[line - 1])
    remedy = (
        "Indent with spaces, not with tabs."
        if tab
        else "Check the indentation, quotes and colons near this line."
    )
    return line, message, remedy


def _open_quote(text: str, error: yaml.MarkedYAMLError, loader: Any) -> tuple[int, int] | None:
    """Return the line of the quote that swallows what follows it, and the line where it ends; 0: nowhere.

    A quote that is not closed ends at the next one, lines below, and only what stands behind that is no YAML. So it is
    the last text in quotes before the error, if it has more than one line.
    """
    last: Any = None
    if not any(quote in text for quote in "'\""):
        return None  # A megabyte of tokens takes 5 s.
    try:
        for token in yaml.scan(text, Loader=loader):
            if isinstance(token, yaml.ScalarToken):
                if error.problem_mark and token.start_mark.index > error.problem_mark.index:
                    break
                last = token if token.style in {"'", '"'} else last
    except yaml.MarkedYAMLError as scanning:
        unclosed = "unexpected" in (scanning.problem or "") and "quoted scalar" in (scanning.context or "")
        if unclosed and scanning.context_mark:
            return scanning.context_mark.line + 1, 0
    if last is not None and last.start_mark.line < last.end_mark.line:
        return last.start_mark.line + 1, last.end_mark.line + 1
    return None
