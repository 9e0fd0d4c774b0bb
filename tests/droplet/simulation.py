"""A group of droplets in simulated time: the real converge, on machines whose programs only take time.

Each droplet is a thread, and one runs at a time: who sleeps hands over to who wakes first. So a quarter of an hour of
30 droplets passes in seconds, and the same every time.
"""

import heapq
import itertools
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from droplet.converge.errors import CommandError
from droplet.converge.group import PERIOD_SECONDS
from droplet.converge.paths import Paths
from tests.droplet.machine import COMPOSE, OBJECTS, Host

START_SECONDS = 30
"""From `docker compose up` until every container is healthy."""
SICK_SECONDS = 70
"""From `docker compose up` until it gives a sick container up."""
PULL_SECONDS = 10
STORE_SECONDS = 0.7
"""One run of rclone."""
FETCH_SECONDS = 2.5
"""The fetcher, before converge starts."""
ROLLOUT = 360.0
"""When the next release is published; every droplet is settled by then."""


@dataclass(eq=False)
class Task:
    """A thread that runs only while it is its turn."""

    world: "World"
    work: Callable[[], None]
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def start(self, at: float) -> None:
        self.world.push(at, self)
        threading.Thread(target=self._body, daemon=True).start()

    def _body(self) -> None:
        self.go.acquire()
        try:
            self.work()
        except BaseException as error:
            self.world.errors.append(error)
        finally:
            self.world.idle.release()

    def sleep(self, seconds: float) -> None:
        self.world.push(self.world.now + seconds, self)
        self.world.idle.release()
        self.go.acquire()


@dataclass
class World:
    """The clock, and what all droplets of the group see."""

    now: float = 0
    bucket: dict[str, str] = field(default_factory=lambda: dict(OBJECTS))
    statuses: dict[str, str] = field(default_factory=dict)
    machines: list["Machine"] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    idle: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _queue: list[tuple[float, int, Task]] = field(default_factory=list)
    _number: "itertools.count[int]" = field(default_factory=itertools.count)

    def push(self, at: float, task: Task) -> None:
        heapq.heappush(self._queue, (at, next(self._number), task))

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, task = heapq.heappop(self._queue)
            for machine in self.machines:
                machine.now = self.now
            task.go.release()
            self.idle.acquire()
            if self.errors:
                raise self.errors[0]
        self.now = until
        for machine in self.machines:
            machine.now = until

    def settle(self, done: Callable[[], bool], limit: float) -> float:
        """Let time pass until something is so; return how long it took."""
        start = self.now
        while not done():
            if self.now - start > limit:
                raise AssertionError(f"not within {limit} s: {[machine.told for machine in self.machines]}")
            self.run(self.now + 1)
        return self.now - start

    @property
    def most_away(self) -> int:
        """How many droplets took no requests at once, at most, of those that had served before."""
        changes = sorted(
            change
            for machine in self.machines
            for begin, end in machine.away
            for change in ((begin, 1), (end, -1))
        )
        return max(itertools.accumulate((step for _, step in changes), initial=0))


@dataclass
class Machine(Host):
    """A droplet whose timer ticks, and whose programs take time."""

    world: World = field(default_factory=World)
    jitter: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311  no secret
    sick: frozenset[str] = frozenset()
    """Versions that do not become healthy."""
    mute: bool = False
    """Whether it reaches no object store from the next tick on: it fetches nothing, and says nothing."""
    gone: bool = False
    pulled: set[str] = field(default_factory=set)
    """The releases whose images are here."""
    started: list[str] = field(default_factory=list)
    """The versions that its containers were started with."""
    away: list[tuple[float, float]] = field(default_factory=list)
    """From the start of a drain until it serves again."""
    drained: list[float] = field(default_factory=list)
    """How long it had drained when containers were stopped."""

    def boot(self) -> None:
        self.world.machines.append(self)
        self.statuses = self.world.statuses
        self.task = Task(self.world, self._ticks)
        self.task.start(self.world.now)

    def _ticks(self) -> None:
        while not self.gone:
            self._wait(FETCH_SECONDS)
            if not self.mute:
                self.bucket = dict(self.world.bucket)
            before = self.world.now
            self.once(*(["--heal"] if self.mute else []))
            self._end_away()
            assert self.world.now - before < 500
            # systemd starts the unit when the timer elapses next; what elapsed while it ran is left out.
            self.task.sleep(PERIOD_SECONDS - self.world.now % PERIOD_SECONDS)

    def run(self, args: Sequence[str], env: Mapping[str, str], timeout: float) -> str:
        if "rclone" in args[0]:
            if self.mute:
                self._wait(8)
                raise CommandError("rclone: timeout")
            self._wait(STORE_SECONDS)
        elif "pull" in args:
            folder = args[args.index("--project-directory") + 1]
            self._wait(1 if folder in self.pulled else PULL_SECONDS)
            self.pulled.add(folder)
        elif "up" in args:
            self._up(Path(args[args.index("--project-directory") + 1]))
        return super().run(args, env, timeout)

    def _up(self, folder: Path) -> None:
        text = (folder / "release.json").read_text()
        version = text.split("registry/api:")[1].split('"')[0]
        if self.began is not None:
            self.drained.append(self.world.now - self.began)
        self.started.append(version)
        if version in self.sick:
            self._wait(SICK_SECONDS)
            raise CommandError("container presence360-api-1 is unhealthy")
        self._wait(START_SECONDS)

    def sleep(self, seconds: float) -> None:
        if self.paths.draining.exists():
            self.began = self.world.now
        self.task.sleep(seconds)

    began: float | None = None

    def _end_away(self) -> None:
        if self.began is not None:
            self.away.append((self.began, self.world.now))
            self.began = None

    def _wait(self, seconds: float) -> None:
        self.task.sleep(seconds * self.jitter.uniform(0.8, 1.2))

    @property
    def told(self) -> str:
        found = self.statuses.get(f"droplets/{self.droplet}.json")
        return f"{self.name}: {self.status.phase} {self.status.reason}" if found else self.name


def group(
    folder: Path, names: Sequence[str], turns: int, *, seed: int = 0, sick: Sequence[str] = ()
) -> World:
    """Return a group that has settled on its first release, a few seconds after a minute that `seed` decides."""
    world = World()
    config = {**COMPOSE, "x-presence360": {**COMPOSE["x-presence360"], "turns": turns}}  # type: ignore[dict-item]
    for number, name in enumerate(names, start=1):
        own = folder / name
        paths = Paths(*(own / part for part in ("state", "run", "units", "defaults", "cloud/instance-id")))
        (own / "bootstrap").mkdir(parents=True)
        paths.releases.mkdir(parents=True)
        paths.current.symlink_to(own / "bootstrap")
        machine = Machine(
            paths,
            config=config,
            name=name,
            droplet=str(1000 + number),
            world=world,
            jitter=random.Random(seed * 1000 + number),  # noqa: S311  no secret
            sick=frozenset(sick),
        )
        machine.boot()
    world.run(ROLLOUT + seed * 11 % 60)
    assert all(machine.success for machine in world.machines)
    for machine in world.machines:
        machine.started.clear()
        machine.away.clear()
    return world
