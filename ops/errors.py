"""The error that ends an operation."""


class OperationError(Exception):
    """An operation failed or was refused; the message says why and what to do. A program that gets it ends with 1."""
