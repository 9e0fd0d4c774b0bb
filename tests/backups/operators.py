"""An operator's own machine: the second bucket, the key that opens dumps, and SSH to a droplet."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from lab import backup_programs, programs
from lab.managed_cluster import Cluster, Tenant
from model.backups import BackupsPlan
from ops import dump_file
from ops.backups import Backups
from ops.bucket import Bucket
from tests.backups.site import Site
from tests.isolation.clients import clients

FIRST, SECOND = Tenant.number(1), Tenant.number(2)


def eventually(true: Callable[[], object], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def backups(site: Site, second: str) -> Backups:
    plan = BackupsPlan(
        bucket=site.bucket,
        region="fra1",
        copy_bucket=second,
        copy_region="ams3",
        recipients=(),
        keep_days=14,
        copy_days={"days": 14, "weeks": 56, "months": 372},
        hour="01:00",
        parallel=2,
        rate_mib=32,
    )
    environ = {
        "SPACES_ACCESS_KEY_ID": site.gateway.access_key,
        "SPACES_SECRET_ACCESS_KEY": site.gateway.secret_key,
        "SPACES_ENDPOINT_URL": site.gateway.endpoint,
    }
    slugs = {FIRST.database: "grace", SECOND.database: "zion"}
    served = {slug: [database] for database, slug in slugs.items()}
    clusters = {FIRST.id: "shared", SECOND.id: "shared", "control_plane": "shared"}
    first, other = (Bucket.of(environ, "fra1", name) for name in (site.bucket, second))
    return Backups("staging", plan, slugs, served, clusters, first, other)


class Operator:
    """A person at their own machine, with the operators' key, and SSH to a droplet.

    Attributes:
        folder: of the dump that was fetched.
        identity: the file with the key.
    """

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.folder = site, folder
        self.identity = folder.with_name("operators.key")
        self.identity.write_text(site.keys[0].secret, encoding="utf-8")
        self.age = str(backup_programs.programs() / "age")

    def open(self) -> bytes:
        """What `presence360 backups open` writes."""
        file = self.folder.with_name("stream")
        with file.open("wb") as out:
            dump_file.pass_on(self.folder, self.identity, out, self.age)
        return file.read_bytes()

    def restore(
        self, target: Cluster, stream: bytes, database: str = FIRST.database
    ) -> "subprocess.CompletedProcess[bytes]":
        """Restore on a droplet of the control group."""
        command = self.command(target, "restore", database, "--to", "shared")
        return subprocess.run(command, input=stream, capture_output=True, check=False, timeout=120)

    def command(self, target: Cluster, program: str, *arguments: str) -> list[str]:
        """Return what runs a program on a droplet of the control group."""
        configurations = self.folder.with_name("isolation")
        configurations.mkdir(exist_ok=True)
        configuration = json.dumps(target.configuration({}))
        (configurations / "environment.json").write_text(configuration, encoding="utf-8")
        more = ["--configurations", str(configurations), "--programs", str(clients())]
        return programs.command(self.site.folder / "programs", program, *arguments, *more)
