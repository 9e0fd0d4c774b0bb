"""Words that are not written here: they read like a translation (CONTRIBUTING.md, "Language")."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

INSTEAD = {
    r"mend(s|ed|ing)?": "fix",
    r"whoever": "anybody who, or name them",
    r"none of (its|the plan's)": "say whose it is",
    r"(not )?as (it|they) should be": "right, or say what is expected",
    r"aloud": "leave it out",
    r"befall(s|en)?": "happen to",
    r"heed(s|ed)?": "follow",
    r"hence": "so",
    r"upon": "on",
    r"what is there": "say what: the deployed infrastructure, the cloud",
    r"(trap|decision) [0-9]+": "refer to a heading of docs/digitalocean.md, or to docs/decisions/",
}
FORBIDDEN = re.compile(rf"\b({'|'.join(INSTEAD)})\b", re.IGNORECASE)

# Where the words are named in order to be avoided.
ABOUT_WORDS = {"docs/glossary.md", "tests/test_words.py"}
# Made by programs, or text of somebody else's: the operators' files are theirs.
GENERATED = re.compile(r"^environments/|\.lock$|(^|/)package-lock\.json$|^tests/snapshots/|\.(png|svg)$")


def found(text: str) -> list[tuple[int, str]]:
    """The line and the word of each that is forbidden; a phrase may be broken over two lines of a comment."""
    joined = re.sub(r"\n[ \t]*(#|//|--)?[ \t]*", lambda line: "\n" + " " * (len(line[0]) - 1), text)
    flat = joined.replace("\n", " ")
    squeezed = re.compile(FORBIDDEN.pattern.replace(" ", r"\s+"), re.IGNORECASE)
    return [
        (text.count("\n", 0, match.start()) + 1, " ".join(match[0].split()))
        for match in squeezed.finditer(flat)
    ]


def files() -> Iterator[str]:
    # What operators write in their own files is theirs.
    command = ["git", "ls-files", ":!environments"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if name not in ABOUT_WORDS and not GENERATED.search(name) and (ROOT / name).is_file():
            yield name


def test_no_file_has_a_word_that_is_not_written_here() -> None:
    told = [
        f"{name}:{line}: {word!r}"
        for name in files()
        for line, word in found((ROOT / name).read_text(encoding="utf-8"))
    ]
    assert told == [], "\n".join(told)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a remedy\nMended it", [(2, "Mended")]),
        ("recommend, amend, commended", []),
        ("# it is as it\n    # should be", [(1, "as it should be")]),
        ("see trap 7", [(1, "trap 7")]),
        ("a decision of 2026", []),
    ],
)
def test_what_is_found(text: str, expected: list[tuple[int, str]]) -> None:
    assert found(text) == expected


def test_files_are_looked_at() -> None:
    names = set(files())
    assert {"README.md", "model/edge.py", "Makefile", ".github/workflows/deploy.yml"} <= names
    assert all(Path(name).name != "requirements.lock" for name in names)


def test_the_glossary_has_the_words_that_runbooks_take_for_known() -> None:
    glossary = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    assert [
        word for word in ("| control group |", "*isolation job*", "| recipient |") if word not in glossary
    ] == []
