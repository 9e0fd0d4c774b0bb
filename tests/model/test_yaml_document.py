"""The YAML reader against PyYAML where both follow the same rules, and against the standard where they do not."""

import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import Finding, InvalidInputError, YamlPath
from model.yaml_document import LeadingZero, YamlDocument


def parse(folder: Path, text: str) -> Any:
    file = folder / "file.yaml"
    file.write_bytes(text.encode())
    return YamlDocument.read(file).value


# What YAML 1.1 (PyYAML) and 1.2 (ours) read alike. PyYAML leaves text plain that is a number in 1.2, such as 1e5 and
# 08, and text with the line breaks and control characters that are refused here.
NUMBER_IN_1_2 = re.compile(r"[-+.0-9eE]*")
ODD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
TEXTS = (
    st.one_of(st.text(max_size=30), st.text(alphabet=" -:#'\"{}[]&*!|>%@`,?\\\n\tan1", max_size=12))
    .filter(lambda text: not ODD.search(text))
    .filter(lambda text: not NUMBER_IN_1_2.fullmatch(text) or not text)
)
SCALARS = st.one_of(
    TEXTS,
    st.booleans(),
    st.none(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda children: st.one_of(
        st.lists(children, max_size=4), st.dictionaries(TEXTS, children, max_size=4)
    ),
    max_leaves=20,
)  # fmt: skip


class NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def with_tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(with_tuples(child) for child in value)
    if isinstance(value, dict):
        return {key: with_tuples(child) for key, child in value.items()}
    return value


def same(left: Any, right: Any) -> bool:
    """Compare values and their types: 1, 1.0 and True are equal to Python."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    kinds = [kind for kind in (bool, int, float, str, type(None)) if isinstance(left, kind)]
    return bool(left == right) and isinstance(right, kinds[0])


@given(document=DOCUMENTS, flow=st.booleans(), wide=st.booleans(), unicode=st.booleans())
@settings(max_examples=300)
def test_what_pyyaml_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, document: Any, flow: bool, wide: bool, unicode: bool
) -> None:
    text = yaml.dump(
        document,
        Dumper=NoAliases,
        default_flow_style=flow,
        width=1000 if wide else 20,
        sort_keys=False,
        allow_unicode=unicode,
    )
    value = parse(tmp_path_factory.getbasetemp(), text)
    assert same(with_tuples(document), value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("14:00", "14:00"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("0b1", "0b1"),
        ("0o17", "0o17"),
        ("+7", 7),
        ("-0", 0),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5E-3", -0.0015),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("1.4.2", "1.4.2"),
        ("-", None),
        ("null", None),
        ("~", None),
        ("", None),
        ("NULL", None),
        ("nULL", "nULL"),
        ("True", True),
        ("tRUE", "tRUE"),
        ("FALSE", False),
        ("'true'", "true"),
        ('"17"', "17"),
        ("'~'", "~"),
        ("''", ""),
        ("1\n", 1),
        ("|\n  1\n", "1\n"),
        (">\n  a\n  b\n", "a b\n"),
        ("<<", "<<"),
        ("=", "="),
    ],
)
def test_plain_scalars_follow_the_core_schema(tmp_path: Path, text: str, value: Any) -> None:
    if text == "-":  # A dash alone is an entry of a list, not a scalar.
        assert parse(tmp_path, "a:\n  -\n") == {"a": (None,)}
        return
    assert same(parse(tmp_path, f"a: {text}"), {"a": value})


@given(text=st.text(alphabet=string.printable + "\x00\x85\u2028\ufeff\U0001f600", max_size=60))
@settings(max_examples=300)
def test_any_text_is_read_or_refused_and_never_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    try:
        parse(tmp_path_factory.getbasetemp(), text)
    except InvalidInputError as error:
        last = text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
        assert all(0 < problem.line <= last for problem in error.problems)


@given(data=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_and_never_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.yaml"
    file.write_bytes(data)
    try:
        YamlDocument.read(file)
    except InvalidInputError as error:
        assert error.problems


# Lines: every scalar and every key of a generated document is a word that stands in it once.

SHAPES = st.recursive(
    st.none(),
    lambda children: st.one_of(st.lists(children, min_size=1, max_size=4), st.tuples(children, children)),
    max_leaves=15,
)


def number(shape: Any, path: YamlPath, words: dict[str, tuple[YamlPath, bool]]) -> Any:
    """Fill a shape with unique words: a list is a list, a tuple a mapping; remember where each word stands."""
    if shape is None:
        words[f"value{len(words)}x"] = (path, False)
        return list(words)[-1]
    if isinstance(shape, list):
        return [number(child, (*path, index), words) for index, child in enumerate(shape)]
    mapping = {}
    for child in shape:
        key = f"key{len(words)}x"
        words[key] = ((*path, key), True)
        mapping[key] = number(child, (*path, key), words)
    return mapping


@given(shape=SHAPES, flow=st.sampled_from([None, False, True]), before=st.integers(0, 3))
@settings(max_examples=200)
def test_a_problem_is_on_the_line_that_an_editor_shows(
    tmp_path_factory: pytest.TempPathFactory, shape: Any, flow: bool | None, before: int
) -> None:
    words: dict[str, tuple[YamlPath, bool]] = {}
    content = number(shape, (), words)
    text = "# first\n" * before + yaml.dump(content, default_flow_style=flow, width=30, sort_keys=False)
    file = tmp_path_factory.getbasetemp() / "lines.yaml"
    file.write_text(text)
    document = YamlDocument.read(file)
    for word, (path, at_key) in words.items():
        line = next(index for index, line in enumerate(text.split("\n"), start=1) if word in line)
        assert document.problem(Finding(path, "", "", at_key)).line == line
        # What does not exist is shown where it would have to be added: at the mapping or list above it.
        beyond = document.problem(Finding((*path, "absent"), "", "", at_key)).line
        assert beyond == document.problem(Finding(path, "", "")).line


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_a_document_without_content_is_none_and_its_problems_are_on_the_first_line(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "file.yaml").write_text(text)
    document = YamlDocument.read(tmp_path / "file.yaml")
    assert document.value is None
    assert document.problem(Finding(("a", 0), "", "")).line == 1


@pytest.mark.parametrize("written", ["010", "08", "-07", "+00", "0000"])
def test_a_number_that_begins_with_zero_is_no_number_and_keeps_its_spelling(
    tmp_path: Path, written: str
) -> None:
    value = parse(tmp_path, f"a: {written}")["a"]
    assert isinstance(value, LeadingZero)
    assert repr(value) == written


def test_what_is_nested_too_deeply_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = []
    parse = yaml.parse

    def counted(*arguments: Any, **options: Any) -> Iterator[Any]:
        for event in parse(*arguments, **options):
            events.append(event)
            yield event

    monkeypatch.setattr(yaml, "parse", counted)
    (tmp_path / "deep.yaml").write_text("[" * 2_000_000)
    with pytest.raises(InvalidInputError, match="nested too deeply\n    Nest at most 19 levels"):
        YamlDocument.read(tmp_path / "deep.yaml")
    assert len(events) < 30
