"""Keep `environments/<env>/tenants.lock` and `environments.lock`: write them, or check that they are up to date.

An edit that would lose a tenant's data is refused by both: see `model/known_tenants.py`. A check can also compare with
the lock of another git revision, because an edit can remove an entry and its line of the lock together.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from model.errors import InvalidInputError, Problem, relative_name
from model.known_environments import (
    ENVIRONMENTS_LOCK,
    Known,
    environment_losses,
    missing_lock,
    parse_environments,
)
from model.known_tenants import LOCK_FILE, format_lock, losses, parse_lock
from model.loader import (
    Environment,
    environments_lock,
    known_environments,
    load_environments,
    stale_lock,
)
from model.tenant_steps import missteps
from ops.arguments import told
from ops.edits import write_file
from ops.errors import OperationError
from ops.git import files_called, git, head

COMMAND = "presence360 tenant lock"


def write(root: Path) -> Iterator[str]:
    """Write the lock of every environment; yield a line for each.

    Raises:
        InvalidInputError: the files are not valid, or an edit would lose a tenant's data.
    """
    environments = load_environments(root)
    if not (root / ENVIRONMENTS_LOCK).exists() and _committed(root):
        raise InvalidInputError([missing_lock(relative_name(root / ENVIRONMENTS_LOCK))])
    for environment in environments:
        name = environment.file.environment
        write_file(root / name / LOCK_FILE, format_lock(environment.tenants, name))
        yield _line(root, environment)
    write_file(root / ENVIRONMENTS_LOCK, environments_lock(root, environments))
    count = len(environments)
    yield f"{relative_name(root / ENVIRONMENTS_LOCK)}: {count} environment{'' if count == 1 else 's'}"


def _committed(root: Path) -> bool:
    """Tell whether the commit that is checked out has the lock of the environments; outside git none has."""
    return bool(head(root)) and bool(_files_of(ENVIRONMENTS_LOCK, "HEAD", root))


def check(root: Path, base: str = "") -> Iterator[str]:
    """Check the lock of every environment; yield a line for each.

    Args:
        root: the folder of the environments.
        base: a git revision whose locks are compared as well; empty: none.

    Raises:
        InvalidInputError: a lock is missing or out of date, or an edit since the base would lose a tenant's data.
    """
    environments = load_environments(root)
    problems = [*_stale(root, environments), *(_against(base, root, environments) if base else ())]
    if problems:
        raise InvalidInputError(problems)
    yield from (_line(root, environment) for environment in environments)


def _line(root: Path, environment: Environment) -> str:
    count = len(environment.tenants)
    file = relative_name(root / environment.file.environment / LOCK_FILE)
    return f"{file}: {count} tenant{'' if count == 1 else 's'}"


def _stale(root: Path, environments: Sequence[Environment]) -> Iterator[Problem]:
    for environment in environments:
        name = environment.file.environment
        path = root / name / LOCK_FILE
        if environment.tenants and not path.exists():
            yield Problem(
                relative_name(path), 0, "", "there is no lock", f"Run `{COMMAND}` and commit the file."
            )
        yield from stale_lock(path, environment.tenants, name)
    lock = root / ENVIRONMENTS_LOCK
    written = lock.read_text(encoding="utf-8") if lock.exists() else None
    if written != environments_lock(root, environments):
        what = "there is no lock" if written is None else "this does not match the environment.yaml files"
        yield Problem(relative_name(lock), 0, "", what, f"Run `{COMMAND}` and commit the file.")


def _against(revision: str, root: Path, environments: Sequence[Environment]) -> Iterator[Problem]:
    """Compare the entries with the locks of another revision, those of a removed environment included."""
    tenants = {environment.file.environment: environment.tenants for environment in environments}
    for name, text in locks_of(revision, root).items():
        file = f"{revision}:{relative_name(root / name / LOCK_FILE)}"
        known, unreadable = parse_lock(text, file, name)
        yield from unreadable
        yield from losses(known, tenants.get(name, ()), name, file)
        yield from missteps(known, tenants.get(name, ()), name, file)
    yield from _environments_against(revision, root, environments)


def _environments_against(
    revision: str, root: Path, environments: Sequence[Environment]
) -> Iterator[Problem]:
    """Compare the environments with the lock of another revision, which an edit may have changed with them."""
    before = _files_of(ENVIRONMENTS_LOCK, revision, root)
    if not before:
        return
    if not (root / ENVIRONMENTS_LOCK).exists():
        yield missing_lock(relative_name(root / ENVIRONMENTS_LOCK))
    file = f"{revision}:{relative_name(root / ENVIRONMENTS_LOCK)}"
    agreed, unreadable = parse_environments("".join(before.values()), file)
    yield from unreadable
    present = {environment.file.environment: environment.file for environment in environments}
    now: Known = known_environments(root)[0]
    yield from environment_losses(agreed, present, file, given_up=now)


def locks_of(revision: str, root: Path) -> Mapping[str, str]:
    """Return the locks of a revision by environment.

    Raises:
        InvalidInputError: there is no such revision, or no git repository.
    """
    return {Path(file).parent.name: text for file, text in _files_of(LOCK_FILE, revision, root).items()}


def _files_of(name: str, revision: str, root: Path) -> Mapping[str, str]:
    """Return the files of a name below the environments of a revision, by path."""
    try:
        top = Path(git(root, "rev-parse", "--show-toplevel").strip())
        return files_called(name, top, revision, root.resolve().relative_to(top.resolve()).as_posix())
    except (OperationError, FileNotFoundError) as error:
        remedy = "Name a revision that is here, such as origin/main; in CI, fetch it first."
        message = f"the locks of {told(revision)} cannot be read: {error}"
        raise InvalidInputError([Problem("git", 0, "", message, remedy)]) from error
