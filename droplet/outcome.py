"""How a run can end other than well, and what the person at the terminal reads."""

import sys

from droplet import journal
from droplet.session import SessionError


class RefusedError(Exception):
    """Nothing was begun: the reason has to be removed first."""


class FailedError(SessionError):
    """It was begun and undone."""


class UnknownError(Exception):
    """Whether it was done is not known: --check tells."""


def say(text: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def printable(text: str) -> str:
    """Escape what a terminal would obey: names in a tenant's database are of the tenant's choosing."""
    return "\n".join(map(journal.printable, text.split("\n")))
