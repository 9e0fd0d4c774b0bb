"""What runs goes on running: services that stopped or hang, and an nginx that missed its reload."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from droplet import journal
from droplet.converge.containers import Containers, State
from droplet.converge.errors import ConvergeError
from droplet.converge.paths import Paths, link, read_json, write
from droplet.converge.release import Release
from droplet.converge.staging import serves, share_authorities

FIRST_PAUSE_SECONDS = 240
"""A service that a restart did not cure is unhealthy again after 70 s (compose.yaml.j2, healthcheck)."""
LONGEST_PAUSE_SECONDS = 1800
"""A service that a restart does not cure is restarted less and less often."""

RELOAD_SECONDS = 10
"""nginx starts its new workers in less; `nginx -s reload` itself does not wait for them (nginx(8))."""


@dataclass
class Upkeep:
    """Keeps a release running.

    Attributes:
        paths: where records are.
        containers: Compose and nginx.
        clock: seconds since 1970.
        sleep: waits.
        states: of the services, as last seen.
    """

    paths: Paths
    containers: Containers
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    states: Mapping[str, State]

    def tend(self, release: Release) -> list[str]:
        """Start what stopped, restart what hangs, and return the services that are unhealthy.

        Docker itself restarts only what died. A worker has no port, so no health check but Docker's sees it hang.

        Raises:
            ConvergeError: a service does not start.
        """
        self.states = self.containers.states(release)
        stopped = sorted(name for name, state in self.states.items() if not state.running)
        if stopped:
            journal.log(journal.WARNING, f"not running, so started again: {', '.join(stopped)}")
            self.up(release)
            self.states = self.containers.states(release)
        unhealthy = sorted(name for name, state in self.states.items() if state.unhealthy)
        self._restart(release, unhealthy)
        return unhealthy

    def up(self, release: Release) -> None:
        """Start a release's containers, as far as they differ from what runs."""
        share_authorities(self.paths, release)
        self.containers.up(release)

    def serve(self, release: Release) -> None:
        """Make a release the current one for nginx and the health daemon.

        Raises:
            ConvergeError: nginx goes on with another configuration.
        """
        link(self.paths.current, release.folder)
        self.reload(release)

    def check_nginx(self, release: Release) -> None:
        """Compare what nginx runs with what it should, and reload it if a run was killed before it did.

        Raises:
            ConvergeError: nginx goes on with another configuration.
        """
        if not serves(self.containers, release):
            journal.log(journal.WARNING, f"nginx runs another configuration than release {release.digest}'s")
            self.reload(release)

    def reload(self, release: Release) -> None:
        """Let nginx read a release's configuration, and see that it does.

        Raises:
            ConvergeError: nginx goes on with another configuration.
        """
        self.containers.reload_nginx()
        for _ in range(RELOAD_SECONDS):
            if serves(self.containers, release):
                return
            self.sleep(1)
        raise ConvergeError(f"nginx does not take release {release.digest}'s configuration")

    def _restart(self, release: Release, unhealthy: list[str]) -> None:
        # What was restarted counts as starting for a minute: only what got healthy is forgotten.
        starting = {name for name, state in self.states.items() if state.starting}
        record = {
            name: entry
            for name, entry in read_json(self.paths.restarts).items()
            if name in starting or name in unhealthy
        }
        for name in unhealthy:
            count, last = _entry(record.get(name))
            pause = min(FIRST_PAUSE_SECONDS * 2 ** (count - 1), LONGEST_PAUSE_SECONDS) if count else 0
            if self.clock() - last < pause:
                continue
            journal.log(journal.WARNING, f"{name} is unhealthy, so restarted")
            record[name] = [count + 1, self.clock()]
            self.containers.restart(release, name)
        if record or self.paths.restarts.exists():
            write(self.paths.restarts, json.dumps(record).encode(), mode=0o644)


def _entry(value: object) -> tuple[int, float]:
    match value:
        case [int(count), int(last) | float(last)]:
            return min(count, 10), last
    return 0, 0.0
