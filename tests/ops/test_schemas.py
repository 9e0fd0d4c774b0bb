"""The committed JSON Schemas say what the models say, and editors can find them."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from ops.schemas import FOLDER, SCHEMAS, render
from tests.support import ENVIRONMENTS

FILES = sorted(ENVIRONMENTS.glob("*/*.yaml"))


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schema_is_current(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == render(SCHEMAS[name]), "run `make schemas`"


def test_no_other_schema_lies_about() -> None:
    assert {file.name for file in FOLDER.iterdir()} == set(SCHEMAS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_files_name_their_schema_and_keep_it(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    modeline = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert modeline
    schema_file = (file.parent / modeline[1]).resolve()
    assert schema_file.parent == FOLDER
    schema = json.loads(schema_file.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(text), schema)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_an_editor_marks_nothing_in_a_file_that_is_right(file: Path) -> None:
    """Editors check formats as well, which JSON Schema leaves to them: a range of addresses is no `ipv4`."""
    name = "tenants.schema.json" if file.name == "tenants.yaml" else "environment.schema.json"
    validator = jsonschema.Draft202012Validator(
        json.loads((FOLDER / name).read_text(encoding="utf-8")),
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    assert [
        error.message for error in validator.iter_errors(yaml.safe_load(file.read_text(encoding="utf-8")))
    ] == []


def test_every_key_is_described() -> None:
    """An editor shows the description where the operator types."""

    def undescribed(schema: object, path: str) -> list[str]:
        if not isinstance(schema, dict):
            return []
        found = []
        for name, child in schema.get("properties", {}).items():
            described = "description" in child or "$ref" in child
            found += [] if described else [f"{path}.{name}"]
            found += undescribed(child, f"{path}.{name}")
        for name, child in schema.get("$defs", {}).items():
            found += undescribed(child, name)
        return found

    for name, model in SCHEMAS.items():
        assert undescribed(json.loads(render(model)), name) == []


def test_a_schema_catches_what_it_can() -> None:
    schema = json.loads(render(SCHEMAS["tenants.schema.json"]))
    with pytest.raises(jsonschema.ValidationError, match="slgu"):
        jsonschema.validate({"tenants": [{"slgu": "grace"}]}, schema)


@pytest.mark.parametrize("key", ["migrations", "observability", "backups"])
def test_a_block_without_content_is_marked(key: str) -> None:
    schema = json.loads(render(SCHEMAS["environment.schema.json"]))
    text = (ENVIRONMENTS / "staging" / "environment.yaml").read_text(encoding="utf-8")
    with pytest.raises(jsonschema.ValidationError, match="None is not of type 'object'"):
        jsonschema.validate({**yaml.safe_load(text), key: None}, schema)
