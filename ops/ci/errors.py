"""What ends a step."""


class StepError(Exception):
    """The step failed, and its message says what to do; exit code 1."""
