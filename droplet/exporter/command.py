"""The daemon: look every quarter of a minute, and count what Docker's events say in between."""

import argparse
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from droplet.exporter.cgroups import Usage, usage
from droplet.exporter.docker import Container, Docker, DockerError
from droplet.exporter.metrics import Seen, render
from droplet.journal import WARNING, log

LOOK_SECONDS = 15
"""As often as metrics are collected, so no sample is older than twice that."""
AGAIN_SECONDS = 5
"""Until the stream of events is opened again."""


@dataclass
class Exporter:
    """What the daemon works with.

    Attributes:
        docker: where containers are.
        output: the file that it writes; the health daemon serves it.
        reboot_required: exists while an upgrade waits for a reboot (Debian's unattended-upgrades).
        used: tells what the group of a process uses.
        clock: seconds since 1970.
    """

    docker: Docker
    output: Path
    reboot_required: Path
    used: Callable[[int], Usage] = usage
    clock: Callable[[], float] = time.time
    oom_kills: Counter[str] = field(default_factory=Counter)
    _silent: bool = False

    def look(self) -> None:
        """Look once, and write what was seen."""
        containers: list[tuple[Container, Usage]] | None
        try:
            found = self.docker.containers()
            containers = [(one, self.used(one.pid) if one.pid else Usage()) for one in found]
            self._silent = False
        except DockerError as error:
            containers = None
            if not self._silent:
                log(WARNING, str(error))
            self._silent = True
        # A copy: the other thread counts on.
        seen = Seen(containers, dict(self.oom_kills), self.reboot_required.exists(), self.clock())
        draft = self.output.with_name(f".{self.output.name}.new")
        draft.write_text(render(seen))
        draft.replace(self.output)

    def listen(self) -> None:
        """Count what Docker says of the kernel, for as long as it does."""
        for service in self.docker.oom_kills():
            self.oom_kills[service] += 1
            log(WARNING, f"the kernel killed a process of {service}: it has no memory left")


def main(arguments: Sequence[str]) -> int:
    """Run until stopped; an error that nobody foresaw ends the daemon, and systemd starts it again."""
    parser = argparse.ArgumentParser(
        prog="exporter", description="Write what this droplet's containers use, as metrics."
    )
    parser.add_argument("--output", type=Path, default=Path("/run/presence360/containers.prom"))
    parser.add_argument("--socket", type=Path, default=Path("/run/docker.sock"))
    parser.add_argument("--reboot-required", type=Path, default=Path("/run/reboot-required"))
    options = parser.parse_args(arguments)
    exporter = Exporter(Docker(options.socket), options.output, options.reboot_required)
    os.umask(0o022)
    threading.Thread(target=_listen, args=(exporter,), daemon=True).start()
    while True:
        began = time.monotonic()
        exporter.look()
        time.sleep(max(1.0, LOOK_SECONDS - (time.monotonic() - began)))


def _listen(exporter: Exporter) -> None:
    """Listen for as long as the daemon runs; `look` says that Docker is silent."""
    while True:
        try:
            exporter.listen()
        except DockerError:
            time.sleep(AGAIN_SECONDS)
