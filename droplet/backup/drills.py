"""The restore drill's newest report as metrics: whichever droplet tried, and whether it is still there.

A drill runs once a week on one droplet, and metrics have to be there all the time on every one: so the program that
looks every two minutes keeps them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from droplet.backup.store import CommandError, Store
from droplet.converge.paths import write
from droplet.converge.peers import read_time

FOLDER = "drills"
FILE = "drill.json"
"""What is known of the newest report, in the folder that outlives a run."""
LOOK_SECONDS = 1800
DAY_SECONDS = 86_400


def metrics(store: Store, state: Path, now: float) -> str:
    """Return the metrics; the bucket is looked into each half an hour.

    Raises:
        CommandError: the bucket cannot be read.
    """
    known = _known(state / FILE)
    if now - float(known.get("looked", 0)) >= LOOK_SECONDS:
        known = {"looked": now, **_newest(store)}
        write(state / FILE, json.dumps(known).encode(), mode=0o600)
    return render(known, now)


def render(known: Mapping[str, Any], now: float) -> str:
    """Return what is known in Prometheus's text format."""
    lines = []

    def sample(name: str, text: str, value: float) -> None:
        full = f"presence360_drill_{name}"
        lines.extend([f"# HELP {full} {text}", f"# TYPE {full} gauge", f"{full} {value}"])

    report = known.get("report")
    sample("never", "Whether there was no restore drill yet.", int(report is None))
    if isinstance(report, Mapping):
        sample("timestamp_seconds", "When the last restore drill ended.", report["finished"])
        sample("success", "Whether nothing was wrong in it.", report["passed"])
        sample(
            "oldest_seconds",
            "How long ago the database was looked through that waits longest.",
            now - report["oldest"],
        )
        for name, text in (("rto", "How long a restore took"), ("rpo", "How old the backup was")):
            if report[name] is not None:
                sample(f"{name}_seconds", f"{text}.", report[name])
    return "\n".join(lines) + "\n"


def _known(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
        return value if isinstance(value, dict) and isinstance(value.get("looked"), int | float) else {}
    except (OSError, ValueError, RecursionError):
        return {}


def _newest(store: Store) -> dict[str, Any]:
    names = sorted(store.names(FOLDER, "*.json"))
    if not names:
        return {}
    try:
        value = json.loads(store.read(f"{FOLDER}/{names[-1]}"))
        times = [read_time(str(one["at"])) for one in value["known"].values()]
        return {
            "report": {
                "finished": read_time(str(value["finished"])),
                "passed": int(value["passed"] is True),
                "oldest": min(times, default=read_time(str(value["finished"]))),
                "rto": None if value["rto_seconds"] is None else int(value["rto_seconds"]),
                "rpo": int(value["rpo_seconds"]),
            }
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CommandError(f"{FOLDER}/{names[-1]} is no report of a drill") from None
