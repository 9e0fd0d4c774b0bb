"""Terraform's state, read through Terraform: where secrets stand in it."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ops.check.finding import NotSeenError
from ops.check.look import Look
from ops.credentials import STATE_CREDENTIALS
from ops.terraform import BINARY_VARIABLE

STATE_SECONDS = 60
SHORTEST = 12
"""Shorter values are names and numbers, which stand in many places without being secrets."""

SOURCES: Mapping[str, frozenset[str]] = {
    "digitalocean_database_cluster": frozenset({"password", "uri", "private_uri"}),
    "digitalocean_database_user": frozenset({"password"}),
    "digitalocean_spaces_key": frozenset({"secret_key"}),
}
"""Arguments in which DigitalOcean's own secrets stand, because it makes them."""

PLACES: Mapping[str, frozenset[str]] = {
    **SOURCES,
    # What services read; droplets' keys of their buckets.
    "digitalocean_spaces_bucket_object": frozenset({"content"}),
    "digitalocean_droplet": frozenset({"user_data"}),
    "digitalocean_droplet_autoscale": frozenset({"droplet_template"}),
    # Where DigitalOcean's own alerts go: Slack's address is a secret.
    "digitalocean_monitor_alert": frozenset({"alerts"}),
    "digitalocean_uptime_alert": frozenset({"notifications"}),
}
"""Arguments that hand a secret on to who needs it."""

OUTPUTS = frozenset({"backups_copy_key"})
"""Outputs with a key that an operator fetches (docs/backups.md)."""


def read(look: Look) -> dict[str, dict[str, Any]]:
    """Return the state of each stack.

    Raises:
        NotSeenError: the state's key, Terraform or the stacks are missing.
    """
    if look.environ.get("PRESENCE360_STATE") != "local" and (
        missing := [one.name for one in STATE_CREDENTIALS if one.problem(look.environ)]
    ):
        raise NotSeenError(
            f"the state: {' and '.join(missing)} not set", "Set them (.env.example), where you may read it"
        )
    program = look.environ.get(BINARY_VARIABLE) or "terraform"
    if shutil.which(program, path=look.environ.get("PATH")) is None:
        raise NotSeenError(f"the state: there is no {program} here", "Install Terraform (README.md)")
    names = [look.name, *(cell.name for cell in look.plan.cells)]
    return {name: _state(program, look.outdir / "stacks" / name, look.environ) for name in names}


def _state(program: str, stack: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Read a state by its backend alone: neither the provider nor a lock is needed."""
    if not (stack / "cdk.tf.json").exists():
        raise NotSeenError(
            f"the state of {stack.name}: it is not synthesized here", "make synth, and try again"
        )
    backend = json.loads((stack / "cdk.tf.json").read_text(encoding="utf-8"))["terraform"]["backend"]
    if "local" in backend:
        backend = {"local": {"path": str((stack / backend["local"]["path"]).resolve())}}
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps({"terraform": {"backend": backend}})
        (Path(folder) / "backend.tf.json").write_text(text, encoding="utf-8")
        _run([program, "init", "-input=false", "-no-color"], folder, environ, stack.name)
        shown = _run([program, "state", "pull"], folder, environ, stack.name)
    try:
        found: dict[str, Any] = json.loads(shown)
    except ValueError:
        raise NotSeenError(f"the state of {stack.name} is empty", "Deploy it first") from None
    return found


def _run(command: list[str], folder: str, environ: Mapping[str, str], stack: str) -> str:
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **environ, "TF_IN_AUTOMATION": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=STATE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise NotSeenError(f"the state of {stack}: no answer within {STATE_SECONDS} s", "Try again") from None
    if ended.returncode:
        # Never what it printed: that may be the state.
        said = ended.stderr.strip().splitlines()[:1]
        raise NotSeenError(
            f"the state of {stack}: {' '.join(command[:2])} failed: {''.join(said)}", "Check the state's key"
        )
    return ended.stdout


def misplaced(content: Mapping[str, Any]) -> list[str]:
    """Return where a state holds a secret that need not be there: an address and an argument, or an output."""
    secrets = set(_secrets(content))
    return sorted(set(_misplaced(content, secrets)))


def _secrets(content: Mapping[str, Any]) -> Iterator[str]:
    for kind, _, attributes in _instances(content):
        for name in SOURCES.get(kind, ()):
            if isinstance(value := attributes.get(name), str) and len(value) >= SHORTEST:
                yield value


def _misplaced(content: Mapping[str, Any], secrets: set[str]) -> Iterator[str]:
    for kind, address, attributes in _instances(content):
        allowed = PLACES.get(kind, frozenset())
        for name, value in attributes.items():
            if name not in allowed and _holds(value, secrets):
                yield f"{address}.{name}"
    for name, output in (content.get("outputs") or {}).items():
        if name not in OUTPUTS and (_holds(output.get("value"), secrets) or output.get("sensitive")):
            yield f"output {name}"


def _instances(content: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for resource in content.get("resources") or ():
        for instance in resource.get("instances") or ():
            key = instance.get("index_key")
            address = f"{resource['type']}.{resource['name']}" + (
                "" if key is None else f"[{json.dumps(key)}]"
            )
            yield resource["type"], address, instance.get("attributes") or {}


def _holds(value: Any, secrets: set[str]) -> bool:
    if isinstance(value, str):
        return any(secret in value for secret in secrets) if len(value) >= SHORTEST else False
    if isinstance(value, Mapping):
        return any(_holds(one, secrets) for one in value.values())
    return isinstance(value, list) and any(_holds(one, secrets) for one in value)
