"""How problems are written, whatever they are about."""

from pathlib import Path

import pytest

from model.errors import (
    Findings,
    InvalidInputError,
    Problem,
    YamlPath,
    did_you_mean,
    format_path,
    relative_name,
    shown,
)
from model.secret_values import HIDDEN, is_secret, redacted

ONE = Problem("a.yaml", 3, "groups.app", "this is wrong", "Fix it.")


def test_a_problem_is_two_lines() -> None:
    assert str(ONE) == "a.yaml:3: groups.app: this is wrong\n    Fix it."


def test_a_problem_of_a_whole_file_has_neither_line_nor_path() -> None:
    assert str(Problem("a.yaml", 0, "", "this is wrong", "Fix it.")) == "a.yaml: this is wrong\n    Fix it."


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (f"environments/dop_v1_{64 * '0'}", f"environments/{HIDDEN}"),
        (f"environments/dop_v1_{64 * '0'}/environment.yaml", f"environments/{HIDDEN}/environment.yaml"),
        ("postgres://u:secret@db.example/x", HIDDEN),
        ("environments/staging/tenants.lock", "environments/staging/tenants.lock"),
    ],
)
def test_a_path_shows_no_secret(file: str, told: str) -> None:
    assert str(Problem(file, 3, "", "this is wrong", "Fix it.")) == f"{told}:3: this is wrong\n    Fix it."


def test_problems_are_sorted_by_file_and_line_and_each_is_told_once() -> None:
    problems = [
        Problem("b.yaml", 1, "", "m", "r"),
        Problem("a.yaml", 10, "", "m", "r"),
        Problem("a.yaml", 9, "z", "m", "r"),
        Problem("a.yaml", 9, "a", "m", "r"),
        ONE,
        ONE,
    ]
    error = InvalidInputError(problems)
    assert [(one.file, one.line, one.path) for one in error.problems] == [
        ("a.yaml", 3, "groups.app"),
        ("a.yaml", 9, "a"),
        ("a.yaml", 9, "z"),
        ("a.yaml", 10, ""),
        ("b.yaml", 1, ""),
    ]
    assert str(error).endswith("\n\n5 problems in the environment files; nothing was written.")


def test_one_problem_is_not_problems() -> None:
    assert str(InvalidInputError([ONE])) == (
        f"{ONE}\n\n1 problem in the environment files; nothing was written."
    )


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("groups",), "groups"),
        (("tenants", 3, "slug"), "tenants[3].slug"),
        ((0, "id"), "[0].id"),
        (("a", 0, 1), "a[0][1]"),
        (("a b", "\x85"), "a b.'\\x85'"),
        (("x", "a\nb"), "x.'a\\nb'"),
        (("k" * 60,), "k" * 60),
        (("k" * 61,), f"'{'k' * 56}..."),
    ],
)
def test_a_path_reads_as_operators_write_it(path: YamlPath, text: str) -> None:
    assert format_path(path) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        ("it's", '"it\'s"'),
        (7, "7"),
        (0.5, "0.5"),
        (None, "null"),
        (True, "true"),
        (False, "false"),
        ((), "[]"),
        (("a", (1, None)), "['a', [1, null]]"),
        ({"a": {"b": True}}, "{a: {b: true}}"),
        ("a\nb", "'a\\nb'"),
        ("x" * 58, f"'{'x' * 58}'"),
        ("x" * 59, f"'{'x' * 56}..."),
    ],
)
def test_a_value_is_shown_as_yaml_on_one_line(value: object, text: str) -> None:
    assert shown(value) == text
    assert len(text) <= 60


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("regoin", "Did you mean 'region'? "),
        ("Region", "Did you mean 'region'? "),
        ("group", "Did you mean 'groups'? "),
        ("zzz", ""),
        ("", ""),
        (7, ""),
    ],
)
def test_a_name_that_is_near_is_offered(written: object, text: str) -> None:
    assert did_you_mean(written, ["region", "groups", "valkey"]) == text


def test_nothing_is_near_to_nothing() -> None:
    assert did_you_mean("region", []) == ""


def test_a_file_is_named_from_where_the_operator_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert relative_name(Path("environments/a.yaml")) == "environments/a.yaml"
    assert relative_name(tmp_path / "below" / "a.yaml") == "a.yaml"
    assert relative_name(tmp_path / "a.yaml") == (tmp_path / "a.yaml").as_posix()


def test_findings_keep_their_order() -> None:
    findings = Findings()
    findings.add(("b",), "one", "r")
    findings.add(("a",), "two", "r", at_key=True)
    assert [(finding.message, finding.at_key) for finding in findings] == [("one", False), ("two", True)]


def test_a_certificate_is_shown_and_a_key_beside_it_is_not() -> None:
    body = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"  # pragma: allowlist secret
    certificate = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
    assert redacted(certificate * 2) == certificate * 2
    for key in (
        certificate.replace("CERTIFICATE", "PRIVATE KEY"),
        f"-----BEGIN CERTIFICATE-----\n{body}: \n",
    ):
        assert redacted(certificate + key) == HIDDEN


@pytest.mark.parametrize(
    "text",
    [
        f"AGE-SECRET-KEY-1{'Q' * 58}",
        "AGE-SECRET-KEY-PQ-1QQ",
        "AGE-PLUGIN-YUBIKEY-1QQ",
        "-----BEGIN OPENSSH PRIVATE " + "KEY-----",
        "-----BEGIN PGP PRIVATE " + "KEY BLOCK-----",
        "-----BEGIN PRIVATE " + "KEY-----",
        "-----BEGIN ENCRYPTED PRIVATE " + "KEY-----",
        "PuTTY-User-Key-File-3: ssh-ed25519",
        f"dop_v1_{'0' * 64}",
        "DO801ABCDEFGHJKMNPQR",
        "dckr_pat_0123456789abcdefghijklmnopq",
        '{"auths": {"registry.example.org": {"auth": "dXNlcjpwYXNzd29yZA=="}}}',
    ],
)
def test_a_private_key_or_a_token_is_told_by_its_form(text: str) -> None:
    assert is_secret(text)
    assert redacted(text) != text


@pytest.mark.parametrize(
    "text", [f"age1{'q' * 58}", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI ada", "DOWNLOADS", "the auth group"]
)
def test_what_is_public_is_no_secret(text: str) -> None:
    assert not is_secret(text)
