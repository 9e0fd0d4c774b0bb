"""The command `presence360`."""

import sys

from ops.command.app import main

if __name__ == "__main__":
    sys.exit(main())
