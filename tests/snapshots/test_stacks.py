"""One reviewed snapshot a stack. A change of one is a change of what is deployed: the commit says why.

`staging_lives` has a tenant in every state, and `staging_cell_2` is its further cell: tests/lives/tenants.yaml.
"""

import copy
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension
from syrupy.location import PyTestLocation

from tests.support import Stack


class StackSnapshot(JSONSnapshotExtension):
    """test_stacks/test_stack[<stack>].json: Terraform's own JSON with sorted keys, nothing of cdktf's."""

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return str(Path(test_location.filepath).with_suffix(""))

    def serialize(self, data: Any, **_: Any) -> str:
        return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@pytest.mark.parametrize(
    "name",
    [
        "bootstrap",
        "production",
        "production_drill",
        "staging",
        "staging_lives",
        "staging_cell_2",
    ],
)
def test_stack(name: str, snapshot: SnapshotAssertion, request: pytest.FixtureRequest) -> None:
    stack: Stack = request.getfixturevalue(name)
    assert _without_programs(stack.json) == snapshot(extension_class=StackSnapshot)


def _without_programs(stack: dict[str, Any]) -> dict[str, Any]:
    """Show which programs and dashboards travel: what is in them is reviewed in droplet/ and docs/dashboards."""
    shown = copy.deepcopy(stack)
    for body in shown["resource"].get("digitalocean_spaces_bucket_object", {}).values():
        if body["key"] in {"programs.json", "dashboards.json"}:
            # In the manifest, too, of the text as Terraform hands it on (constructs_lib/terraform_text.py, literal).
            text = re.sub(r"([$%])\1\{", r"\1{", body["content"])
            digest = hashlib.sha256(text.encode()).hexdigest()
            for name, value in shown["locals"].items():
                if isinstance(value, str):
                    shown["locals"][name] = value.replace(digest, "of the content")
            body["content"] = sorted(json.loads(body["content"])["files"])
            body["etag"] = "of the content"
    return shown
