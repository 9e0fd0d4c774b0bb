"""Reader of an administrator's public key: a small regular file that holds one, and nothing else is repeated of it."""

import re
import stat
from pathlib import Path

from model.environment import PUBLIC_KEY_PATTERN
from model.errors import Problem
from model.ssh_keys import key_fault
from ops.arguments import told
from ops.refused import RefusedError

LARGEST = 16 * 1024
"""In bytes: an RSA key of 16,384 bits, the longest that ssh-keygen makes (OpenSSH, ssh-keygen.c,
OPENSSL_RSA_MAX_MODULUS_BITS), comes to 2.8 KB."""

_PRIVATE = re.compile(r"BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File")
_PUBLIC = "Name the .pub file: ~/.ssh/id_ed25519.pub. `ssh-keygen -t ed25519` makes a new pair."


def read_public_key(path: Path) -> str:
    """Return the line of a public key file.

    Raises:
        RefusedError: it is no regular file, too large, a private key, or no public key. What it holds is not shown.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise _refused(path, "this is no regular file", _PUBLIC)
        if about.st_size > LARGEST:
            message = f"this file has {about.st_size:,} bytes; a public key has at most {LARGEST:,}"
            raise _refused(path, message, _PUBLIC)
        line = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise _refused(path, "the file does not exist", _PUBLIC) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _refused(path, f"the file cannot be read: {reason}", _PUBLIC) from None
    except ValueError:  # a name with a zero byte, or a content that is not UTF-8
        raise _refused(path, "this is no public key", _PUBLIC) from None
    if _PRIVATE.search(line):
        message = "this is a private key, which stays on your machine and belongs in no file here"
        raise _refused(path, message, "Name its public half, the .pub file beside it.")
    if not re.fullmatch(PUBLIC_KEY_PATTERN, line):
        raise _refused(path, "this is no public key in OpenSSH's one-line form", _PUBLIC)
    if fault := key_fault(line):
        raise _refused(path, fault, _PUBLIC)
    return line


def _refused(path: Path, message: str, remedy: str) -> RefusedError:
    return RefusedError(Problem(told(path), 0, "", message, remedy))
