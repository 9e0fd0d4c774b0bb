"""What the isolation job found last on this droplet, for the status: `presence360 check` reads it there.

It is read from the job's metrics, which systemd copied as root: the job itself has no key of the bucket.
"""

import re
from pathlib import Path
from typing import Any

from droplet.converge.peers import write_time

_SAMPLE = re.compile(
    r"presence360_isolation_(success|findings|errors|timestamp_seconds)"
    r'\{cluster="([\w.-]{1,80})"\} (\d{1,12})(?:\.\d+)?'
)
_TIME = "timestamp_seconds"
_MEMBERS = frozenset({"success", "findings", "errors", _TIME})
MOST = 300
"""Clusters that are told of: a church may have one of its own."""


def isolation(metrics: Path) -> dict[str, dict[str, Any]]:
    """Return what was found by cluster; nothing where the job does not run, or has not yet."""
    try:
        text = metrics.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    found: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        if match := _SAMPLE.fullmatch(line):
            found.setdefault(match[2], {})[match[1]] = int(match[3])
    whole = [(cluster, said) for cluster, said in sorted(found.items()) if said.keys() == _MEMBERS]
    return {
        cluster: {
            "success": said["success"] == 1,
            "findings": said["findings"],
            "errors": said["errors"],
            "time": write_time(said[_TIME]),
        }
        for cluster, said in whole[:MOST]
    }
