"""A restore on a droplet, by SSH: the dump is opened here (docs/decisions/0011-dumps-are-opened-by-operators.md)."""

import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from model.loader import Environment
from model.naming import tenant_database
from model.tenancy import Tier
from model.tenants import Tenant
from ops import dump_file
from ops.errors import OperationError

PROGRAMS = "/var/lib/presence360/programs/current"


@dataclass(frozen=True)
class OnDroplet:
    """A droplet of the control group, as the operator's SSH reaches it.

    Attributes:
        address: its name or address.
        cluster: the name of the cluster that has the church's databases, as the isolation job knows it.
    """

    address: str
    cluster: str

    def fill(self, folder: Path, identity: Path, database: str) -> None:
        """Restore a dump that was fetched into an empty database.

        Raises:
            OperationError: it could not be opened, or was not restored; the database is as empty as before.
        """
        # Before anything is begun there.
        dump_file.contents(folder, identity)
        command = self._command("restore", database, "--to", self.cluster)
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            assert process.stdin  # noqa: S101  opened above
            # A dump that ends early is refused there; where the other side ends early, it has said why.
            with suppress(BrokenPipeError), process.stdin as out:
                dump_file.pass_on(folder, identity, out)
        _check(process.returncode, "it was not restored")

    def compare(self, then: str, now: str) -> None:
        """Print what differs between two databases of a church.

        Raises:
            OperationError: they could not be compared.
        """
        done = subprocess.run(self._command("compare", then, now, "--in", self.cluster), check=False)
        _check(done.returncode, "they were not compared")

    def check(self) -> None:
        """Check that SSH can be asked.

        Raises:
            OperationError: it is not installed.
        """
        self._command("restore")

    def _command(self, program: str, *arguments: str) -> list[str]:
        ssh = shutil.which("ssh")
        if ssh is None:
            raise OperationError("ssh is not installed")
        return [ssh, f"root@{self.address}", "python3", "-I", "-B", PROGRAMS, program, *arguments]


def cluster_of(environment: Environment, tenant: Tenant) -> str:
    """Return what the isolation job calls the cluster that has a church's databases."""
    if tenant.tier is Tier.DEDICATED:
        return tenant.id
    return tenant.cell or environment.file.postgres.tenants


def database_of(tenant: Tenant, generation: int) -> str:
    """Return the name of a generation of a church's database."""
    return tenant_database(tenant.id, generation)


def _check(code: int, what: str) -> None:
    if code:
        raise OperationError(f"{what}: the droplet's program says why above (exit status {code})")
