"""What readers of the contracts between droplets, Terraform and operators share: members of a JSON object.

Droplets write in the same way, without this file (droplet/ imports nothing of ours).
"""

import json
from datetime import UTC, datetime
from typing import Any, Final

TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
"""How times are written: UTC, to the second."""

REASON_CHARACTERS: Final = 400
"""The longest reason that a droplet writes (droplet/converge/status.py); what is longer is cut."""

LARGEST_INTEGER: Final = 2**53
"""JSON's readers agree on integers up to this one (RFC 8259, section 6)."""


class ContractError(ValueError):
    """An object does not have the form that its writer promises; the message does not quote it."""


def members(content: str | bytes, what: str) -> dict[str, Any]:
    """Return the members of a JSON object.

    Raises:
        ContractError: it is none; the message begins with `what`.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise ContractError(f"{what}: not JSON") from None
    if not isinstance(value, dict):
        raise ContractError(f"{what}: not a JSON object")
    return value


def integer(value: object) -> int:
    """Return a member that is to be an integer; ``int()`` reads more, and ends with an OverflowError at `1e999`.

    Raises:
        ValueError: it is something else, or too large.
    """
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST_INTEGER:
        raise ValueError("integer")
    return value


def number(value: object) -> float:
    """Return a member that is to be a number, with a fraction or without.

    Raises:
        ValueError: it is something else, or too large.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= LARGEST_INTEGER:
        raise ValueError("number")
    return float(value)


def text(value: object) -> str:
    """Return a member that is to be a string.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def line(value: object) -> str:
    """Return a droplet's own words as one short line: they reach terminals and logs, and it may be compromised.

    GitHub takes `##[...]` anywhere in a line for a command (actions/runner, ActionCommand.cs).

    Raises:
        TypeError: it is no string.
    """
    words = "".join(one if one.isprintable() else " " for one in text(value)[:REASON_CHARACTERS])
    return words.replace("##[", "## [")


def moment(value: object) -> datetime:
    """Return a member that is to be a time.

    Raises:
        TypeError: it is no string.
        ValueError: it is written in another way.
    """
    return datetime.strptime(text(value), TIME).replace(tzinfo=UTC)


def instant(value: object) -> datetime:
    """Return a time of an API: RFC 3339, with or without a fraction of a second, in any zone, as DigitalOcean's is.

    Raises:
        TypeError: it is no string.
        ValueError: it is written in another way, or names no zone.
    """
    found = datetime.fromisoformat(text(value))
    if found.tzinfo is None:
        raise ValueError("it names no zone")
    return found.astimezone(UTC)
