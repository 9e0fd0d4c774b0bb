"""The repository's own `environments/`: what holds of them whatever operators write, and that their edits are safe.

Only a test marked `live` may open these files (tests/conftest.py holds the others to it). So an edit of them fails a
test only where it breaks a rule of tests/invariants.py.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from model.errors import InvalidInputError
from model.loader import load_environments
from policies.pack import PACK
from policies.scan import find_checkov, scan
from tests import edits
from tests.invariants import (
    INVARIANTS,
    contents,
    every_environment_is_synthesized,
    files_are_valid,
    files_keep_their_schemas,
    locks_are_current,
    two_synths_are_alike,
    workflows_find_every_environment,
)
from tests.support import ENVIRONMENTS, LIVE_ENVIRONMENTS, ROOT, Stack, synthesize_folder

Invariant = Callable[[Path, Path], None]
Edit = Callable[[Path], None]

of_each_invariant = pytest.mark.parametrize("invariant", INVARIANTS, ids=lambda one: one.__name__)
after_each_edit = pytest.mark.parametrize("edit", edits.EDITS, ids=lambda one: one.__name__)


@pytest.mark.live
@of_each_invariant
def test_it_holds_of_the_live_files(invariant: Invariant, tmp_path: Path) -> None:
    invariant(LIVE_ENVIRONMENTS, tmp_path)


@pytest.mark.live
@pytest.mark.slow
def test_a_synth_of_the_live_files_in_another_process_is_alike(tmp_path: Path) -> None:
    """Another process has another hash seed."""
    synthesize_folder(LIVE_ENVIRONMENTS, tmp_path / "here")
    subprocess.run(
        [sys.executable, "main.py", "--outdir", str(tmp_path / "there")],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "271828", "PRESENCE360_STATE": ""},
        check=True,
        capture_output=True,
    )
    assert contents(tmp_path / "here") == contents(tmp_path / "there")


@after_each_edit
@of_each_invariant
def test_it_holds_after_an_edit(edit: Edit, invariant: Invariant, tmp_path: Path) -> None:
    folder = edits.copy(tmp_path)
    edit(folder)
    invariant(folder, tmp_path / "scratch")


@pytest.mark.slow
def test_policies_hold_after_all_edits_together(tmp_path: Path) -> None:
    """`make policy` scans the live files' stacks."""
    checkov = find_checkov()
    if checkov is None:
        pytest.skip("checkov is not here: set CHECKOV to the program, or install it in .venv-checkov")
    folder = edits.copy(tmp_path)
    for edit in edits.EDITS:
        edit(folder)
    synthesize_folder(folder, tmp_path / "out")
    report = scan(tmp_path / "out", checkov)
    assert [str(found) for found in report.failed + report.skipped] == []
    assert [policy.id for policy in report.judged_nothing(PACK.values())] == []
    assert {found.file for found in report.passed} >= {
        f"stacks/{name}/cdk.tf.json" for name in edits.environments(folder)
    }


def test_the_edits_are_those_that_operators_make(tmp_path: Path) -> None:
    """Each of them changes what it says: an edit that does nothing would prove nothing."""
    folders = {}
    for edit in edits.EDITS:
        folders[edit] = edits.copy(tmp_path / edit.__name__)
        edit(folders[edit])
        synthesize_folder(folders[edit], tmp_path / edit.__name__ / "out")

    def stack(edit: Edit, name: str) -> Stack:
        return Stack.read(tmp_path / edit.__name__ / "out", name)

    for name in edits.environments(ENVIRONMENTS):
        assert stack(edits.church, name).tenants.keys() - stack(edits.nothing, name).tenants.keys() == {
            edits.CHURCH
        }
        assert f":{edits.RELEASE}" in str(stack(edits.release, name).all("spaces_bucket_object"))
    warnings = [
        one for environment in load_environments(folders[edits.own_values]) for one in environment.warnings
    ]
    # tests/environments/staging goes without migrations, and is told so.
    assert [one for one in warnings if one.path != "migrations"] == []
    assert all(environment.warnings for environment in load_environments(folders[edits.nothing]))
    assert stack(edits.preview, "preview").named("vpc", "preview-vpc")["ip_range"] == "10.80.0.0/20"


def without_a_lock(folder: Path) -> None:
    (folder / "staging/tenants.lock").unlink()


def without_the_churchs_line(folder: Path) -> None:
    edits.church(folder)
    shutil.copy(ENVIRONMENTS / "staging/tenants.lock", folder / "staging/tenants.lock")


def without_a_modeline(folder: Path) -> None:
    file = folder / "staging/tenants.yaml"
    file.write_text(file.read_text(encoding="utf-8").partition("\n")[2], encoding="utf-8")


def with_an_old_schema(folder: Path) -> None:
    schema = folder.parent.parent / "schemas/tenants.schema.json"
    schema.write_text(schema.read_text(encoding="utf-8").replace("slug", "slgu"), encoding="utf-8")


def with_a_range_twice(folder: Path) -> None:
    edits.preview(folder)
    file = folder / "preview/environment.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("10.80.", "10.60."), encoding="utf-8")


@pytest.mark.parametrize(
    ("invariant", "spoil", "error"),
    [
        (files_are_valid, with_a_range_twice, InvalidInputError),
        (locks_are_current, without_a_lock, InvalidInputError),
        (locks_are_current, without_the_churchs_line, AssertionError),
        (files_keep_their_schemas, without_a_modeline, AssertionError),
        (files_keep_their_schemas, with_an_old_schema, AssertionError),
    ],
)
def test_a_rule_fails_where_it_is_broken(
    invariant: Invariant, spoil: Edit, error: type[Exception], tmp_path: Path
) -> None:
    folder = edits.copy(tmp_path)
    spoil(folder)
    with pytest.raises(error):
        invariant(folder, tmp_path / "scratch")


def test_a_stack_that_is_missing_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_preview(folder: Path, outdir: Path) -> None:
        shutil.rmtree(folder / "preview")
        lock = folder / "environments.lock"
        kept = [line for line in lock.read_text().splitlines() if not line.startswith("preview ")]
        lock.write_text("\n".join(kept) + "\n")
        file = folder / "production/environment.yaml"
        file.write_text(file.read_text().replace("[staging, preview]", "[staging]"))
        synthesize_folder(folder, outdir)
        (folder / "preview").mkdir()

    folder = edits.copy(tmp_path)
    edits.preview(folder)
    monkeypatch.setattr("tests.invariants.synthesize_folder", without_preview)
    with pytest.raises(FileNotFoundError, match="preview"):
        every_environment_is_synthesized(folder, tmp_path / "scratch")


def test_an_environment_that_workflows_do_not_find_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = edits.copy(tmp_path)
    edits.preview(folder)
    monkeypatch.setattr("tests.invariants.found", lambda _: ["production", "staging"])
    with pytest.raises(AssertionError):
        workflows_find_every_environment(folder, tmp_path / "scratch")


def test_synths_that_differ_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def once_more(folder: Path, outdir: Path) -> None:
        synthesize_folder(folder, outdir)
        (outdir / outdir.name).touch()

    monkeypatch.setattr("tests.invariants.synthesize_folder", once_more)
    with pytest.raises(AssertionError):
        two_synths_are_alike(edits.copy(tmp_path), tmp_path / "scratch")


def test_a_test_that_reads_the_live_files_fails() -> None:
    with pytest.raises(AssertionError, match="tests read tests/environments"):
        load_environments(LIVE_ENVIRONMENTS)
