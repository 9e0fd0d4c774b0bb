"""The errors that end a rehearsal."""

from ops.errors import OperationError


class CannotRehearseError(Exception):
    """A rehearsal needs something that is missing; the message says how to install it."""


class UnexpectedError(OperationError):
    """Something happened that the scenario does not expect."""


def expect(condition: bool, message: str) -> None:
    """Check what a scenario expects.

    Raises:
        UnexpectedError: the condition is false; the message says what is wrong.
    """
    if not condition:
        raise UnexpectedError(message)
