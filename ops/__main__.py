"""The command `presence360`, as `python -m ops`."""

import sys
from importlib.util import find_spec

if __name__ == "__main__":
    if find_spec("typer") is None:
        # Somebody's own Python, and not the environment that `make setup` makes.
        print(
            "presence360: this Python has no typer; run 'make setup', then bin/presence360", file=sys.stderr
        )
        sys.exit(2)
    from ops.command.app import main

    sys.exit(main())
