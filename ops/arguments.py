"""How messages repeat what somebody typed: on one line, without what a terminal would obey, and without secrets."""

import argparse
from typing import NoReturn

from model.errors import printable
from model.secret_values import redacted


def told(argument: object) -> str:
    """Return an argument for a message.

    It can come from a pull request's branch or a file's name, and must neither move the cursor nor look like a message
    of its own.
    """
    return redacted(printable(str(argument)))


class Parser(argparse.ArgumentParser):
    """A parser whose errors repeat arguments as `told` writes them."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, and exit with 2."""
        super().error(told(message))
