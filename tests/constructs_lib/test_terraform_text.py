"""What Terraform makes of our text: our own reading of its templates, and Terraform's."""

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructs_lib.terraform_text import env_file_line, literal, url_part
from model.env_file import env_file, quoted

TRICKY = [
    "a\r\nb",
    "${x}",
    "%{if}",
    "$${x}",
    "$$${x}",
    "%%{x}",
    "$",
    "%",
    "{",
    "$$",
    "a$",
    "${",
    '"',
    "\\",
    "\n",
    "é",
    "",
]


def some_texts() -> list[str]:
    choose = random.Random(3)  # noqa: S311 (no secret)
    return TRICKY + [
        "".join(choose.choices("${}%\\\"'ab \n\r\t#`", k=choose.randint(1, 14))) for _ in range(200)
    ]


@given(st.text(alphabet="a{b}#", max_size=20))
def test_text_without_marks_is_left_alone(text: str) -> None:
    assert literal(text) == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("image: ${TENANT_API_IMAGE:?}", "image: $${TENANT_API_IMAGE:?}"),
        ("%{http_code}", "%%{http_code}"),
        ("proxy_set_header Host $host;", "proxy_set_header Host $host;"),
        ("$${", "$$${"),
    ],
)
def test_marks_of_a_template_are_doubled(text: str, escaped: str) -> None:
    assert literal(text) == escaped


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same texts by Terraform: as literals, as lines of an environment file, as parts of URLs."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not on the PATH")
    folder = tmp_path_factory.mktemp("terraform")
    texts = some_texts()
    stack = {
        "variable": {"texts": {"type": "list(string)"}},
        "output": {
            "literal": {"value": [literal(text) for text in texts]},
            "lines": {"value": [env_file_line("NAME", f"var.texts[{i}]") for i in range(len(texts))]},
            "url": {"value": [f"${{{url_part(f'var.texts[{i}]')}}}" for i in range(len(texts))]},
        },
    }
    (folder / "main.tf.json").write_text(json.dumps(stack))
    (folder / "terraform.tfvars.json").write_text(json.dumps({"texts": texts}))
    for command in (["init"], ["apply", "-auto-approve"]):
        subprocess.run(["terraform", *command, "-input=false"], cwd=folder, check=True, capture_output=True)
    shown = subprocess.run(["terraform", "output", "-json"], cwd=folder, check=True, capture_output=True)
    return {name: output["value"] for name, output in json.loads(shown.stdout).items()}


def test_terraform_hands_a_literal_on_unchanged(evaluated: dict[str, Any]) -> None:
    assert evaluated["literal"] == some_texts()


def test_terraform_quotes_a_secret_as_we_quote_a_setting(evaluated: dict[str, Any]) -> None:
    assert evaluated["lines"] == [f"NAME={quoted(text)}\n" for text in some_texts()]


def test_a_url_has_no_plus_for_a_blank(evaluated: dict[str, Any]) -> None:
    expected = dict(zip(some_texts(), evaluated["url"], strict=True))
    assert expected["${x}"] == "%24%7Bx%7D"
    assert not any("+" in url or " " in url for url in evaluated["url"])


def test_compose_reads_every_value_as_it_was(tmp_path: Path) -> None:
    compose = compose_command()
    values = {f"V{number}": text for number, text in enumerate(some_texts())}
    (tmp_path / "secrets.env").write_text("# heading\n" + env_file(values), newline="")
    (tmp_path / "compose.yaml").write_text("services: {a: {image: a, env_file: [secrets.env]}}\n")
    shown = subprocess.run(
        [*compose, "config", "--format", "json"], cwd=tmp_path, check=True, capture_output=True
    )
    environment = json.loads(shown.stdout)["services"]["a"]["environment"]
    # `config` prints what could be read as a Compose file again, so with each dollar sign doubled.
    assert {name: value.replace("$$", "$") for name, value in environment.items()} == values


def compose_command() -> list[str]:
    """Compose as Docker's plug-in or as a program of its own; it needs no engine to read files."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            said = subprocess.run([*command, "version"], capture_output=True, text=True, check=False)
            if said.returncode == 0 and "v1." not in said.stdout:
                return command
    pytest.skip("Docker Compose 2 is not on the PATH")
