"""Run other programs; secrets reach them only in files."""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence

from droplet.converge.errors import CommandError

Run = Callable[[Sequence[str], Mapping[str, str], float], str]
"""Run a program with additional environment variables and a timeout in seconds; return what it printed.

Raises `CommandError`."""


def run_program(args: Sequence[str], env: Mapping[str, str], timeout: float) -> str:
    """Run a program; what it printed on failure is in the error.

    Raises:
        CommandError: it cannot be started, fails, or takes longer than ``timeout`` seconds.
    """
    try:
        done = subprocess.run(
            args,
            env={**os.environ, **env},
            timeout=timeout,
            capture_output=True,
            text=True,
            # What it prints may be any bytes, or end within a character.
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"{args[0]} did not end within {timeout:.0f} s") from None
    except OSError as error:
        raise CommandError(f"{args[0]}: {error}") from None
    if done.returncode != 0:
        raise CommandError(f"{' '.join(args)}: exit {done.returncode}: {_tail(done.stderr or done.stdout)}")
    return done.stdout


def _tail(text: str, length: int = 1500) -> str:
    text = " | ".join(line.strip() for line in text.splitlines() if line.strip())
    return text if len(text) <= length else f"...{text[-length:]}"
