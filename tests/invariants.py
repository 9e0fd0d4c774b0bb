"""What holds of any operators' files, whatever operators write in them.

`tests/test_live_environments.py` checks these rules on the repository's own files and on files as they are after the
edits that README.md teaches. Each rule takes the folder of the environments and an empty folder to work in, and
raises where it does not hold.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import yaml

from model.known_environments import ENVIRONMENTS_LOCK
from model.known_tenants import LOCK_FILE, format_lock
from model.loader import environments_lock, load_environments
from model.naming import BOOTSTRAP_STACK
from ops.ci.environments import found, order
from ops.schemas import SCHEMAS, render
from tests.support import Stack, synthesize_folder


def files_are_valid(folder: Path, _scratch: Path) -> None:
    """Every file loads; warnings are allowed."""
    load_environments(folder)


def locks_are_current(folder: Path, _scratch: Path) -> None:
    """Each environment has a lock that says what tenants.yaml says, as `make tenants-check` asks."""
    for environment in load_environments(folder):
        name = environment.file.environment
        lock = (folder / name / LOCK_FILE).read_text(encoding="utf-8")
        assert lock == format_lock(environment.tenants, name), f"{name}: run `presence360 tenant lock`"
    written = (folder / ENVIRONMENTS_LOCK).read_text(encoding="utf-8")
    assert written == environments_lock(folder, load_environments(folder)), "run `presence360 tenant lock`"


def files_keep_their_schemas(folder: Path, _scratch: Path) -> None:
    """The first line of each file names its schema, the schema is fresh, and the file is valid by it."""
    files = sorted(folder.glob("*/*.yaml"))
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        modeline = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
        assert modeline, f"{file}: the first line names no schema"
        schema_file = (file.parent / modeline[1]).resolve()
        schema = schema_file.read_text(encoding="utf-8")
        assert schema_file.name == f"{file.stem}.schema.json"
        assert schema == render(SCHEMAS[schema_file.name]), "run `make schemas`"
        jsonschema.validate(yaml.safe_load(text), json.loads(schema))


def every_environment_is_synthesized(folder: Path, scratch: Path) -> None:
    """Each folder becomes a stack of its name, whose state has a bucket of its own: nothing else lists it."""
    synthesize_folder(folder, scratch)
    buckets = {
        bucket["name"] for bucket in Stack.read(scratch, BOOTSTRAP_STACK).all("spaces_bucket").values()
    }
    stacks = [Stack.read(scratch, environment.name) for environment in folder.glob("*/")]
    assert {stack.json["terraform"]["backend"]["s3"]["bucket"] for stack in stacks} == buckets
    assert len(buckets) == len(stacks)


def workflows_find_every_environment(folder: Path, _scratch: Path) -> None:
    """`make environments`, which feeds the workflows' matrices, prints the environments that are synthesized."""
    synthesized = [environment.file.environment for environment in load_environments(folder)]
    assert sorted(order(found(folder)).every) == synthesized


def two_synths_are_alike(folder: Path, scratch: Path) -> None:
    """The same files give the same bytes."""
    for name in ("first", "second"):
        synthesize_folder(folder, scratch / name)
    assert contents(scratch / "first") == contents(scratch / "second")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


INVARIANTS: tuple[Callable[[Path, Path], None], ...] = (
    files_are_valid,
    locks_are_current,
    files_keep_their_schemas,
    every_environment_is_synthesized,
    workflows_find_every_environment,
    two_synths_are_alike,
)
