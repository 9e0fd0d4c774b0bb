"""Plans in Terraform's JSON: one that the guard allows, one that replaces two groups, and one that it refuses."""

import json
from typing import Any

from model import addresses

_BUCKET = {
    "address": "digitalocean_spaces_bucket.config-worker_bucket",
    "mode": "managed",
    "type": "digitalocean_spaces_bucket",
    "name": "config-worker_bucket",
    "change": {
        "actions": ["delete"],
        "before": {"name": "presence360-staging-config-worker"},
        "after": None,
        "after_unknown": {},
    },
    "action_reason": "delete_because_no_resource_config",
}


# A plan of no change begins from a state that holds something.
_EXISTING = {"address": "terraform_data.x", "mode": "managed", "type": "terraform_data", "name": "x"}


def _plan(*changes: Any) -> str:
    return json.dumps(
        {
            "format_version": "1.2",
            "terraform_version": "1.11.4",
            "errored": False,
            "complete": True,
            "planned_values": {"root_module": {}},
            "configuration": {},
            "prior_state": {"format_version": "1.0", "values": {"root_module": {"resources": [_EXISTING]}}},
            "resource_changes": list(changes),
        }
    )


def _replaced(group: str) -> Any:
    at = addresses.droplet(group, 1)
    change = {"actions": ["create", "delete"], "before": {}, "after": {}, "after_unknown": {"id": True}}
    return {"address": str(at), "mode": "managed", "type": at.kind, "name": at.name, "change": change}


ALLOWED = _plan()
TWO_GROUPS = _plan(_replaced("app"), _replaced("worker"))
REFUSED = _plan(_BUCKET)
REFUSAL = "presence360-staging-config-worker would be deleted"
