"""A droplet of the control group without its machine: a folder in which its programs run, as its units start them."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab import programs
from lab.postgres_clients import clients

SECONDS = 300


class ControlDroplet:
    """A droplet's folders.

    Attributes:
        home: the folder.
        authorities: the certificate authorities of the clusters, for services.
    """

    def __init__(self, home: Path, docker: Sequence[str]) -> None:
        """Lay programs out; ``docker`` is the command that stands for Docker's client."""
        self.home = home
        self.authorities = home / "ca.pem"
        for name in ("scratch", "isolation", "credentials", "bin", "state/incoming"):
            (home / name).mkdir(parents=True)
        programs.lay_out(home / "programs")
        program = home / "bin/docker"
        program.write_text(f'#!/bin/sh\nexec {shlex.join(docker)} "$@"\n', encoding="utf-8")
        program.chmod(0o755)

    def fetch(self, objects: Mapping[str, bytes]) -> None:
        """Have fetched the objects of the group's bucket; the isolation job's are also its credentials."""
        for key, content in objects.items():
            path = self.home / "state/incoming" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            folder, _, name = key.rpartition("/")
            if folder == "isolation":
                (self.home / "credentials" / f"isolation_{name}").write_bytes(content)

    def isolate(self) -> "subprocess.CompletedProcess[str]":
        """Run the isolation job once."""
        return self._run(
            "isolation", RUNTIME_DIRECTORY=self.home / "isolation", STATE_DIRECTORY=self.home / "isolation"
        )

    def migrate(self) -> "subprocess.CompletedProcess[str]":
        """Run the migrations once."""
        return self._run("migrate", "--home", str(self.home), RUNTIME_DIRECTORY=self.home / "scratch")

    def by_hand(
        self, program: str, *arguments: str, given: bytes = b""
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run a program as an operator does through SSH, with something on its input."""
        more = ["--configurations", str(self.configurations), "--programs", str(clients())]
        return subprocess.run(
            programs.command(self.home / "programs", program, *arguments, *more),
            input=given,
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )

    @property
    def configurations(self) -> Path:
        """The isolation job's, where the programs that an operator starts look for them."""
        return self.home / "state/incoming/isolation"

    def slugs(self) -> set[str]:
        """Return the host names that nginx knows for tenants' after converge has read the list that was fetched."""
        script = (
            "import sys, pathlib; sys.path.insert(0, sys.argv[1]); home = pathlib.Path(sys.argv[2])\n"
            "from droplet.converge.paths import Paths; from droplet.converge.tenants import mark_tenants\n"
            "paths = Paths(home / 'state', home / 'run'); mark_tenants(paths)\n"
            "print(*sorted(path.name for path in paths.tenants.iterdir()))"
        )
        command = [sys.executable, "-I", "-B", "-c", script, str(self.home / "programs"), str(self.home)]
        return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())

    def told(self, key: str) -> dict[str, Any]:
        """Return what the last run had to tell; there is no status bucket that takes it."""
        value: dict[str, Any] = json.loads((self.home / "scratch" / key).read_bytes())
        return value

    def _run(self, program: str, *arguments: str, **folders: Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            programs.command(self.home / "programs", program, *arguments),
            env={
                "PATH": f"{self.home / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}",
                "CREDENTIALS_DIRECTORY": str(self.home / "credentials"),
                **{name: str(folder) for name, folder in folders.items()},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
