"""A load balancer for tests, and what its clients see."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.droplets.laboratory import Droplet, Network, ask_https


@dataclass
class LoadBalancer:
    """Round robin among droplets that pass the health check: 2 failures and out, 2 successes and in.

    As DigitalOcean's (constructs_lib/edge.py), but with a second between checks and not five.
    """

    droplets: tuple[Droplet, ...]
    host: str
    healthy: dict[str, bool] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    least: int = 2
    stopping: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        streaks = {droplet.name: 2 for droplet in self.droplets}
        while not self.stopping.wait(1):
            for droplet in self.droplets:
                try:
                    good = ask_https(droplet.address, droplet.address, "/healthz").status == 200
                except (OSError, ValueError):
                    good = False
                streak = streaks[droplet.name]
                streaks[droplet.name] = max(1, streak + 1) if good else min(-1, streak - 1)
                if abs(streaks[droplet.name]) >= 2:
                    self.healthy[droplet.name] = streaks[droplet.name] > 0
            self.least = min(self.least, sum(self.healthy.values()))

    def send(self) -> None:
        turn = 0
        while not self.stopping.is_set():
            able = [droplet for droplet in self.droplets if self.healthy[droplet.name]]
            if not able:
                self.failures.append("no droplet is healthy")
                time.sleep(0.05)
                continue
            droplet = able[(turn := turn + 1) % len(able)]
            try:
                answer = ask_https(droplet.address, self.host)
                if answer.status == 200:
                    self.answers[str(json.loads(answer.body)["version"])] += 1
                else:
                    self.failures.append(f"{droplet.name}: {answer.status}")
            except Exception as error:
                self.failures.append(f"{droplet.name}: {error!r}")
            time.sleep(0.02)

    @contextmanager
    def working(self, network: Network) -> Iterator[None]:
        """Check and send, by two clients at once, for as long as the block lasts."""
        self.healthy = {droplet.name: True for droplet in self.droplets}
        threads = [
            threading.Thread(target=network.inside, args=(work,))
            for work in (self.check, self.send, self.send)
        ]
        for thread in threads:
            thread.start()
        try:
            time.sleep(2)
            yield
            time.sleep(4)
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join()
