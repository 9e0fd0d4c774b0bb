"""One run: from what was fetched to what runs."""

import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from droplet import journal
from droplet.converge import units
from droplet.converge.attempts import Attempts
from droplet.converge.containers import Containers
from droplet.converge.errors import (
    ConvergeError,
    FailedBeforeError,
    HeldError,
    TroubleError,
    WaitingError,
)
from droplet.converge.group import Group
from droplet.converge.maintenance import mark_maintenance
from droplet.converge.manifest import Fetched, read_set
from droplet.converge.migrations import Gate
from droplet.converge.paths import Paths
from droplet.converge.release import Release, load_release
from droplet.converge.staging import announce_isolation, prune, share_authorities, stage, stage_again
from droplet.converge.status import Status
from droplet.converge.store import Store
from droplet.converge.tenants import mark_tenants
from droplet.converge.upkeep import Upkeep

PULL_PATIENCE_SECONDS = 180
"""A registry that does not answer for longer needs a person."""

LEAST_FREE_BYTES = 64 * 1024 * 1024
"""What a change needs beside its images, which are pulled before: records, and the containers' own files."""


def free_bytes(folder: Path) -> int:
    """Return how much room a folder's disk has."""
    return shutil.disk_usage(folder).free


@dataclass
class Converger:
    """One run."""

    paths: Paths
    containers: Containers = field(default_factory=Containers)
    hostname: str = field(default_factory=socket.gethostname)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    free: Callable[[Path], int] = free_bytes

    def __post_init__(self) -> None:
        """Put together what a run works with."""
        store, droplet = Store(self.containers.run), droplet_id(self.paths, self.hostname)
        self.status = Status(self.paths, store, droplet, self.hostname, self.clock)
        self.upkeep = Upkeep(self.paths, self.containers, self.clock, self.sleep, {})
        self.attempts = Attempts(self.paths)
        self.group = Group(
            self.paths,
            store,
            droplet,
            self.hostname,
            self.clock,
            self.sleep,
            lambda reason: self.status.say("waiting", "pending", reason),
        )
        self.gate = Gate(self.paths, store, self.clock, self.group.waited)

    def install_units(self) -> str:
        """Install the units that came with the programs; return why not, if systemd refused one.

        That holds no release up.
        """
        return self._beside(lambda paths: units.install(paths, self.containers.run))

    def announce(self) -> str:
        """Tell the isolation job, nginx and services what changed in the bucket; return why not, such as a full disk.

        That holds no release up, and keeps nothing from being started again.
        """
        told = (
            self._beside(announce_isolation),
            self._beside(mark_tenants),
            self._beside(lambda paths: mark_maintenance(paths, self.containers.reload_nginx)),
        )
        return "; ".join(filter(None, told))

    def _beside(self, work: Callable[[Paths], None]) -> str:
        """Do what a run does beside its release; return what went wrong."""
        try:
            work(self.paths)
        except (ConvergeError, OSError) as error:
            reason = _words(error)
            journal.log(journal.ERROR, reason)
            return reason
        return ""

    def converge(self, *, retry: bool = False) -> None:
        """Bring the droplet to the release that was fetched; return when it runs and all its services are healthy.

        Args:
            retry: try again what failed before, here or on another droplet.

        Raises:
            ConvergeError: what the bucket says does not run here; what ran before does.
        """
        if retry:
            self.attempts.forget()
            self.group.forget_failures()
        current = self.current()
        try:
            fetched = read_set(self.paths)
            self.status.wanted, self.status.manifest = fetched.digest, fetched.manifest
            if current is None or current.digest != fetched.digest:
                current = self._change(fetched, current, retry=retry)
        except (FailedBeforeError, HeldError, WaitingError):
            if current:
                self._tend_quietly(current)
            raise
        self.attempts.forget()
        self.keep(current)
        self.gate.settle(fetched.beside)

    def current(self) -> Release | None:
        """Return the release that runs; its record is made again if it cannot be read."""
        release = load_release(self.paths.current)
        if release is None and self._has_served:
            release = stage_again(self.paths, self.containers, self.hostname)
        self.status.release = release.digest if release else None
        return release

    def keep(self, release: Release) -> None:
        """See that a release that should run does.

        Raises:
            ConvergeError: it does not, or not healthily.
        """
        unhealthy = self.upkeep.tend(release)
        self.upkeep.check_nginx(release)
        if unhealthy:
            raise ConvergeError(f"unhealthy: {', '.join(unhealthy)}")

    def drain(self, release: Release, flag: Path) -> None:
        """Make the load balancer send nothing more, and wait until that is so."""
        flag.touch()
        self.sleep(release.drain_seconds)

    @property
    def _has_served(self) -> bool:
        """Whether a release ran here before: the link leads to the bootstrap otherwise (presence360-host)."""
        return self.paths.current.resolve().parent == self.paths.releases.resolve()

    def _change(self, fetched: Fetched, current: Release | None, *, retry: bool) -> Release:
        digest = fetched.digest
        served = self._has_served
        if served and (reason := self.attempts.failure(digest)):
            raise FailedBeforeError(reason)
        try:
            release = stage(self.paths, self.containers, fetched.release, digest, self.hostname)
        except ConvergeError as error:
            # A droplet without a release has nothing to protect: it tries again each minute.
            if served:
                self.attempts.fail(digest, str(error))
            raise
        try:
            # A registry that does not answer says nothing about the release: the next run tries again.
            self.containers.pull(release)
        except ConvergeError as error:
            raise TroubleError(f"images: {error}", patience=PULL_PATIENCE_SECONDS) from error
        if current and current.hashes == release.hashes:
            self._reload(release, current)
        else:
            if served:
                self.group.wait(f"release {digest}", lambda: self.gate.check(fetched.beside, retry=retry))
                self.group.wait_for_turn(release, retry=retry)
            self._deploy(release, current, served=served)
            self.gate.accept(fetched.beside)
        prune(self.paths, self.containers, release)
        return release

    def _reload(self, release: Release, previous: Release) -> None:
        """Change what no container has to be started again for."""
        share_authorities(self.paths, release)
        try:
            self._serve(release)
        except ConvergeError as error:
            raise ConvergeError(self._go_back(release, previous, str(error))) from error
        journal.log(journal.INFO, f"release {release.digest}: no container changes, nginx reloaded")

    def _deploy(self, release: Release, previous: Release | None, *, served: bool) -> None:
        if self.free(self.paths.state) < LEAST_FREE_BYTES:
            raise ConvergeError(f"the disk has less than {LEAST_FREE_BYTES // 1024**2} MiB free")
        if served:
            self.attempts.begin(release.digest)
        instead = previous.digest if previous else "none"
        journal.log(journal.INFO, f"release {release.digest}: starting, instead of {instead}")
        try:
            if served and (previous or release).public:
                self.status.say("draining", "pending", f"before release {release.digest}")
                self.drain(previous or release, self.paths.draining)
            self.status.say("starting", "pending", f"release {release.digest}")
            self.upkeep.up(release)
            self._serve(release)
        except Exception as error:
            raise ConvergeError(self._go_back(release, previous, _words(error))) from error
        finally:
            self.paths.draining.unlink(missing_ok=True)
        journal.log(journal.INFO, f"release {release.digest}: healthy")

    def _go_back(self, release: Release, previous: Release | None, why: str) -> str:
        """Go back to the release before, if there is one, and return what happened."""
        reason = f"release {release.digest} failed: {why}"
        # Said first: while this droplet goes back, no other begins.
        self.status.say("failed", "failed", reason)
        if previous is None:
            return reason
        journal.log(journal.ERROR, f"{reason}; going back to {previous.digest}")
        try:
            self.attempts.fail(release.digest, reason)
            self.upkeep.up(previous)
            self._serve(previous)
        except (ConvergeError, OSError) as error:
            return f"{reason}; going back to {previous.digest} failed as well: {_words(error)}"
        return reason

    def _serve(self, release: Release) -> None:
        # The newest are kept (`prune`), by their last use.
        os.utime(release.folder)
        self.upkeep.serve(release)
        self.status.release = release.digest

    def _tend_quietly(self, current: Release) -> None:
        """Keep what runs while another release is wanted; what is wrong with it is no verdict on that one."""
        try:
            self.keep(current)
        except ConvergeError as error:
            journal.log(journal.ERROR, f"release {current.digest}: {error}")


def droplet_id(paths: Paths, hostname: str) -> str:
    """Return the droplet's id; its name where cloud-init left none."""
    try:
        return paths.instance.read_text().strip() or hostname
    except OSError:
        return hostname


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, ConvergeError) else f"{type(error).__name__}: {error}"
