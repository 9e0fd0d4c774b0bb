"""Say what a command is doing while it does it, and how long it took."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

SLOW_SECONDS = 2.0
"""What takes longer gets a line that says so; what does not is done before anybody wonders."""


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Show what is going on: on a terminal with a clock that runs, and when it is done as one line with the seconds.

    All of it goes to stderr. What runs inside must write nothing to the terminal itself: it is given a function that
    says a line.

    Args:
        what: such as "staging: plan".
    """
    began = time.monotonic()
    console = Console(stderr=True, highlight=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            progress.add_task(what)
            yield lambda line: progress.console.print(line, markup=False, soft_wrap=True)
    except BaseException:
        _tell(f"{what} failed", began)
        raise
    _tell(f"{what} done", began)


def _tell(what: str, began: float) -> None:
    seconds = time.monotonic() - began
    if seconds > SLOW_SECONDS:
        print(f"{what}, {elapsed(seconds)}", file=sys.stderr, flush=True)


def elapsed(seconds: float) -> str:
    """Write a duration as people read it: 34 s, 5 min 12 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
