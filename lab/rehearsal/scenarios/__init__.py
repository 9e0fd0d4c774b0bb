"""The scenarios, one file for each subject."""

from importlib import import_module

FILES = (
    "tenants", "restores", "cells", "droplets", "groups", "releases", "pools", "edge", "metrics", "trouble",
    "lost_state", "lost_clusters", "secrets", "isolation", "provisioning", "dedicated", "check", "destroy",
)  # fmt: skip


def load() -> None:
    """Register the scenarios of all files."""
    for name in FILES:
        import_module(f"{__name__}.{name}")
