"""Change the operators' files: one edit at a time, checked as a whole before anything is written.

The edited texts are loaded beside the files that stay as they are. Where the model refuses them, nothing is written.
Where it accepts them, each file is replaced at once, and the lock of known tenants is written with the tenants.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from model.errors import InvalidInputError, Problem, did_you_mean, format_path, relative_name, shown
from model.known_environments import ENVIRONMENTS_LOCK
from model.known_tenants import LOCK_FILE, format_lock
from model.loader import TENANTS_FILE, Environment, environments_lock, load_environments
from model.tenants import Tenant, is_tenant_id
from ops import yaml_edit
from ops.refused import RefusedError

Edit = Callable[[str], str]
"""Takes a file's text, with line feeds alone at the ends of lines, and returns it edited."""


@dataclass(frozen=True)
class Found:
    """A tenant's entry and where it stands.

    Attributes:
        environment: whose tenants.yaml it is in.
        index: its place in the list.
        tenant: what the entry says.
    """

    environment: Environment
    index: int
    tenant: Tenant


@dataclass(frozen=True)
class Edited:
    """What an operator's edit came to.

    Attributes:
        files: the files that were written.
        said: what was done, what the deploy will do, and what comes next; a line each.
    """

    files: tuple[str, ...]
    said: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        files: the names of the files, as an operator would call them.
        environments: what all files say now, by environment.
    """

    files: tuple[str, ...]
    environments: Mapping[str, Environment]


@dataclass
class Draft:
    """The operators' files with edits that are not written yet.

    Attributes:
        root: the folder of the environments.
        environments: what they say before the edits, by name.
    """

    root: Path
    environments: Mapping[str, Environment]
    _texts: dict[Path, str] = field(default_factory=dict)

    def edit(self, file: Path, edit: Edit) -> None:
        """Edit one file.

        Raises:
            RefusedError: the value cannot be edited without changing more.
        """
        text = self._texts.get(file)
        try:
            self._texts[file] = edit(read_file(file) if text is None else text)
        except yaml_edit.CannotEditError as error:
            remedy = "Edit this value by hand, then run `presence360 tenant lock`."
            raise RefusedError(
                Problem(relative_name(file), error.line, format_path(error.path), error.reason, remedy)
            ) from error

    def add(self, file: Path, text: str) -> None:
        """Add a file that does not exist yet."""
        self._texts[file] = text

    def write(self) -> Written:
        """Check the edited files and write them.

        Raises:
            RefusedError: they would not be valid, or would lose a tenant's data.
        """
        changed = {file: text for file, text in self._texts.items() if read_file(file) != text}
        loaded = by_name(self._checked(changed))
        names = {file.parent.name for file in changed if file.name == TENANTS_FILE}
        # The lock of a new environment is written by its first tenant.
        locks = {
            self.root / name / LOCK_FILE: format_lock(loaded[name].tenants, name)
            for name in sorted(names)
            if name in self.environments
        }
        lock = self.root / ENVIRONMENTS_LOCK
        # The first lock of tenants brings this one: without it, that one is refused.
        if lock.exists() or locks:
            locks[lock] = environments_lock(
                self.root, loaded.values(), writing={path.parent.name for path in locks}
            )
        # Tenants first: a lock that is behind them is a warning, one that is ahead of them an error.
        written = changed | {
            file: text for file, text in locks.items() if not file.exists() or text != read_file(file)
        }
        for file, text in written.items():
            write_file(file, text)
        return Written(tuple(map(relative_name, written)), loaded)

    def _checked(self, changed: Mapping[Path, str]) -> tuple[Environment, ...]:
        """Load the files with the edits, in a folder of their own."""
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / self.root.name
            shutil.copytree(self.root, copy)
            for file, text in changed.items():
                there = copy / file.relative_to(self.root)
                there.parent.mkdir(exist_ok=True)
                there.write_text(text, encoding="utf-8")
            try:
                return load_environments(copy)
            except InvalidInputError as error:
                raise RefusedError.of(self._renamed(error.problems, copy)) from error

    def _renamed(self, problems: Iterable[Problem], copy: Path) -> Iterator[Problem]:
        wrong, right = relative_name(copy), relative_name(self.root)
        for problem in problems:
            yield replace(problem, file=problem.file.replace(wrong, right, 1))

    def environment(self, name: str) -> Environment:
        """Return an environment as it is before the edits.

        Raises:
            RefusedError: there is none of this name.
        """
        return environment_named(self.environments, name, self.root)

    def tenant(self, environment: str, wanted: str) -> Found:
        """Return the tenant with a slug or an id.

        Raises:
            RefusedError: there is no such environment or tenant.
        """
        return find_tenant(self.environment(environment), wanted, self.root)

    def file(self, environment: str, name: str = TENANTS_FILE) -> Path:
        """Return one of an environment's files."""
        return self.root / environment / name


@contextmanager
def draft(root: Path) -> Iterator[Draft]:
    """Load the files for an edit; nobody else edits them meanwhile.

    Raises:
        InvalidInputError: they are not valid as they are.
    """
    try:
        folder = os.open(root, os.O_RDONLY)
    except OSError:
        load_environments(root)  # It says what is wrong with the folder.
        raise
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield Draft(root, by_name(load_environments(root)))
    except RefusedError as error:
        error.editing = True
        raise
    finally:
        os.close(folder)


def by_name(environments: Iterable[Environment]) -> dict[str, Environment]:
    """Return environments by their names."""
    return {environment.file.environment: environment for environment in environments}


def environment_named(environments: Mapping[str, Environment], name: str, root: Path) -> Environment:
    """Return the environment of a name.

    Raises:
        RefusedError: there is none.
    """
    if name in environments:
        return environments[name]
    remedy = f"{did_you_mean(name, environments)}Name one of: {', '.join(sorted(environments))}."
    raise RefusedError(Problem(relative_name(root), 0, "", f"there is no environment {shown(name)}", remedy))


def find_tenant(environment: Environment, wanted: str, root: Path) -> Found:
    """Return the tenant with a slug or an id.

    Raises:
        RefusedError: there is none.
    """
    for index, tenant in enumerate(environment.tenants):
        if wanted in {tenant.id, tenant.slug}:
            return Found(environment, index, tenant)
    kind = "id" if is_tenant_id(wanted) else "slug"
    name = environment.file.environment
    known = sorted(str(getattr(tenant, kind)) for tenant in environment.tenants)
    message = f"there is no tenant with the {kind} {shown(wanted)}"
    remedy = f"{did_you_mean(wanted, known)}`presence360 tenant list {name}` lists them."
    raise RefusedError(Problem(relative_name(root / name / TENANTS_FILE), 0, "", message, remedy))


def refuse(draft: Draft, found: Found, key: str, message: str, remedy: str) -> RefusedError:
    """Return the refusal of an edit of one tenant, at the line of a key of its entry, or of the entry."""
    file = draft.file(found.environment.file.environment, TENANTS_FILE)
    line = yaml_edit.line_of(read_file(file), ("tenants", found.index, key))
    return RefusedError(Problem(relative_name(file), line, f"tenants[{found.index}]", message, remedy))


def deploy(environment: str) -> str:
    """Say what follows an edit of an environment."""
    return (
        "Next: commit the files and open a pull request; or "
        f"presence360 plan {environment}, then presence360 apply {environment}"
    )


def joined(names: Sequence[str]) -> str:
    """Write names as a sentence does: a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def read_file(file: Path) -> str:
    """Return a file's text with line feeds alone at the ends of lines; nothing where there is no file."""
    return file.read_text(encoding="utf-8") if file.exists() else ""


def write_file(file: Path, text: str) -> None:
    """Replace a file in one step, so that a reader or a crash finds the old text or the new one, whole."""
    file = file.resolve()
    file.parent.mkdir(exist_ok=True)
    # A file with carriage returns keeps them.
    newline = "\r\n" if file.exists() and b"\r\n" in file.read_bytes() else "\n"
    handle, scratch = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with open(handle, "w", encoding="utf-8", newline=newline) as out:  # noqa: PTH123 (a descriptor)
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        mode = file.stat().st_mode if file.exists() else 0o666 & ~_umask()
        Path(scratch).chmod(mode & 0o777)
        Path(scratch).replace(file)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
