"""Edits of YAML as text: the value changes, and every comment and every other line stays."""

import copy
import difflib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ops.yaml_edit import CannotEditError, append, line_of, remove, set_value, written

NAMES = st.sampled_from(
    [
        "Grace",
        "Grace Chapel",
        "St. Mary's",
        "null",
        "yes",
        "1.4.2",
        "a: b",
        "a #b",
        "- x",
        '"q"',
        "é",
        "",
        "~",
        "1e3",
    ]
)
SCALARS = NAMES | st.integers(min_value=0, max_value=9999)
KEYS = st.sampled_from(["slug", "name", "status", "cell", "tier", "queue_prefix"])
ENTRIES = st.dictionaries(KEYS, SCALARS, min_size=1, max_size=4)
COMMENTS = st.sampled_from(["", "", "  # since May", "   # 'quoted', {braces}"])
LINES = st.sampled_from(
    ["", "", "\n", "  # a line of its own\n", "# at the margin\n", "\n  # after a blank line\n"]
)


@st.composite
def scalar_text(draw: st.DrawFn, value: str | int) -> str:
    """A scalar in any quotes that mean the same."""
    if isinstance(value, int):
        return str(value)
    quote = draw(st.sampled_from(["", "'", '"']))
    return written(value, quote=quote)


@st.composite
def entry_text(draw: st.DrawFn, entry: dict[str, Any], indent: str) -> str:
    """An item of the list, in block or flow style, with comments."""
    pairs = [f"{key}: {draw(scalar_text(value))}" for key, value in entry.items()]
    if draw(st.booleans()) and draw(st.booleans()):
        return f"{indent}- {{{', '.join(pairs)}}}{draw(COMMENTS)}\n"
    text = f"{indent}- {pairs[0]}{draw(COMMENTS)}\n"
    for pair in pairs[1:]:
        text += draw(LINES) + f"{indent}  {pair}{draw(COMMENTS)}\n"
    return text


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[dict[str, Any]]]:
    """A file like tenants.yaml as a person writes it, and what it holds."""
    entries = draw(st.lists(ENTRIES, min_size=1, max_size=4))
    indent = draw(st.sampled_from(["", "  ", "    "]))
    text = "# heading\n" + draw(LINES) + f"tenants:{draw(COMMENTS)}\n"
    for entry in entries:
        text += draw(LINES) + draw(entry_text(entry, indent))
    text += draw(LINES) + "other: {a: 1}  # kept\n" + draw(LINES)
    if draw(st.booleans()):
        text = text.rstrip("\n")
    assert yaml.safe_load(text) == {"tenants": entries, "other": {"a": 1}}
    return text, entries


def comments(text: str) -> list[str]:
    """Every comment, by YAML's own scanner: what is between the tokens."""
    found = []
    for line in text.splitlines():
        for start in (index for index, mark in enumerate(line) if mark == "#"):
            if line[:start].strip() == "" or (line[start - 1] == " " and _scans(line[:start])):
                found.append(line[start:])
                break
    return found


def _scans(text: str) -> bool:
    """Whether a line's beginning is complete, so that a # behind it begins a comment."""
    try:
        list(yaml.scan(text))
    except yaml.YAMLError:
        return False
    return True


def changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """Lines that went, and lines that came."""
    diff = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    return [line[2:] for line in diff if line[0] == "-"], [line[2:] for line in diff if line[0] == "+"]


@given(st.data(), documents(), KEYS, SCALARS)
def test_a_value_is_set_and_nothing_else_changes(
    data: st.DataObject, document: tuple[str, list[dict[str, Any]]], key: str, value: str | int
) -> None:
    text, entries = document
    index = data.draw(st.integers(min_value=0, max_value=len(entries) - 1))
    expected = copy.deepcopy(entries)
    expected[index][key] = value
    after = set_value(text, ("tenants", index, key), value)
    assert yaml.safe_load(after) == {"tenants": expected, "other": {"a": 1}}
    assert comments(after) == comments(text)
    gone, came = changed(text, after)
    assert len(came) <= 1
    assert len(gone) <= 1


@given(st.data(), documents())
def test_a_key_is_removed_with_its_line_or_the_edit_is_refused(
    data: st.DataObject, document: tuple[str, list[dict[str, Any]]]
) -> None:
    text, entries = document
    index = data.draw(st.integers(min_value=0, max_value=len(entries) - 1))
    key = data.draw(st.sampled_from(sorted(entries[index])))
    expected = copy.deepcopy(entries)
    del expected[index][key]
    try:
        after = remove(text, ("tenants", index, key))
    except CannotEditError as error:
        # Its comment would have to go, or nothing would be left of the entry.
        assert key == next(iter(entries[index]))
        assert error.line == line_of(text, ("tenants", index, key))
        return
    assert yaml.safe_load(after) == {"tenants": expected, "other": {"a": 1}}
    lost = [comment for comment in comments(text) if comment not in comments(after)]
    assert len(lost) <= 1


@given(st.data(), documents())
def test_an_item_is_removed_and_comments_around_it_stay(
    data: st.DataObject, document: tuple[str, list[dict[str, Any]]]
) -> None:
    text, entries = document
    index = data.draw(st.integers(min_value=0, max_value=len(entries) - 1))
    after = remove(text, ("tenants", index))
    assert yaml.safe_load(after) == {
        "tenants": [entry for place, entry in enumerate(entries) if place != index],
        "other": {"a": 1},
    }
    _, came = changed(text, after)
    assert all(line.startswith("tenants: []") for line in came)
    assert after.startswith("# heading\n")
    assert "other: {a: 1}  # kept" in after


@given(documents(), ENTRIES)
def test_an_item_is_added_behind_the_last(
    document: tuple[str, list[dict[str, Any]]], entry: dict[str, Any]
) -> None:
    text, entries = document
    after = append(text, ("tenants",), entry)
    assert yaml.safe_load(after) == {"tenants": [*entries, entry], "other": {"a": 1}}
    assert comments(after) == comments(text)
    gone, came = changed(text, after)
    assert gone == []
    assert len(came) == len(entry)


@given(documents(), ENTRIES)
def test_what_is_added_and_removed_again_leaves_the_file_as_it_was(
    document: tuple[str, list[dict[str, Any]]], entry: dict[str, Any]
) -> None:
    text, entries = document
    back = remove(append(text, ("tenants",), entry), ("tenants", len(entries)))
    assert back.rstrip("\n") == text.rstrip("\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tenants: []\n", "tenants:\n  - slug: grace\n    name: Grace Chapel\n"),
        (
            "tenants: []  # none yet\n# end\n",
            "tenants:  # none yet\n  - slug: grace\n    name: Grace Chapel\n# end\n",
        ),
        (
            "tenants: [{slug: hope}]\n",
            "tenants: [{slug: hope}, {slug: grace, name: Grace Chapel}]\n",
        ),
        ("tenants:\n- slug: hope", "tenants:\n- slug: hope\n- slug: grace\n  name: Grace Chapel\n"),
    ],
)
def test_an_item_follows_the_style_of_its_list(before: str, after: str) -> None:
    assert append(before, ("tenants",), {"slug": "grace", "name": "Grace Chapel"}) == after


@pytest.mark.parametrize(
    ("before", "path", "value", "after"),
    [
        ("a: {b: 1}  # c\n", ("a", "c"), 2, "a: {b: 1, c: 2}  # c\n"),
        ("a: {}\n", ("a", "b", "c"), [1, 2], "a: {b: {c: [1, 2]}}\n"),
        ("a:\n  b: 1  # c\nd: 2\n", ("a", "e"), "x", "a:\n  b: 1  # c\n  e: x\nd: 2\n"),
        ("a: '1.4.1'  # c\n", ("a",), "1.4.2", "a: '1.4.2'  # c\n"),
        ('a: "1.4.1"\n', ("a",), "1.4.2", 'a: "1.4.2"\n'),
        ("a: Grace\n", ("a",), "1.4.2", 'a: "1.4.2"\n'),
        ("a: >-\n  Grace\n  Chapel\n\nb: 1\n", ("a",), "Hope", "a: Hope\n\nb: 1\n"),
        ("a:\n  - 1\n  - 2\nb: 1  # c\n", ("a",), [3], "a: [3]\nb: 1  # c\n"),
        ("a:\n  b: |\n    text\nc: 1\n", ("a", "d"), 5, "a:\n  b: |\n    text\n  d: 5\nc: 1\n"),
    ],
)
def test_a_value_is_set_in_every_style(before: str, path: tuple[str, ...], value: Any, after: str) -> None:
    assert set_value(before, path, value) == after


@pytest.mark.parametrize(
    ("before", "path", "after"),
    [
        ("a: 1\nlimits: {connections: 5}\nb: 2\n", ("limits", "connections"), "a: 1\nb: 2\n"),
        ("a: 1\nlimits:\n  # why\n  connections: 5  # so\nb: 2\n", ("limits", "connections"), "a: 1\nb: 2\n"),
        ("l: {a: 1, b: 2}\n", ("l", "a"), "l: {b: 2}\n"),
        ("l: {a: 1, b: 2}\n", ("l", "b"), "l: {a: 1}\n"),
        ("l:\n  # one\n  - a: 1\n  # end\nb: 2\n", ("l", 0), "l: []\n  # one\n  # end\nb: 2\n"),
        ("l: [staging]\n", ("l", 0), "l: []\n"),
        ('l: {a: 1, b: "x #y"}\n', ("l", "b"), "l: {a: 1}\n"),
        ('l: {a: "x #y", b: 1}  # z\n', ("l", "a"), "l: {b: 1}  # z\n"),
    ],
)
def test_what_is_removed_takes_what_it_leaves_empty_with_it(
    before: str, path: tuple[str | int, ...], after: str
) -> None:
    assert remove(before, path) == after


@pytest.mark.parametrize(
    ("text", "edit", "reason"),
    [
        (
            "a:\n  - 1  # kept for the worker\n  - 2\n",
            lambda text: set_value(text, ("a",), [3]),
            "a comment stands inside what would be replaced",
        ),
        (
            "l:\n  - a: 1  # why\n    b: 2\n",
            lambda text: remove(text, ("l", 0, "a")),
            "a comment stands inside what would be replaced",
        ),
        ("a: 1\n", lambda text: set_value(text, ("a", "b"), 1), "what stands here is no mapping"),
        ("l:\n  -\n    a: 1\n  - b: 2\n", lambda text: remove(text, ("l", 0)), "more than l[0] would change"),
    ],
)
def test_what_cannot_be_edited_alone_is_refused(text: str, edit: Any, reason: str) -> None:
    with pytest.raises(CannotEditError) as refused:
        edit(text)
    assert refused.value.reason == reason
