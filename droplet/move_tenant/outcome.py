"""How a run can end other than well, and what the person at the terminal reads."""

import sys


class RefusedError(Exception):
    """Nothing was begun: the reason has to be removed first."""


class FailedError(Exception):
    """It was begun and undone."""


class UnknownError(Exception):
    """Whether it was done is not known: --check tells."""


def say(text: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
