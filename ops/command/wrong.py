"""Say all that is wrong with a call at once: what the files, the options and the variables refuse, each by its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import typer

from model.errors import InvalidInputError
from ops.errors import OperationError, UsageError
from ops.refused import RefusedError


class Wrong:
    """Parts of a check, each of which may refuse; what refused is raised at the end, one alone as it is."""

    def __init__(self) -> None:
        self._found: list[Exception] = []

    def __enter__(self) -> Self:
        return self

    @contextmanager
    def part(self) -> Iterator[None]:
        """Run one part."""
        try:
            yield
        except (InvalidInputError, RefusedError, UsageError, OperationError, typer.BadParameter) as error:
            self._found.append(error)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None or not self._found:
            return
        if len(self._found) == 1:
            raise self._found[0]
        raise UsageError([line for one in self._found for line in _lines(one)])


def _lines(error: Exception) -> list[str]:
    if isinstance(error, UsageError):
        return error.problems
    if isinstance(error, InvalidInputError | RefusedError):
        return [str(problem) for problem in error.problems]
    if isinstance(error, typer.BadParameter):
        return [f"{error.param_hint}: {error.message}" if error.param_hint else error.message]
    return [str(error)]
