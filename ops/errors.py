"""The errors that end an operation or a command."""


class OperationError(Exception):
    """An operation failed or was refused; the message says why and what to do. A program that gets it ends with 1."""


class UsageError(Exception):
    """Why a command cannot run: one line for each problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
