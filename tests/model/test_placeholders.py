"""Values of `.env.example` and their like are no secrets."""

import pytest

from model.placeholders import PLACEHOLDER, is_placeholder
from ops.env_file import parse_env
from tests.support import ROOT


def test_every_value_of_env_example_is_a_placeholder() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    values = {**parse_env(text, ".env.example"), **parse_env(text.replace("#TF_VAR_<env>", "TF_VAR_x"), "it")}
    values.pop("PRESENCE360_STATE", None)
    assert len(values) >= 7
    assert [name for name, value in values.items() if not is_placeholder(value)] == []


@pytest.mark.parametrize(
    "value",
    [
        "changeme",
        "CHANGE_ME",
        " replace-me ",
        "<token>",
        "your-api-key",
        "placeholder",
        "TODO",
        "xxxx",
        "secret",
        "null",
    ],
)
def test_what_people_write_instead(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize(
    "value", ["x", "dop_v1_1f2e3d", "s3cret-value", "a<b>c", "yours truly", "testing123", "not real"]
)
def test_what_may_be_a_secret(value: str) -> None:
    assert not is_placeholder(value)


def test_terraform_can_read_the_pattern_in_quotes() -> None:
    assert [mark for mark in ('"', "\\", "${", "%{") if mark in PLACEHOLDER] == []
