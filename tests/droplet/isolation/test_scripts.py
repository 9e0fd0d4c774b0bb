"""What the scripts need is what the program gives them; tests/isolation runs both on real servers."""

import re
from pathlib import Path

import pytest

from droplet.isolation import variables
from tests.droplet.isolation.test_run import run
from tests.support import ROOT

SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "droplet/isolation").glob("*.sql")}


def test_every_variable_that_the_scripts_check_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, monkeypatch, f'for word in "$@"; do echo "$word"; done > {tmp_path}/seen')
    given = re.findall(r"^--set\n(\w+)=", (tmp_path / "seen").read_text(), re.MULTILINE)
    checked = re.findall(r":\{\?(\w+)\}", SCRIPTS["settings.sql"])
    assert sorted(given) == sorted(checked)
    assert f"repeat('TRUE', {len(checked)})" in SCRIPTS["settings.sql"]


@pytest.mark.parametrize("name", ["cluster.sql", "database.sql"])
def test_a_script_that_is_run_begins_with_the_settings(name: str) -> None:
    """Before anything else: they set the search_path and stop at the first error."""
    (first, *_) = [line for line in SCRIPTS[name].splitlines() if line and not line.startswith("--")]
    assert first == "\\ir settings.sql"


def test_a_change_of_any_script_makes_another_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variables, "FOLDER", tmp_path)
    revisions = set()
    for name in ("", *SCRIPTS):
        for script, text in SCRIPTS.items():
            (tmp_path / script).write_text(text + ("-- more\n" if script == name else ""), encoding="utf-8")
        variables.revision.cache_clear()
        revisions.add(variables.revision("citext"))
    variables.revision.cache_clear()
    # And another list of extensions.
    revisions.add(variables.revision("citext,hstore"))
    variables.revision.cache_clear()
    assert len(revisions) == 2 + len(SCRIPTS)
