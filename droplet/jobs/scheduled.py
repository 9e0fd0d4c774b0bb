"""Scheduled jobs: which are due, and what is remembered of each in the group's status bucket."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from droplet import journal
from droplet.converge.maintenance import maintenance
from droplet.converge.manifest import agrees
from droplet.converge.paths import Paths
from droplet.converge.release import Release
from droplet.jobs.buckets import Buckets
from droplet.jobs.contract import SCHEDULED, Job, Record, Run, read_jobs
from droplet.jobs.runs import Runs

KEY = "jobs.json"

CATCH_UP_SECONDS = 3600
"""A run that could not begin when it was due begins within this; an older one is missed."""

GRACE_SECONDS = 300
"""A run of which nothing is heard counts as going on until its deadline and this: its droplet ends it by then."""

RECORDS_SECONDS = 3600
"""How old this droplet's copy of the records may be while nothing is due."""

REWRITE_SECONDS = 12 * 3600
"""A record as old as this is written again: the bucket forgets after days (constructs_lib/status_buckets.py)."""


@dataclass
class Scheduled:
    """The scheduled jobs of this droplet's group.

    Attributes:
        paths: where files are.
        buckets: where records are.
        runs: of this droplet.
        droplet: this droplet's id.
        name: this droplet's name.
        clock: seconds since 1970.
        records: what became of each job last, by name; as far as this droplet knows.
    """

    paths: Paths
    buckets: Buckets
    runs: Runs
    droplet: str
    name: str
    clock: Callable[[], float]
    records: dict[str, Record] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with what earlier runs of this program knew."""
        self.records = self.buckets.known_records(self.clock())

    def begin_due(self, release: Release, is_first: Callable[[], bool]) -> None:
        """Begin what is due, on the first droplet of the group.

        Args:
            release: that runs.
            is_first: tells whether this droplet is the first.

        Raises:
            CommandError: Spaces does not answer, so nothing was begun.
        """
        jobs = self._jobs()
        if not jobs:
            self.records = {}
            return
        now = self.clock()
        dues = {name: due for name, job in jobs.items() if (due := job.schedule.last_due(now)) is not None}
        if self._dealt_with(dues) and now - self.buckets.records_fetched() < RECORDS_SECONDS:
            return
        self.records = self.buckets.records(now)
        if is_first():
            for name, job in sorted(jobs.items()):
                self._look_at(job, dues.get(name), release)

    def told(self, run: Run, state: str) -> None:
        """Remember what a run of a job means for the job."""
        job = run.job or ""
        before = self.records.get(job)
        self._put(
            Record(
                job=job,
                service=run.service,
                state=state,
                due=max(run.asked, before.due if before else 0),
                run=run.id,
                droplet=self.droplet,
                name=self.name,
                started=run.started,
                ended=run.ended,
                deadline=run.deadline,
                exit_status=run.exit_status,
                reason=run.reason,
                last_success=run.ended if state == "ok" else _last_success(before),
                time=self.clock(),
            )
        )

    def _dealt_with(self, dues: Mapping[str, float]) -> bool:
        return all(name in self.records and self.records[name].due >= due for name, due in dues.items())

    def _look_at(self, job: Job, due: float | None, release: Release) -> None:
        now, record = self.clock(), self.records.get(job.name)
        if record is None:
            # A job that is new runs when it is due next, and not at once for a time before it was written.
            self._put(self._without_run(job, now, "waiting", "", None))
        elif due is None or record.due >= due:
            if now - record.time > REWRITE_SECONDS and record.state != "running":
                self._put(replace(record, time=now, droplet=self.droplet, name=self.name))
        elif now - due > CATCH_UP_SECONDS:
            reason = f"it could not begin within {CATCH_UP_SECONDS // 60} minutes"
            journal.log(journal.WARNING, f"{job.name}: missed: {reason}")
            self._put(self._without_run(job, due, "missed", reason, record))
        elif not self._is_held(record):
            run = Run(
                id=f"{job.name}-{due:.0f}",
                kind=SCHEDULED,
                job=job.name,
                service=job.service,
                command=job.command,
                by="the schedule",
                droplet=self.droplet,
                name=self.name,
                asked=due,
                deadline=now + job.timeout_seconds,
            )
            if not self.runs.disk.knows(run.id):
                self.runs.begin(run, release)

    def _is_held(self, record: Record) -> bool:
        """Tell whether a job may not begin now: its own run before goes on, another one does here, or maintenance."""
        goes_on = record.state == "running" and self.clock() < (record.deadline or 0) + GRACE_SECONDS
        return goes_on or self.runs.busy(SCHEDULED) or maintenance(self.paths).environment

    def _jobs(self) -> dict[str, Job]:
        """Return what the bucket says; while an apply is under way, nothing."""
        if not (self.paths.incoming / KEY).exists() or not agrees(self.paths, KEY, "environment"):
            return {}
        try:
            return read_jobs((self.paths.incoming / KEY).read_bytes())
        except (OSError, ValueError) as error:
            journal.log(journal.ERROR, f"{KEY} does not have the form that Terraform writes: {error}")
            return {}

    def _without_run(self, job: Job, due: float, state: str, reason: str, before: Record | None) -> Record:
        return Record(
            job=job.name,
            service=job.service,
            state=state,
            due=due,
            run=None,
            droplet=self.droplet,
            name=self.name,
            reason=reason,
            last_success=_last_success(before),
            time=self.clock(),
        )

    def _put(self, record: Record) -> None:
        self.buckets.put_record(record)
        self.records[record.job] = record


def _last_success(record: Record | None) -> float | None:
    return record.last_success if record else None
