"""Alerts on droplets: the machine, its programs, and the release that it runs."""

from model.alerts import limits
from model.alerts.alert import Alert, Severity, is_old

_CRITICAL, _WARNING = Severity.CRITICAL, Severity.WARNING
_DISKS = 'fstype=~"ext4|xfs"'
_DROPLET = "{{ $labels.instance }}"
_ON_DROPLET = (
    "Log in to the droplet: `ssh root@<its address>` (`bin/cdktf output <environment>` lists them; "
    "the control panel has those of a pool)."
)

DISK_FREE = f"node_filesystem_avail_bytes{{{_DISKS}}} / node_filesystem_size_bytes{{{_DISKS}}}"
INODES_FREE = f"node_filesystem_files_free{{{_DISKS}}} / node_filesystem_files{{{_DISKS}}}"
MEMORY_FREE = "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"
CONTAINER_MEMORY = "presence360_container_memory_bytes / presence360_container_memory_limit_bytes"
"""Shares, as dashboards draw them too."""

MACHINE: tuple[Alert, ...] = (
    Alert(
        "DropletSilent",
        'up{job="droplet"} == 0',
        "5m",
        _CRITICAL,
        f"{_DROPLET} has not answered for 5 minutes.",
        "Look at the droplet in DigitalOcean's control panel: is it running? If its console does not answer, "
        "power-cycle it there.",
        frozenset({"digitalocean_droplet", "digitalocean_droplet_autoscale", "health", "host"}),
    ),
    Alert(
        "NoDropletFound",
        'absent(up{job="droplet"})',
        "10m",
        _CRITICAL,
        "No droplet is found, so nothing is watched.",
        "Check that the token TF_VAR_<environment>_observability_token is still valid and may read droplets: "
        "`journalctl -u victoria-metrics` on the observability droplet has DigitalOcean's answer.",
        frozenset({"digitalocean_tag"}),
    ),
    Alert(
        "ExporterSilent",
        'up{job=~"node|requests|service-.+"} == 0 unless on (instance) up{job="droplet"} == 0',
        "10m",
        _WARNING,
        f"The metrics {{{{ $labels.job }}}} of {_DROPLET} are missing, so alerts about it may be missing too.",
        f"{_ON_DROPLET} `systemctl --failed` names the unit that does not run.",
    ),
    Alert(
        "DropletUnhealthy",
        "presence360_healthy == 0 and presence360_draining == 0",
        "5m",
        _CRITICAL,
        f"{_DROPLET} fails its health check, so its load balancer sends it nothing.",
        "`presence360 status <environment>` says why. See which service is down: the alert ServiceDown names it.",
        frozenset({"health", "digitalocean_loadbalancer"}),
    ),
    Alert(
        "DiskNearlyFull",
        f"{DISK_FREE} < {limits.DISK_FREE_LITTLE}",
        "15m",
        _WARNING,
        f"{{{{ $labels.mountpoint }}}} of {_DROPLET} has less than 15 percent free.",
        f"{_ON_DROPLET} `du -xh --max-depth 2 / | sort -h | tail` shows what is large. Old images: `docker image "
        "ls`.",
        frozenset({"digitalocean_volume"}),
    ),
    Alert(
        "DiskFull",
        f"{DISK_FREE} < {limits.DISK_FREE_LEAST}",
        "5m",
        _CRITICAL,
        f"{{{{ $labels.mountpoint }}}} of {_DROPLET} has less than 5 percent free.",
        f"{_ON_DROPLET} `docker system prune --force` and `journalctl --vacuum-size=200M` make room at once.",
        frozenset({"digitalocean_volume"}),
    ),
    Alert(
        "InodesNearlyUsedUp",
        f"{INODES_FREE} < {limits.INODES_FREE_LITTLE}",
        "15m",
        _WARNING,
        f"{{{{ $labels.mountpoint }}}} of {_DROPLET} has room for few more files.",
        f"{_ON_DROPLET} `du -x --inodes --max-depth 3 / | sort -n | tail` shows the folders with the most files.",
    ),
    Alert(
        "MemoryLow",
        f"{MEMORY_FREE} < {limits.MEMORY_FREE_LITTLE}",
        "10m",
        _WARNING,
        f"{_DROPLET} has less than 10 percent of its memory free.",
        "See which service grows: the alert ContainerMemoryNearlyUsedUp names it. Otherwise choose a larger "
        "`size` for "
        "the group.",
    ),
    Alert(
        "OutOfMemory",
        "increase(node_vmstat_oom_kill[15m]) > 0",
        "0m",
        _CRITICAL,
        f"The kernel of {_DROPLET} has ended a process because memory ran out.",
        f"{_ON_DROPLET} `journalctl -k -g 'Out of memory|oom-kill'` names the process.",
    ),
    Alert(
        "ContainerOutOfMemory",
        "increase(presence360_container_oom_kills_total[15m]) > 0",
        "0m",
        _CRITICAL,
        f"{{{{ $labels.service }}}} on {_DROPLET} was ended because it used more memory than it may.",
        "Look for what was released last. If the service needs more, raise `memory_mib` in its entry of the "
        "catalogue.",
    ),
    Alert(
        "ContainerMemoryNearlyUsedUp",
        f"{CONTAINER_MEMORY} > {limits.CONTAINER_MEMORY_NEAR}",
        "15m",
        _WARNING,
        f"{{{{ $labels.service }}}} on {_DROPLET} uses more than 90 percent of the memory that it may.",
        "Compare with the other droplets of the group: if all grow, it leaks since a release. It is ended at 100 "
        "percent.",
    ),
    Alert(
        "ContainerRestarts",
        f"increase(presence360_container_restarts_total[1h]) > {limits.CONTAINER_RESTARTS}",
        "0m",
        _WARNING,
        f"{{{{ $labels.service }}}} on {_DROPLET} has been started again more than 3 times within an hour.",
        f"{_ON_DROPLET} `docker ps --all` and `docker logs <container>` show why it ends.",
    ),
    Alert(
        "ContainersNotLookedAt",
        is_old("presence360_exporter_timestamp_seconds", limits.STALE_SECONDS),
        "0m",
        _WARNING,
        f"The containers of {_DROPLET} have not been looked at for 15 minutes.",
        f"{_ON_DROPLET} `systemctl --failed`, and the journal of the unit that it names.",
        frozenset({"exporter"}),
    ),
    Alert(
        "ClockWrong",
        "node_timex_sync_status == 0",
        "30m",
        _WARNING,
        f"The clock of {_DROPLET} is not synchronized.",
        f"{_ON_DROPLET} `timedatectl timesync-status` shows which server it asks.",
    ),
    Alert(
        "RebootNeeded",
        "presence360_reboot_required == 1",
        "36h",
        _WARNING,
        f"{_DROPLET} needs a reboot after an upgrade, and its window of the night has passed without one.",
        f"{_ON_DROPLET} `journalctl -u unattended-upgrades`. `systemctl reboot` drains it first.",
    ),
)

PROGRAMS: tuple[Alert, ...] = (
    Alert(
        "FetchFails",
        "presence360_fetch_success == 0",
        "15m",
        _WARNING,
        f"{_DROPLET} cannot fetch its bucket, or refuses the programs in it.",
        f"{_ON_DROPLET} `journalctl -u presence360-converge -n 50` says which.",
        frozenset({"fetch", "digitalocean_spaces_bucket_object", "digitalocean_spaces_key"}),
    ),
    Alert(
        "ConvergeNotRun",
        is_old("presence360_converge_timestamp_seconds", limits.STALE_SECONDS),
        "0m",
        _CRITICAL,
        f"converge has not ended on {_DROPLET} for 15 minutes: services that stop are not started again.",
        f"{_ON_DROPLET} `systemctl status presence360-converge.timer presence360-converge`.",
        frozenset({"converge"}),
    ),
    Alert(
        "ReleaseFailed",
        'presence360_converge_phase{phase="failed"} == 1',
        "5m",
        _CRITICAL,
        f"A release failed on {_DROPLET}: it runs the release before, or a service of it is not healthy.",
        "`presence360 status <environment>` has the reason. Put the last good version back under `releases:` and "
        "apply.",
        frozenset({"converge"}),
    ),
    Alert(
        "ReleaseHeld",
        'presence360_converge_phase{phase="held"} == 1',
        "5m",
        _WARNING,
        f"{_DROPLET} does not try a release, because it failed on another droplet of its group.",
        "`presence360 status <environment>` names the droplet and the reason. Release a version that works.",
        frozenset({"converge"}),
    ),
    Alert(
        "ReleaseWaits",
        'presence360_converge_phase{phase="waiting"} == 1',
        "45m",
        _WARNING,
        f"{_DROPLET} has waited for 45 minutes to run what its bucket says.",
        "`presence360 status <environment>` says what it waits for: an apply that did not end, the registry, or "
        "a peer.",
        frozenset({"converge"}),
    ),
    Alert(
        "ConvergeFails",
        'presence360_converge_success == 0 unless on (instance) presence360_converge_phase{phase=~"failed|held"} == 1',
        "15m",
        _WARNING,
        f"{_DROPLET} serves, and something beside its release does not work: a unit, or the list of churches.",
        f"{_ON_DROPLET} `journalctl -u presence360-converge -n 50`.",
        frozenset({"converge"}),
    ),
    Alert(
        "TelemetryFails",
        "presence360_telemetry_success == 0 or time() - presence360_telemetry_timestamp_seconds > "
        f"{limits.STALE_SECONDS}",
        "15m",
        _WARNING,
        f"{_DROPLET} does not pass on the metrics of its services, so alerts about jobs and providers may be missing.",
        f"{_ON_DROPLET} `systemctl --failed`, and `journalctl -u 'presence360-telemetry*' -n 50`.",
        frozenset({"telemetry"}),
    ),
)
