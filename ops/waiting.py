"""What every wait here shares: a clock, a limit, and the two ways in which a question is not answered.

Standard library alone, because Terraform runs a program that needs it (ops/wait_until_serving.py).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

LIMIT_VARIABLE = "PRESENCE360_WAIT_SECONDS"
"""Overrides every limit, in seconds. With 0 nothing is waited for: for a first deploy before the images are pushed."""


LOOK_AT_THE_NETWORK = (
    "Is your network up, and DigitalOcean's service (https://status.digitalocean.com)? Then try again"
)
"""What to do where there was no answer at all."""


class CannotTellError(Exception):
    """What was asked for cannot be found out, and asking again does not help."""


class TryAgainError(Exception):
    """There was no answer this time."""


@dataclass(frozen=True)
class Clock:
    """The clock, which tests replace.

    Attributes:
        now: seconds since the epoch.
        sleep: waits some seconds.
    """

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def time(self) -> datetime:
        """Return the time now."""
        return datetime.fromtimestamp(self.now(), UTC)


SYSTEM_CLOCK = Clock()


def limit(environ: Mapping[str, str], usual: float) -> float:
    """Return how many seconds to wait at most; 0 is not to wait.

    Raises:
        CannotTellError: the variable holds no number of seconds.
    """
    written = environ.get(LIMIT_VARIABLE)
    if not written:
        return usual
    if not (written.isascii() and written.isdigit()):
        raise CannotTellError(f"{LIMIT_VARIABLE} is not a number of seconds: {written!r}")
    return float(written)
