"""What Terraform tells droplets of telemetry: the object that droplet/telemetry reads, and who may send."""

import hashlib
import json
import re
from pathlib import Path

from constructs_lib.telemetry import token as expression_of
from droplet.telemetry.command import read_configuration, token
from model.addresses import group_key
from tests.support import Stack

GROUPS = ("control", "observability", "tenant", "worker")


def told(stack: Stack, group: str) -> str:
    objects = stack.all("spaces_bucket_object").values()
    bucket = f"presence360-{stack.name}-config-{group}"
    (found,) = (
        one
        for one in objects
        if one["key"] == "telemetry.json" and stack.follow(one["bucket"])["name"] == bucket
    )
    return str(stack.local(found["content"]))


def evaluated(expression: str) -> dict[str, object]:
    """What Terraform makes of it, with a token of sixty-four zeros for each."""
    inner = re.sub(r"sha256\(format\([^()]*\)\)", f'"{64 * "0"}"', expression)
    inner = inner.removeprefix("${jsonencode(").removesuffix(")}")
    return dict(json.loads(re.sub(r'(?<=[{,] )"?([a-z-]+)"? = ', r'"\1": ', inner)))


def test_every_group_knows_where_receivers_say_how_they_are_reached(
    production: Stack, tmp_path: Path
) -> None:
    for group in GROUPS:
        file = tmp_path / f"{group}.json"
        file.write_text(json.dumps(evaluated(told(production, group))))
        # The droplet's program takes it.
        found = read_configuration(file)
        assert found.receivers == "presence360-production-status-observability"
        assert (found.port, found.bridge.address, found.bridge.port) == (9364, "172.30.0.1", 4318)
        assert sorted(found.senders) == (sorted(GROUPS) if group == "observability" else [])


def test_a_token_is_made_of_the_groups_key_on_both_sides(production: Stack) -> None:
    text = told(production, "observability")
    for group in GROUPS:
        assert f'"{group}" = {expression_of(group)}' in text
        assert str(group_key(group)) in production.addresses
        assert expression_of(group) == f'sha256(format("telemetry:%s", {group_key(group)}.secret_key))'
    # As Terraform's sha256: hexadecimal, of the UTF-8 text.
    assert token("secret") == hashlib.sha256(b"telemetry:secret").hexdigest()
    # No other group learns of tokens.
    for group in ("control", "tenant", "worker"):
        assert told(production, group).count("secret_key") == 0


def test_every_group_reads_what_receivers_say_and_writes_nothing_there(production: Stack) -> None:
    for group in GROUPS:
        key = production.named("spaces_key", f"presence360-production-config-{group}")
        rights = {production.follow(grant["bucket"])["name"]: grant["permission"] for grant in key["grant"]}
        own = group == "observability"
        assert rights["presence360-production-status-observability"] == ("readwrite" if own else "read")


def test_where_the_observability_group_runs_services_too(staging: Stack) -> None:
    assert evaluated(told(staging, "app"))["receivers"] == "presence360-staging-status-app"
    assert set(evaluated(told(staging, "app"))["senders"]) == {"app", "worker"}  # type: ignore[call-overload]
