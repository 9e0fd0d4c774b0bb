"""Read an operator's file: a regular file of a size that a person's file can have, in UTF-8."""

import stat
from pathlib import Path

from model.errors import InvalidInputError, Problem, relative_name

LARGEST_FILE = 8 * 1024 * 1024
"""In bytes. 10,000 tenants, each with everything written that can be, come to 6 MB."""


def read_text(path: Path, missing: str) -> str:
    """Return a file's text.

    Args:
        path: the file.
        missing: what to do when there is none, as a sentence.

    Raises:
        InvalidInputError: there is none, or it is no regular file, too large, unreadable, or not UTF-8.
    """
    file = relative_name(path)
    if path.is_symlink():
        # A link would let an environment's files change with another's, and name a file that nobody reviews.
        message = f"this is a symbolic link, to {str(path.readlink())!r}"
        raise _unreadable(file, message, "Put the file itself here: each environment has files of its own.")
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
            raise _unreadable(file, "this is no regular file", "Remove it, and restore the file from git.")
        if about.st_size > LARGEST_FILE:
            message = f"the file has {about.st_size:,} bytes; at most {LARGEST_FILE:,} are read"
            raise _unreadable(
                file, message, "Restore the file from git, or move tenants to another environment."
            )
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _unreadable(file, "the file does not exist", missing) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _unreadable(
            file, f"the file cannot be read: {reason}", "Check that it is a file and that you may read it."
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"byte {error.object[error.start]:#04x} is not UTF-8"
        raise _unreadable(file, message, "Save the file as UTF-8.", line) from None


def _unreadable(file: str, message: str, remedy: str, line: int = 0) -> InvalidInputError:
    return InvalidInputError([Problem(file, line, "", message, remedy)])
