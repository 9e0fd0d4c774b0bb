"""Keep the registry of known tenants: `python -m ops.tenants`, and `--check [--base REF]` in CI.

It writes `environments/<env>/tenants.lock` from tenants.yaml, unless an edit would lose a tenant's data: see
`model/known_tenants.py`. `--check` writes nothing; it compares, and with `--base` it also compares with the lock of
another revision, since whoever removes an entry can remove the line of the lock as well.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from model.errors import InvalidInputError, Problem, relative_name
from model.known_tenants import LOCK_FILE, format_lock, losses, parse_lock
from model.loader import Environment, load_environments, stale_lock

ROOT = Path(__file__).parent.parent
EXIT_INVALID_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the locks; 2 when an edit would lose data, or a lock is not what it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where a lock is out of date"
    )
    parser.add_argument("--base", metavar="REF", help="a git revision, such as origin/main, to compare with")
    parser.add_argument(
        "--environments", type=Path, default=ROOT / "environments", help="the operators' files"
    )
    options = parser.parse_args(arguments)
    folder: Path = options.environments
    try:
        environments = load_environments(folder)
        problems = _against(options.base, folder, environments) if options.base else []
        if options.check:
            problems += _stale(folder, environments)
        if problems:
            raise InvalidInputError(problems)
    except InvalidInputError as error:
        print(error, file=sys.stderr)
        return EXIT_INVALID_INPUT
    for environment in environments:
        name = environment.file.environment
        if not options.check:
            (folder / name / LOCK_FILE).write_text(format_lock(environment.tenants, name), encoding="utf-8")
        print(f"{relative_name(folder / name / LOCK_FILE)}: {len(environment.tenants)} tenants")
    return 0


def _stale(folder: Path, environments: Sequence[Environment]) -> list[Problem]:
    problems = []
    for environment in environments:
        name = environment.file.environment
        path = folder / name / LOCK_FILE
        if not path.exists():
            problems.append(
                Problem(relative_name(path), 0, "", "there is no lock", "Run `make tenants` and commit it.")
            )
        problems += stale_lock(path, environment.tenants, name)
    return problems


def _against(revision: str, folder: Path, environments: Sequence[Environment]) -> list[Problem]:
    """Compare the entries with the locks of another revision, an environment that is gone included."""
    tenants = {environment.file.environment: environment.tenants for environment in environments}
    problems = []
    for name, text in _locks_of(revision, folder).items():
        file = f"{revision}:{relative_name(folder / name / LOCK_FILE)}"
        known, unreadable = parse_lock(text, file, name)
        problems += unreadable + losses(known, tenants.get(name, ()), name, file)
    return problems


def _locks_of(revision: str, folder: Path) -> Mapping[str, str]:
    """Return the locks of a revision by environment.

    Raises:
        InvalidInputError: there is no such revision, or no git repository.
    """
    listed = _git(folder, "ls-tree", "-r", "--name-only", revision, "--", ".")
    names = [Path(line).parent.name for line in listed.splitlines() if line.endswith(f"/{LOCK_FILE}")]
    return {name: _git(folder, "show", f"{revision}:./{name}/{LOCK_FILE}") for name in sorted(names)}


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        done = subprocess.CompletedProcess([], 1, "", "git is not installed")
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
        remedy = "Name a revision that is here, such as origin/main; in CI, fetch it first."
        raise InvalidInputError([Problem("git", 0, "", f"the base's locks cannot be read: {reason}", remedy)])
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
