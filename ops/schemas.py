"""Write the JSON Schemas that editors check environments/*.yaml with: `python -m ops.schemas`.

They are generated from the models, so a description is written once. The first line of each YAML file names its
schema for the YAML language server, which most editors use.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from model.environment import EnvironmentFile
from model.sanity import SanityFile
from model.tenants import TenantsFile

FOLDER = Path(__file__).parent.parent / "schemas"

SCHEMAS: dict[str, type[BaseModel]] = {
    "environment.schema.json": EnvironmentFile,
    "sanity.schema.json": SanityFile,
    "tenants.schema.json": TenantsFile,
}


def render(model: type[BaseModel]) -> str:
    """Return the schema of a model as text."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_without_null(model.model_json_schema()),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _without_null(schema: Any) -> Any:
    """Leave null out: an optional key is left out of a file, and has a value where it stands (model/explain.py)."""
    if isinstance(schema, list):
        return [_without_null(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without_null(value) for key, value in schema.items() if (key, value) != ("default", None)}
    if "anyOf" in kept:
        kinds = [kind for kind in kept.pop("anyOf") if kind != {"type": "null"}]
        kept |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return kept


def main() -> int:
    """Write all schemas."""
    FOLDER.mkdir(exist_ok=True)
    for name, model in SCHEMAS.items():
        (FOLDER / name).write_text(render(model), encoding="utf-8")
        print(f"schemas/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
