"""A session in one database: a psql that gets its script step by step."""

import json
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from droplet.postgres import Client


class SessionError(Exception):
    """A statement, or the connection, failed. The message begins with the cluster's name."""


class Session:
    """A psql that is told what to do step by step; what is not committed when it ends is undone."""

    def __init__(self, client: Client, database: str, private: Path) -> None:
        self.client = client
        self._errors = private / f"{client.cluster}-{time.monotonic_ns()}.err"
        command = client.psql(database, "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1")
        with self._errors.open("ab") as errors:
            self._psql = subprocess.Popen(
                command,
                env=dict(client.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._psql.kill()
        self._psql.wait()
        for pipe in (self._psql.stdin, self._psql.stdout):
            if pipe:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue

    def kill(self) -> None:
        """End it from another thread: what the session's own thread waits for fails."""
        self._psql.kill()

    def write(self, text: bytes) -> None:
        """Send a part of a script.

        Raises:
            SessionError: an earlier part failed.
        """
        assert self._psql.stdin  # noqa: S101  opened above
        try:
            self._psql.stdin.write(text)
        except BrokenPipeError:
            raise SessionError(self._reason()) from None

    def define(self, variables: Mapping[str, str]) -> None:
        """Set variables of psql's for all that follows; texts without quotes of one kind and backslashes."""
        self.lines("".join(f"\\set {name} '{value}'\n" for name, value in variables.items()))

    def ask(self, script: str, **variables: str | int) -> list[Any]:
        """Run a script to its end, and return what it printed: a JSON value a line; see ``lines``."""
        return [json.loads(line) for line in self.lines(script, **variables)]

    def lines(self, script: str, **variables: str | int) -> list[str]:
        """Run a script to its end, and return the lines that it printed, without empty ones.

        Args:
            script: SQL and psql's commands.
            variables: psql's, for this script alone: in the script of a dump, psql would replace them too. Texts
                without quotes and backslashes.

        Raises:
            SessionError: a statement, or the connection, failed.
        """
        assert self._psql.stdin  # noqa: S101  opened above
        assert self._psql.stdout  # noqa: S101  opened above
        end = f"end-{time.monotonic_ns()}"
        before = "".join(f"\\set {name} '{value}'\n" for name, value in variables.items())
        after = "".join(f"\\unset {name}\n" for name in variables)
        # After a COPY, psql takes a semicolon alone for the same COPY once more, and reads on for its rows (17.12). So
        # there is none behind a command of psql's, which needs none.
        close = "" if script.startswith("\\") and "\n" not in script else ";"
        self.write(f"{before}{script}\n{close}{after}\\echo {end}\n".encode())
        try:
            self._psql.stdin.flush()
        except BrokenPipeError:
            raise SessionError(self._reason()) from None
        lines: list[str] = []
        for raw in self._psql.stdout:
            line = raw.decode().rstrip("\n")
            if line == end:
                return lines
            if line:
                lines.append(line)
        raise SessionError(self._reason())

    def messages(self) -> str:
        """Return what psql has written as errors since this was asked last."""
        text = self._errors.read_text(errors="replace")
        os.truncate(self._errors, 0)
        return text

    def _reason(self) -> str:
        self._psql.wait()
        return f"{self.client.cluster}: {last_lines(self._errors) or 'psql ended'}"


def last_lines(file: Path) -> str:
    """Return the end of what a program wrote as errors."""
    lines = [line for line in file.read_text(errors="replace").splitlines() if line.strip()]
    return "\n  ".join(lines[-5:])
