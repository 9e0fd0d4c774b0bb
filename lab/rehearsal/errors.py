"""What may end a rehearsal."""


class CannotRehearseError(Exception):
    """Something that a rehearsal needs is missing; the message says what installs it."""


class UnexpectedError(Exception):
    """Something else happened than was to happen."""


def expect(right: bool, message: str) -> None:
    """Say what should have been, where it was not.

    Raises:
        UnexpectedError: it was not.
    """
    if not right:
        raise UnexpectedError(message)
