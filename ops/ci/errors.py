"""The error that ends a step."""

from ops.errors import OperationError


class StepError(OperationError):
    """A step failed or was refused."""
