"""Which folders are environments, and which environments were agreed on."""

import re
from pathlib import Path

from model.errors import InvalidInputError, Problem, relative_name, shown
from model.explain import LABEL_RULE
from model.known_environments import ENVIRONMENTS_LOCK, Known, missing_lock, parse_environments
from model.known_tenants import LOCK_FILE
from model.operator_files import read_text
from model.schema import LABEL_PATTERN

ENVIRONMENT_FILE = "environment.yaml"
TENANTS_FILE = "tenants.yaml"


def environment_folders(root: Path) -> tuple[list[Path], list[Problem]]:
    """Return the environments' folders, sorted, and what is wrong with the others."""
    folders, problems = [], []
    for path in sorted(root.glob("*")):
        if not path.is_dir() or path.name.startswith("."):
            continue
        if path.is_symlink():
            message = f"this folder is a symbolic link, to {str(path.readlink())!r}"
            remedy = "Put the folder itself here, or remove the link: two names for one environment share everything."
            problems.append(Problem(relative_name(path), 0, "", message, remedy))
        elif not re.match(LABEL_PATTERN, path.name):
            message = f"{shown(path.name)} cannot be the name of an environment"
            remedy = f"Rename the folder, and `environment` in its environment.yaml with it. {LABEL_RULE}"
            problems.append(Problem(relative_name(path), 0, "", message, remedy))
        else:
            folders.append(path)
    if not folders and not problems:
        remedy = f"Make a folder with {ENVIRONMENT_FILE} and {TENANTS_FILE}; README.md describes them."
        problems.append(Problem(relative_name(root), 0, "", "there is no environment here", remedy))
    return folders, problems


def known_environments(root: Path) -> tuple[Known, list[Problem]]:
    """Read the lock of the environments, which is not there yet before the first lock of tenants is."""
    path = root / ENVIRONMENTS_LOCK
    if not path.is_symlink() and not path.exists():
        # Both are written together.
        deployed = any(root.glob(f"*/{LOCK_FILE}"))
        return {}, [missing_lock(relative_name(path))] if deployed else []
    try:
        text = read_text(path, missing="")
    except InvalidInputError as error:
        return {}, list(error.problems)
    return parse_environments(text, relative_name(path))
