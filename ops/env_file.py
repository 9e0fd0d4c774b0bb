"""The variables of .env, and with them those of a command that runs Terraform or the cdktf CLI."""

import os
import re
import sys
from pathlib import Path

from ops import private_files
from ops.errors import UsageError
from ops.node import NODE


def parse_env(text: str, source: str) -> dict[str, str]:
    """Read KEY=VALUE lines, with comments, an optional `export ` and optional quotes; nothing is expanded.

    Raises:
        UsageError: a line is not of this form, or sets a variable again. The message never shows a value.
    """
    values: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        assignment = re.fullmatch(
            r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)="
            r"(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<bare>[^\s'\"#]\S*)?)(?:\s+#.*)?\s*",
            line,
        )
        if assignment is None:
            problems.append(
                f"{source}:{number}: this line is not KEY=VALUE; put a value with spaces in quotes"
            )
        elif assignment["name"] in values:
            problems.append(
                f"{source}:{number}: {assignment['name']} is set a second time; keep one of the two lines"
            )
        else:
            values[assignment["name"]] = (
                assignment["single"] or assignment["double"] or assignment["bare"] or ""
            )
    if problems:
        raise UsageError(problems)
    return values


def command_environment(root: Path) -> dict[str, str]:
    """Return the variables for the CLI and Terraform: those of this process, then those of .env.

    Raises:
        UsageError: .env cannot be read.
    """
    for line in private_files.close(root):
        print(line, file=sys.stderr)
    path = root / ".env"
    try:
        text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError([f"{path.name} is not readable as UTF-8 text ({type(error).__name__})"]) from error
    environ = parse_env(text, path.name) | dict(os.environ)
    # The CLI runs the first `python` on the PATH for its version, and the first `node` for programs.
    search = [str(root / ".venv" / "bin"), str(NODE.parent), environ.get("PATH", os.defpath)]
    # CHECKPOINT_DISABLE stops the version check, the only request that the CLI and Terraform send to their vendor.
    return environ | {"PATH": os.pathsep.join(search), "CHECKPOINT_DISABLE": "1"}
