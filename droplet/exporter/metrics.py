"""What the daemon saw, in Prometheus's text format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from droplet.exporter.cgroups import Usage
from droplet.exporter.docker import Container

PIDS_LIMIT = 512
"""What Compose allows each service (cloud_init/templates/compose.yaml.j2)."""


@dataclass(frozen=True)
class Seen:
    """What one look saw.

    Attributes:
        containers: with what each uses; None while Docker does not answer.
        oom_kills: by service, since this daemon started.
        reboot_required: whether an upgrade waits for the droplet's reboot.
        now: seconds since 1970.
    """

    containers: Sequence[tuple[Container, Usage]] | None
    oom_kills: Mapping[str, int]
    reboot_required: bool
    now: float


def render(seen: Seen) -> str:
    """Return the metrics; a service that does not run has a limit and restarts, and uses nothing."""
    containers = sorted(seen.containers or (), key=lambda pair: pair[0].service)
    services = sorted({container.service for container, _ in containers} | set(seen.oom_kills))
    families: list[tuple[str, str, str, Mapping[str, float | None]]] = [
        (
            "container_running",
            "gauge",
            "Whether a service's container runs.",
            {one.service: int(one.pid > 0) for one, _ in containers},
        ),
        (
            "container_memory_bytes",
            "gauge",
            "Memory that a service uses, without what the kernel only caches.",
            {one.service: used.memory for one, used in containers},
        ),
        (
            "container_memory_limit_bytes",
            "gauge",
            "Memory at which the kernel ends a service.",
            {one.service: one.memory_limit or None for one, _ in containers},
        ),
        (
            "container_cpu_seconds_total",
            "counter",
            "Seconds of CPU that a service has used since its container started.",
            {one.service: used.cpu_seconds for one, used in containers},
        ),
        (
            "container_processes",
            "gauge",
            f"Processes and threads of a service; {PIDS_LIMIT} are allowed.",
            {one.service: used.processes for one, used in containers},
        ),
        (
            "container_restarts_total",
            "counter",
            "How often Docker started a service's container again because it ended by itself.",
            {one.service: one.restarts for one, _ in containers},
        ),
        (
            "container_oom_kills_total",
            "counter",
            "How often the kernel killed a process of a service for want of memory, since this daemon started.",
            {service: seen.oom_kills.get(service, 0) for service in services},
        ),
        (
            "container_start_time_seconds",
            "gauge",
            "When a service's container started last.",
            {one.service: one.started or None for one, _ in containers},
        ),
    ]
    lines: list[str] = []
    for name, kind, text, values in families:
        lines += _heading(name, kind, text)
        lines += [
            f'presence360_{name}{{service="{service}"}} {value:.15g}'
            for service, value in values.items()
            if value is not None
        ]
    for name, text, one in (
        ("reboot_required", "Whether an upgrade waits for this droplet's reboot.", int(seen.reboot_required)),
        ("exporter_docker_up", "Whether Docker answers.", int(seen.containers is not None)),
        ("exporter_timestamp_seconds", "When containers were last looked at.", round(seen.now)),
    ):
        lines += [*_heading(name, "gauge", text), f"presence360_{name} {one}"]
    return "\n".join(lines) + "\n"


def _heading(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP presence360_{name} {text}", f"# TYPE presence360_{name} {kind}"]
