"""What ends a command of an operator before anything was changed."""

from collections.abc import Iterable

from model.errors import Problem


class RefusedError(Exception):
    """A command cannot be carried out as it was given; exit code 2.

    Attributes:
        problems: each with its file, line, value and remedy.
        editing: whether it was an edit that was refused, before anything was written.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
        self.editing = False

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> "RefusedError":
        """Return the refusal of several problems at once."""
        return cls(*problems)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.problems), *(["", "Nothing was changed."] if self.editing else [])])
