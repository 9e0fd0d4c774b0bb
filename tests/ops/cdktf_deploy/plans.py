"""Two plans in Terraform's JSON: one that the guard allows, and one that it refuses."""

import json
from typing import Any

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


def _plan(*changes: Any) -> str:
    return json.dumps(
        {
            "format_version": "1.2",
            "terraform_version": "1.11.4",
            "errored": False,
            "complete": True,
            "planned_values": {"root_module": {}},
            "configuration": {},
            "resource_changes": list(changes),
        }
    )


ALLOWED = _plan()
REFUSED = _plan(_BUCKET)
REFUSAL = "presence360-staging-config-worker would be deleted"
