"""The metrics of a run, in Prometheus's text format."""

from collections.abc import Mapping

from droplet.converge.containers import State
from droplet.converge.maintenance import Maintenance
from droplet.converge.release import Release


def render(
    current: Release | None,
    states: Mapping[str, State],
    closed: Maintenance,
    *,
    phase: str,
    success: bool,
    now: float,
) -> str:
    """Return the metrics.

    Args:
        current: the release that runs.
        states: of its services, as this run found them; empty where it did not look.
        closed: who is in maintenance.
        phase: as the droplet's status has it (docs/status.md).
        success: whether the release is what the bucket says, and healthy.
        now: seconds since 1970.
    """
    lines = [
        "# HELP presence360_converge_success Whether this droplet runs what its bucket says, and healthily.",
        "# TYPE presence360_converge_success gauge",
        f"presence360_converge_success {int(success)}",
        "# HELP presence360_converge_timestamp_seconds When a run of converge last ended.",
        "# TYPE presence360_converge_timestamp_seconds gauge",
        f"presence360_converge_timestamp_seconds {now:.0f}",
        "# HELP presence360_maintenance Whether the whole environment is in maintenance: 503 is meant.",
        "# TYPE presence360_maintenance gauge",
        f"presence360_maintenance {int(closed.environment)}",
        "# HELP presence360_maintenance_tenants How many churches are in maintenance.",
        "# TYPE presence360_maintenance_tenants gauge",
        f"presence360_maintenance_tenants {len(closed.slugs)}",
    ]
    lines += [
        "# HELP presence360_converge_phase What the droplet's status says; the value is always 1.",
        "# TYPE presence360_converge_phase gauge",
        f'presence360_converge_phase{{phase="{phase}"}} 1',
    ]
    if states:
        lines += [
            "# HELP presence360_service_healthy Whether a service runs and Docker's health check does not fail.",
            "# TYPE presence360_service_healthy gauge",
        ]
        for service, state in sorted(states.items()):
            healthy = int(state.running and not state.unhealthy)
            lines.append(f'presence360_service_healthy{{service="{service}"}} {healthy}')
    if current:
        lines += [
            "# HELP presence360_release_info The release that runs; the value is always 1.",
            "# TYPE presence360_release_info gauge",
            f'presence360_release_info{{digest="{current.digest}"}} 1',
            "# HELP presence360_service_image_info The image of each service; the value is always 1.",
            "# TYPE presence360_service_image_info gauge",
        ]
        for service, image in sorted(current.images.items()):
            lines.append(f'presence360_service_image_info{{service="{service}",image="{image}"}} 1')
    return "\n".join(lines) + "\n"
