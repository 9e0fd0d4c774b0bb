"""Write the JSON Schemas that editors check environments/*.yaml with: `python -m ops.schemas`.

They are generated from the models, so a description is written once. The first line of each YAML file names its
schema for the YAML language server, which most editors use.
"""

import json
import sys
from pathlib import Path

from pydantic import BaseModel

from model.environment import EnvironmentFile
from model.tenants import TenantsFile

FOLDER = Path(__file__).parent.parent / "schemas"

SCHEMAS: dict[str, type[BaseModel]] = {
    "environment.schema.json": EnvironmentFile,
    "tenants.schema.json": TenantsFile,
}


def render(model: type[BaseModel]) -> str:
    """Return the schema of a model as text."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write all schemas."""
    FOLDER.mkdir(exist_ok=True)
    for name, model in SCHEMAS.items():
        (FOLDER / name).write_text(render(model), encoding="utf-8")
        print(f"schemas/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
