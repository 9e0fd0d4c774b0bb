"""The repository's own environments, copied to where a test may spoil them."""

import ipaddress
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from model.environment import EnvironmentFile
from model.errors import InvalidInputError
from model.loader import Environment, load_environments
from tests.support import ENVIRONMENTS

STAGING = "staging/environment.yaml"
STAGING_TENANTS = "staging/tenants.yaml"
PRODUCTION = "production/environment.yaml"
PRODUCTION_TENANTS = "production/tenants.yaml"


@dataclass(frozen=True)
class Workspace:
    """A copy of `environments/`.

    Attributes:
        root: the copied folder.
    """

    root: Path

    @classmethod
    def copy(cls, where: Path, *names: str) -> "Workspace":
        root = where / "environments"
        for name in names:
            # Without the lock of known tenants: a test's tenants are its own.
            shutil.copytree(ENVIRONMENTS / name, root / name, ignore=shutil.ignore_patterns("*.lock"))
        return cls(root)

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace a text that stands in a file exactly once."""
        text = self.text(file)
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        self.write(file, text.replace(old, new))

    def write(self, file: str, content: str | bytes) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        (self.root / file).write_bytes(data)

    def text(self, file: str) -> str:
        return (self.root / file).read_bytes().decode()

    def line(self, file: str, marker: str) -> int:
        """Return the number of the one line that holds a text."""
        lines = [
            number
            for number, line in enumerate(self.text(file).split("\n"), start=1)
            if marker in f"{line}\n"
        ]
        assert len(lines) == 1, f"{marker!r} stands on the lines {lines} of {file}"
        return lines[0]

    def load(self) -> tuple[Environment, ...]:
        return load_environments(self.root)

    def error(self) -> str:
        """Return the whole text that an operator sees; the files must be refused."""
        try:
            self.load()
        except InvalidInputError as error:
            return str(error)
        raise AssertionError("the files were accepted")


@cache
def _any_environment() -> EnvironmentFile:
    return load_environments(ENVIRONMENTS)[0].file


def environment(name: str, cidr: str) -> EnvironmentFile:
    """Make an environment that shares nothing with another one but perhaps its range."""
    file = _any_environment()
    network = file.network.model_copy(
        update={"ip_range": ipaddress.IPv4Network(cidr), "ssh_keys": {"ops": f"ssh-x {name}"}}
    )
    return file.model_copy(
        update={"environment": name, "base_domain": f"{name}.example.org", "network": network}
    )
