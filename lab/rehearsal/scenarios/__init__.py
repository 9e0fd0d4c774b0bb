"""The scenarios, one file a subject."""

from importlib import import_module

FILES = ("tenants", "cells", "droplets", "edge", "trouble", "isolation", "destroy")


def load() -> None:
    """Let every file say which scenarios it has."""
    for name in FILES:
        import_module(f"{__name__}.{name}")
