"""One run: from what was fetched to what runs."""

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from droplet import journal
from droplet.converge import metrics, units
from droplet.converge.containers import Containers
from droplet.converge.errors import ConvergeError, HeldError, WaitingError
from droplet.converge.objects import digest_of, read_objects
from droplet.converge.paths import Paths, write
from droplet.converge.release import Release, load_release
from droplet.converge.staging import announce_isolation, prune, share_authorities, stage
from droplet.converge.turns import may_start


@dataclass
class Converger:
    """One run."""

    paths: Paths
    containers: Containers = field(default_factory=Containers)
    hostname: str = field(default_factory=socket.gethostname)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def install_units(self) -> bool:
        """Install the units that came with the programs; False if systemd refused one, which holds no release up."""
        try:
            units.install(self.paths, self.containers.run)
        except ConvergeError as error:
            journal.log(journal.ERROR, str(error))
            return False
        return True

    def converge(self) -> None:
        """Bring the droplet to the release that was fetched.

        Raises:
            ConvergeError: what the bucket says cannot run here; what ran before still runs.
        """
        announce_isolation(self.paths)
        current = load_release(self.paths.current)
        objects = read_objects(self.paths.incoming)
        digest = digest_of(objects)
        if current and current.digest == digest:
            self.paths.failed.unlink(missing_ok=True)
            self.heal()
            return
        if current and (reason := self._failed_before(digest)):
            self.heal()
            raise HeldError(reason)
        try:
            release = stage(self.paths, self.containers, objects, digest)
        except ConvergeError as error:
            self._remember(digest, current, str(error))
            raise
        # A registry that does not answer says nothing about the release: this is not remembered, and the next run
        # tries again.
        self.containers.pull(release)
        if current and current.hashes == release.hashes:
            share_authorities(self.paths, release)
            self._activate(release)
            journal.log(journal.INFO, f"release {digest}: no container changes, nginx reloaded")
        elif current and not may_start(release, self.hostname, self.clock()):
            raise WaitingError(f"release {digest} waits for this droplet's turn")
        else:
            self._deploy(release, current)
        prune(self.paths, self.containers, release)

    def heal(self) -> None:
        """Start what stopped of the current release; Docker itself restarts only what died."""
        release = load_release(self.paths.current)
        if release and (stopped := self.containers.stopped(release)):
            journal.log(journal.WARNING, f"not running, so started again: {', '.join(stopped)}")
            self._up(release)

    def drain(self, release: Release, flag: Path) -> None:
        """Make the load balancer send nothing more, and wait until that is so."""
        flag.touch()
        self.sleep(release.drain_seconds)

    def report(self, *, success: bool) -> None:
        """Write the metrics of this run."""
        text = metrics.render(load_release(self.paths.current), success=success, now=self.clock())
        write(self.paths.metrics, text.encode(), mode=0o644)

    def _deploy(self, release: Release, previous: Release | None) -> None:
        instead = previous.digest if previous else "none"
        journal.log(journal.INFO, f"release {release.digest}: starting, instead of {instead}")
        try:
            if previous and previous.public:
                self.drain(previous, self.paths.draining)
            self._up(release)
            self._activate(release)
        except ConvergeError as error:
            reason = f"release {release.digest} failed: {error}"
            self._remember(release.digest, previous, reason)
            if previous:
                journal.log(journal.ERROR, f"{reason}; going back to {previous.digest}")
                self._up(previous)
                self._activate(previous)
            raise ConvergeError(reason) from error
        finally:
            self.paths.draining.unlink(missing_ok=True)
        self.paths.failed.unlink(missing_ok=True)
        journal.log(journal.INFO, f"release {release.digest}: healthy")

    def _up(self, release: Release) -> None:
        share_authorities(self.paths, release)
        self.containers.up(release)

    def _activate(self, release: Release) -> None:
        """Make a release the current one for nginx and the health daemon, in one step."""
        # The newest are kept (`prune`), by their last use.
        os.utime(release.folder)
        link = self.paths.state / "current.new"
        link.unlink(missing_ok=True)
        link.symlink_to(release.folder)
        link.replace(self.paths.current)
        self.containers.reload_nginx()

    def _failed_before(self, digest: str) -> str | None:
        try:
            failed = json.loads(self.paths.failed.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return str(failed["reason"]) if failed.get("digest") == digest else None

    def _remember(self, digest: str, current: Release | None, reason: str) -> None:
        # A droplet without a healthy release has nothing to protect: it tries again each minute.
        if current:
            write(self.paths.failed, json.dumps({"digest": digest, "reason": reason}).encode(), mode=0o600)
