"""Starts Alembic's processes quickly: imports once, forks for each. Runs with the Python that has Alembic.

A line of standard input is a JSON object with `command`, `folder`, `environment` and `output`; the answer is the
process's id. What it prints goes to `output`, and its exit status to `<output>.code`.
"""

import json
import os
import signal
import sys
from pathlib import Path

import alembic.command
import alembic.config
import alembic.ddl.postgresql
import psycopg  # noqa: F401
import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401


def child(order: dict[str, object]) -> int:
    """Be the process."""
    descriptor = os.open(str(order["output"]), os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.chdir(str(order["folder"]))
    os.environ.clear()
    os.environ.update(order["environment"])  # type: ignore[call-overload]
    try:
        alembic.config.main(argv=order["command"][1:])  # type: ignore[index]
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        code = child(order)
        sys.stdout.flush()
        sys.stderr.flush()
        draft = Path(f"{order['output']}.draft")
        draft.write_text(str(code))
        draft.rename(f"{order['output']}.code")
        os._exit(0)
    sys.stdout.write(f"{pid}\n")
    sys.stdout.flush()
