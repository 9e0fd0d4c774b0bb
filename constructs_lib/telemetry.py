"""What a group's droplets are told of telemetry (droplet/telemetry): an object in the group's bucket."""

import json

from model.access import BRIDGE_ADDRESS, OTLP_BRIDGE_PORT, OTLP_PORT
from model.addresses import group_key
from model.telemetry import TelemetryPlan


def token(group: str) -> str:
    """Return an expression, without `${}`, for a group's token, which is made from the secret of its key.

    The group's droplets make the same from the key that they hold (droplet/telemetry/command.py), so no other object
    carries it to them; and a receiver that has the token cannot tell the secret from it.
    """
    return f'sha256(format("telemetry:%s", {group_key(group)}.secret_key))'


def telemetry_config(plan: TelemetryPlan) -> str:
    """Return an expression, without `${}`: where the group's droplets forward, and who may send to them."""
    senders = ", ".join(f"{json.dumps(group)} = {token(group)}" for group in plan.senders)
    ports = plan.logs.ports if plan.logs else {}
    journals = ", ".join(f"{json.dumps(group)} = {port}" for group, port in sorted(ports.items()))
    bridge = f"{{ address = {json.dumps(BRIDGE_ADDRESS)}, port = {OTLP_BRIDGE_PORT} }}"
    return (
        f"{{ receivers = {json.dumps(plan.receivers)}, port = {OTLP_PORT}, bridge = {bridge}, "
        f"senders = {{ {senders} }}, journals = {{ {journals} }}, "
        f"traces = {json.dumps(plan.sample_percent > 0)} }}"
    )
