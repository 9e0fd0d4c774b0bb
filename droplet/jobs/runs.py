"""Runs of this droplet: how they begin, and what becomes of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from droplet import journal
from droplet.converge.errors import CommandError, ConvergeError
from droplet.converge.objects import env_values, secrets_of
from droplet.converge.paths import Paths
from droplet.converge.release import Release
from droplet.converge.status import one_line
from droplet.jobs.buckets import Buckets
from droplet.jobs.containers import Container, Containers
from droplet.jobs.contract import Run
from droplet.jobs.disk import Disk

_SHORTEST_SECRET = 6
"""As in a status (droplet/converge/status.py)."""


@dataclass
class Runs:
    """The runs that this droplet began.

    Attributes:
        paths: where files are.
        containers: Docker.
        buckets: where it is said what became of them.
        disk: what this droplet knows of them.
        clock: seconds since 1970.
        told: is called with a run of a scheduled job and what it means for the job: `running`, or its result.
    """

    paths: Paths
    containers: Containers
    buckets: Buckets
    disk: Disk
    clock: Callable[[], float]
    told: Callable[[Run, str], None] = lambda _run, _state: None
    _outputs: dict[str, str] = field(default_factory=dict)

    def busy(self, kind: str) -> bool:
        """Tell whether a run of a kind goes on here: one of each at a time, for the sake of the services' memory."""
        return any(run.kind == kind and run.state != "ended" for run in self.disk.runs())

    @property
    def going_on(self) -> bool:
        """Whether any run goes on here."""
        return any(run.state != "ended" for run in self.disk.runs())

    def begin(self, run: Run, release: Release) -> None:
        """Begin a run, unless another droplet has it.

        Raises:
            CommandError: Spaces does not answer, or the disk is full, so nothing was begun.
        """
        # On the disk first: whatever happens from here on, no later look begins it again.
        try:
            self.disk.keep(run)
        except OSError as error:
            raise CommandError(f"{run.id} cannot be written to the disk: {error}") from None
        try:
            mine = self.buckets.claim(run.id, self._said(run))
        except CommandError:
            # Whose it is cannot be read, and nothing was started: the next look asks again.
            self.disk.forget(run.id)
            raise
        if not mine:
            self._leave(run)
            return
        words = " ".join(run.command)
        journal.log(journal.INFO, f"{run.id}: {run.by} asks for {run.service}: {words}")
        try:
            if run.service not in release.images:
                raise ConvergeError(f"no service {run.service} runs here")
            if run.job:
                self.told(run, "running")
            self.containers.start(release, run, self.paths.run / "jobs")
        except (ConvergeError, OSError) as error:
            self._end(run, "failed", f"it did not start: {error}")
            return
        container = self.containers.all().get(run.id)
        run = run.changed(state="running", started=self.clock(), image=container and container.image)
        self._keep(run)
        self.buckets.put_run(run.id, self._said(run))

    def tend(self, cancelled: set[str]) -> None:
        """Tell how runs are, end those that take too long or are not wanted any more, and forget those that ended.

        Args:
            cancelled: the ids of those that are not wanted any more.

        Raises:
            CommandError: Docker does not answer.
        """
        containers = self.containers.all()
        for run in self.disk.runs():
            if run.state == "ended":
                continue
            container = containers.pop(run.id, None)
            try:
                self._tend_one(run, container, cancelled=run.id in cancelled)
            except (CommandError, OSError) as error:
                # The container stays, so the next look tells it. Others are looked after all the same.
                journal.log(journal.WARNING, f"{run.id}: {error}")
        for run_id in containers:
            # Of a run whose end was told already.
            self.containers.remove(run_id)
        self.disk.prune(self.clock())

    def _tend_one(self, run: Run, container: Container | None, *, cancelled: bool) -> None:
        if container is None:
            # Interrupted before its claim: another droplet may have it by now.
            if run.state == "starting" and not self.buckets.claim(run.id, self._said(run)):
                self._leave(run)
            else:
                self._end(run, "lost", "the droplet was interrupted, or somebody removed the container")
            return
        now = self.clock()
        if container.running and not run.stopping and (cancelled or now > run.deadline):
            run = run.changed(stopping="cancelled" if cancelled else "timeout")
            self._keep(run)
            journal.log(journal.INFO, f"{run.id}: {run.stopping}, so it is ended")
        if container.running and run.stopping:
            self.containers.stop(run.id)
            container = self.containers.all().get(run.id, container)
        output, cut = self.containers.output(run.id)
        output = self._masked(run, output)
        if container.running:
            if self._outputs.get(run.id) != output:
                self.buckets.put_run(run.id, self._said(run, output, cut=cut))
                self._outputs[run.id] = output
            return
        run = run.changed(exit_status=container.exit_status)
        self._end(run, *_verdict(run, container, output), output, cut=cut)
        self.containers.remove(run.id)

    def _end(self, run: Run, result: str, reason: str, output: str = "", *, cut: bool = False) -> None:
        """Tell how a run ended; where Spaces does not answer, the next look tells it."""
        reason = one_line(reason, self._secrets(run))
        run = run.changed(state="ended", result=result, reason=reason, ended=self.clock())
        self.buckets.put_run(run.id, self._said(run, output, cut=cut))
        if run.job:
            self.told(run, result)
        if not self._keep(run):
            # What is told is not told again. No look begins it a second time: its object and its job's record say that
            # it has ended.
            self.disk.forget(run.id)
        self._outputs.pop(run.id, None)
        status = "" if run.exit_status is None else f", exit status {run.exit_status}"
        priority = journal.INFO if result == "ok" else journal.WARNING
        journal.log(priority, f"{run.id}: {result}{status}" + (f": {reason}" if reason else ""))

    def _leave(self, run: Run) -> None:
        """Leave a run to the droplet that has it."""
        if not self._keep(run.changed(state="ended", result="lost", reason="another droplet has it")):
            self.disk.forget(run.id)
        journal.log(journal.INFO, f"{run.id}: another droplet has it")

    def _keep(self, run: Run) -> bool:
        """Write a run to the disk; False if it is full. What goes on is looked after and ended all the same."""
        try:
            self.disk.keep(run)
        except OSError as error:
            journal.log(journal.ERROR, f"{run.id} cannot be written to the disk: {error}")
            return False
        return True

    def _said(self, run: Run, output: str = "", *, cut: bool = False) -> bytes:
        return json.dumps({**run.as_json(self.clock()), "output": output, "cut": cut}).encode()

    def _masked(self, run: Run, output: str) -> str:
        for secret in sorted(self._secrets(run), key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                output = output.replace(secret, "***")
        return output

    def _secrets(self, run: Run) -> set[str]:
        """Return what the service's environment files hold: those of the release, and those that were fetched since."""
        values: set[str] = set()
        for folder in (self.paths.current, self.paths.incoming):
            try:
                values |= set(env_values((folder / secrets_of(run.service)).read_bytes()))
            except OSError:
                continue
        return values


def _verdict(run: Run, container: Container, output: str) -> tuple[str, str]:
    """Return the result of a run whose command has ended, and the reason."""
    if run.stopping == "cancelled":
        return "cancelled", f"cancelled by {run.by}"
    if run.stopping:
        minutes = (run.deadline - (run.started or run.asked)) / 60
        return "timeout", f"ended after {minutes:.0f} minutes, its time limit"
    if container.out_of_memory:
        return "failed", "it used more memory than its service may, and was ended"
    if container.exit_status or container.error:
        lines = [line for line in output.splitlines() if line.strip()]
        return "failed", container.error or (lines[-1] if lines else "")
    return "ok", ""
