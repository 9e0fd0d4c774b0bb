"""Integers in what somebody else wrote."""

LATEST = 253_402_300_799
"""The last second of the year 9999, the last that a status can name."""

_LARGEST = 2**53
"""JSON's readers agree on integers up to this one (RFC 8259, section 6)."""


def integer(value: object, least: int = -_LARGEST, most: int = _LARGEST) -> int:
    """Return a member that is to be an integer.

    ``int()`` reads more than that: JSON's `1e999` is a float without end, and an OverflowError.

    Raises:
        ValueError: it is something else, or too small or large.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError("integer")
    return value
