"""Scheduled jobs in Prometheus's text format, each by the droplet that ran it last."""

from collections.abc import Callable, Iterable, Sequence

from droplet.jobs.contract import Record

_SERIES: Sequence[tuple[str, str, Callable[[Record], float | None]]] = (
    (
        "presence360_scheduled_job_success",
        "Whether the last run of a scheduled job ended well; 0 as well where it was missed.",
        lambda record: None if record.state in {"waiting", "running"} else float(record.state == "ok"),
    ),
    (
        "presence360_scheduled_job_running",
        "Whether a scheduled job runs now.",
        lambda record: float(record.state == "running"),
    ),
    (
        "presence360_scheduled_job_due_timestamp_seconds",
        "The last time at which a scheduled job was due and was dealt with.",
        lambda record: record.due,
    ),
    (
        "presence360_scheduled_job_last_success_timestamp_seconds",
        "When a run of a scheduled job last ended well.",
        lambda record: record.last_success,
    ),
    (
        "presence360_scheduled_job_duration_seconds",
        "How long the last run of a scheduled job took.",
        lambda record: record.ended - record.started if record.ended and record.started else None,
    ),
)


def render(records: Iterable[Record], droplet: str, now: float) -> str:
    """Return the metrics of the jobs that this droplet wrote about last: no job has two series."""
    own = sorted((record for record in records if record.droplet == droplet), key=lambda one: one.job)
    lines = [
        "# HELP presence360_jobs_timestamp_seconds When this droplet last looked for jobs.",
        "# TYPE presence360_jobs_timestamp_seconds gauge",
        f"presence360_jobs_timestamp_seconds {now:.0f}",
    ]
    for name, what, value_of in _SERIES:
        values = [(record, value) for record in own if (value := value_of(record)) is not None]
        if values:
            lines += [f"# HELP {name} {what}", f"# TYPE {name} gauge"]
            lines += [f'{name}{{name="{record.job}"}} {value:.0f}' for record, value in values]
    return "\n".join(lines) + "\n"
