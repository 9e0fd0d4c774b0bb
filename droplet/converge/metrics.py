"""The metrics of a run, in Prometheus's text format."""

from droplet.converge.release import Release


def render(current: Release | None, *, success: bool, now: float) -> str:
    """Return the metrics.

    Args:
        current: the release that runs.
        success: whether it is what the bucket says.
        now: seconds since 1970.
    """
    lines = [
        "# HELP presence360_converge_success Whether this droplet runs what its bucket says.",
        "# TYPE presence360_converge_success gauge",
        f"presence360_converge_success {int(success)}",
        "# HELP presence360_converge_timestamp_seconds When a run of converge last ended.",
        "# TYPE presence360_converge_timestamp_seconds gauge",
        f"presence360_converge_timestamp_seconds {now:.0f}",
    ]
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
