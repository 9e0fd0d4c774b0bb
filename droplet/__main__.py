"""Run a program of this version: ``python3 -I -B /var/lib/presence360/programs/current converge``.

On a droplet this file stands at the top of the version's folder, beside the package ``droplet``; in the repository
``python -m droplet converge`` does the same. Besides the programs it answers the two questions that the fetcher
(droplet/fetch.py) asks a version:

    self-test               exit status 0 if every module of this version can be imported
    --may-update <digest>   exit status 75 (droplet.converge.turns.WAIT) if the update has to wait, 0 if not
"""

import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Sequence

PROGRAMS = (
    "backup",
    "compare",
    "converge",
    "drill",
    "export",
    "exporter",
    "isolation",
    "jobs",
    "logs",
    "migrate",
    "move_tenant",
    "observability",
    "pool",
    "restore",
    "sql",
    "telemetry",
    "traces",
    "watchdog",
)
"""Each is a package ``droplet.<name>`` with ``main(arguments)``, which returns the exit status."""

USAGE = 64
"""Exit status: EX_USAGE of sysexits.h."""


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments name; `USAGE` if this version has no such program."""
    match arguments:
        case ["self-test"]:
            return self_test()
        case ["--may-update", digest]:
            update = importlib.import_module("droplet.converge.update")
            return int(update.answer_update(digest))
        case [name, *rest] if name in PROGRAMS and importlib.util.find_spec(f"droplet.{name}"):
            return int(importlib.import_module(f"droplet.{name}").main(rest))
    present = [name for name in PROGRAMS if importlib.util.find_spec(f"droplet.{name}")]
    sys.stderr.write(f"usage: {', '.join(present)}, self-test or --may-update <digest>\n")
    return USAGE


def self_test() -> int:
    """Import every module of this version; an error ends the program with a traceback and exit status 1."""
    package = importlib.import_module("droplet")
    for module in pkgutil.walk_packages(package.__path__, "droplet."):
        importlib.import_module(module.name)
    return 0


if __name__ == "__main__":
    # The fetcher moves the link `current`; without this, a program that imports late would mix two versions.
    sys.path[0] = os.path.realpath(sys.path[0])
    sys.exit(main(sys.argv[1:]))
