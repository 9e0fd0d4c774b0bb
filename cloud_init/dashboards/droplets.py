"""Droplets: the machine, its containers, its programs."""

from typing import Final

from cloud_init.dashboards.parts import (
    HALF,
    RATE,
    SECONDS,
    SHARE,
    Column,
    Content,
    Limits,
    Query,
    Section,
    lines,
    longest_ago,
    rows,
)
from cloud_init.dashboards.variables import chosen
from model.alerts import limits
from model.alerts.droplets import CONTAINER_MEMORY, DISK_FREE, INODES_FREE, MEMORY_FREE
from model.dashboards import DashboardsPlan

_CHOSEN: Final = 'group=~"$group",instance=~"$droplet"'
_CONVERGED: Final = f"presence360_converge_timestamp_seconds{{{_CHOSEN}}}"
_MOST: Final = 5
"""Lines of a panel at most: an environment may have a hundred droplets."""


def content(_plan: DashboardsPlan) -> Content:
    """Return what the dashboard has."""
    return Content(
        [Section("Machine", _MACHINE), Section("Containers", _CONTAINERS), Section("Programs", _PROGRAMS)],
        [
            chosen("group", "Group", 'label_values(up{job="droplet"}, group)', several=True),
            chosen(
                "droplet",
                "Droplet",
                'label_values(up{job="droplet",group=~"$group"}, instance)',
                several=True,
            ),
        ],
    )


def _of(expression: str) -> str:
    """Return an expression of droplets for the chosen ones alone."""
    return f'({expression}) and on (instance) up{{job="droplet",{_CHOSEN}}}'


_MACHINE: Final = [
    rows(
        "Droplets", "Whether each answers its load balancer's health check. One that is silent is not here.",
        _of("presence360_healthy"),
        Column("group", "Group"), Column("instance", "Droplet"),
        Column("Value", "Healthy", limits=Limits(red=1, below=True), yes_or_no=True),
        width=8, first=("Healthy", False), alerts=["DropletUnhealthy", "DropletSilent"],
    ),
    lines(
        "CPU", f"The share of all cores that is used, of the {_MOST} droplets with the most.",
        Query(
            f"topk({_MOST}, 1 - avg by (instance) (rate(node_cpu_seconds_total{{{_CHOSEN},mode=\"idle\"}}[{RATE}])))",
            "{{instance}}",
        ),
        unit=SHARE, highest=1,
    ),
    lines(
        "Free memory", f"The share that is free, of the {_MOST} droplets with the least.",
        Query(f"bottomk({_MOST}, {_of(MEMORY_FREE)})", "{{instance}}"), unit=SHARE, highest=1,
        limits=Limits(yellow=limits.MEMORY_FREE_LITTLE, below=True), alerts=["MemoryLow", "OutOfMemory"],
    ),
    lines(
        "Free disk", f"The share that is free, of the {_MOST} file systems with the least.",
        Query(f"bottomk({_MOST}, {_of(DISK_FREE)})", "{{instance}} {{mountpoint}}"), unit=SHARE, highest=1,
        limits=Limits(limits.DISK_FREE_LITTLE, limits.DISK_FREE_LEAST, below=True),
        alerts=["DiskNearlyFull", "DiskFull"],
    ),
    lines(
        "Room for files", f"The share of inodes that is free, of the {_MOST} file systems with the least.",
        Query(f"bottomk({_MOST}, {_of(INODES_FREE)})", "{{instance}} {{mountpoint}}"), unit=SHARE, highest=1,
        limits=Limits(yellow=limits.INODES_FREE_LITTLE, below=True), alerts=["InodesNearlyUsedUp"],
    ),
    lines(
        "Network", "Bytes a second, in and out, of all chosen droplets.",
        Query(f"sum(rate(node_network_receive_bytes_total{{{_CHOSEN}}}[{RATE}]))", "in"),
        Query(f"sum(rate(node_network_transmit_bytes_total{{{_CHOSEN}}}[{RATE}]))", "out"), unit="Bps",
    ),
    lines(
        "Time that disks are busy", f"Of the {_MOST} disks that are busiest; near 1 programs wait for them.",
        Query(
            f"topk({_MOST}, rate(node_disk_io_time_seconds_total{{{_CHOSEN}}}[{RATE}]))", "{{instance}} {{device}}"
        ),
        unit=SHARE, highest=1, width=HALF,
    ),
    lines(
        "Load", f"Programs that run or wait to run, for each core, of the {_MOST} droplets with the most.",
        Query(
            f"topk({_MOST}, sum by (instance) (node_load5{{{_CHOSEN}}})"
            f" / count by (instance) (node_cpu_seconds_total{{{_CHOSEN},mode=\"idle\"}}))",
            "{{instance}}",
        ),
        width=HALF,
    ),
]  # fmt: skip

_CONTAINERS: Final = [
    lines(
        "CPU of containers", f"Cores, of the {_MOST} containers with the most.",
        Query(
            f"topk({_MOST}, rate(presence360_container_cpu_seconds_total{{{_CHOSEN}}}[{RATE}]))",
            "{{instance}} {{service}}",
        ),
    ),
    lines(
        "Memory of containers", f"The share of the memory that it may use, of the {_MOST} containers with the most.",
        Query(f"topk({_MOST}, {_of(CONTAINER_MEMORY)})", "{{instance}} {{service}}"), unit=SHARE, highest=1,
        limits=Limits(yellow=limits.CONTAINER_MEMORY_NEAR),
        alerts=["ContainerMemoryNearlyUsedUp", "ContainerOutOfMemory"],
    ),
    rows(
        "Containers that were started again", "How often in the last hour, because they ended by themselves.",
        f"topk(10, round(increase(presence360_container_restarts_total{{{_CHOSEN}}}[1h])) > 0)",
        Column("instance", "Droplet"), Column("service", "Service"),
        Column("Value", "Restarts", limits=Limits(yellow=limits.CONTAINER_RESTARTS)),
        width=8, empty="none", alerts=["ContainerRestarts"],
    ),
]  # fmt: skip

_PROGRAMS: Final = [
    lines(
        "Last run of converge", f"How long ago it ended, of the {_MOST} droplets where it is longest.",
        Query(f"topk({_MOST}, {longest_ago(_CONVERGED)})", "{{instance}}"),
        unit=SECONDS, limits=Limits(red=limits.STALE_SECONDS), alerts=["ConvergeNotRun"],
    ),
    lines(
        "Connections to nginx", f"Of the {_MOST} droplets with the most.",
        Query(f"topk({_MOST}, nginx_connections_active{{{_CHOSEN}}})", "{{instance}}"),
    ),
    rows(
        "Need a reboot", "Droplets on which an upgrade waits for a reboot. Each has its own window in the night.",
        f"presence360_reboot_required{{{_CHOSEN}}} == 1",
        Column("group", "Group"), Column("instance", "Droplet"), width=8, alerts=["RebootNeeded"],
    ),
]  # fmt: skip
