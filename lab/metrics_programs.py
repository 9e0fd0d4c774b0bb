"""What a droplet of the observability group runs, and what tests its rules: Debian 13's programs, unpacked."""

from pathlib import Path

from lab.debian_programs import MissingError, unpacked
from lab.processes import bound

__all__ = ["MissingError", "alertmanager", "metrics_programs"]


def metrics_programs() -> Path:
    """Return the folder with the programs.

    Raises:
        MissingError: this machine cannot have them.
    """
    return unpacked(
        "prometheus",
        "prometheus-alertmanager",
        "prometheus-blackbox-exporter",
        "prometheus-redis-exporter",
        "victoria-metrics",
        programs=(
            *(
                "amtool",
                "prometheus-alertmanager",
                "prometheus-blackbox-exporter",
                "prometheus-redis-exporter",
            ),
            *("promtool", "victoria-metrics", "vmalert", "vmalert-tool", "vmbackup", "vmrestore"),
        ),
        # Alertmanager does not start without them (`alertmanager`).
        files=tuple(f"usr/share/prometheus/alertmanager/{name}.tmpl" for name in ("default", "email")),
    )


def alertmanager(programs: Path) -> list[str | Path]:
    """Return a command that Alertmanager's options follow: with its templates where Debian's looks for it.

    It does so below /usr/share; a namespace of its own has the folder there.
    """
    program = " ".join(map(str, bound([programs / "prometheus-alertmanager"])))
    mount = f'mount --bind {programs}/usr/share /usr/share && exec {program} "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "alertmanager"]
