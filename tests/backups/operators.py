"""An operator's own machine: the second bucket, the key that opens dumps, and SSH to a droplet."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from lab import backup_programs, programs
from lab.managed_cluster import Cluster, Tenant
from lab.object_storage import Gateway
from lab.postgres_clients import clients
from model.backups import BackupsPlan
from ops import dump_file
from ops.backups import Backups
from ops.bucket import Bucket
from tests.backups.site import Site

FIRST, SECOND = Tenant.number(1), Tenant.number(2)

DROPLET, COPIER = "droplet", "copier"
"""Users of the gateway: each has what its key has on the platform (tests/constructs_lib/test_backups.py)."""


def eventually(true: Callable[[], object], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def workflow(site: Site, second: str) -> Backups:
    """The dumps as the nightly workflow opens them: its key reads the first bucket, and owns the second."""
    key = site.gateway.as_user(COPIER)
    key.client().create_bucket(Bucket=second)
    places = [f"arn:aws:s3:::{site.bucket}{end}" for end in ("", "/*")]
    reads = {
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam:::user/{COPIER}"]},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": places,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [reads]})
    site.gateway.client().put_bucket_policy(Bucket=site.bucket, Policy=policy)
    return backups(site, second, key)


def backups(site: Site, second: str, key: Gateway | None = None) -> Backups:
    """The dumps as somebody opens them who has a key; without one, that of the droplet."""
    key = key or site.gateway
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
        "SPACES_ACCESS_KEY_ID": key.access_key,
        "SPACES_SECRET_ACCESS_KEY": key.secret_key,
        "SPACES_ENDPOINT_URL": key.endpoint,
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
        self, target: Cluster | Site, stream: bytes, database: str = FIRST.database, to: str = "shared"
    ) -> "subprocess.CompletedProcess[bytes]":
        """Restore on a droplet of the control group."""
        command = self.command(target, "restore", database, "--to", to)
        return subprocess.run(command, input=stream, capture_output=True, check=False, timeout=120)

    def command(self, target: Cluster | Site, program: str, *arguments: str) -> list[str]:
        """Return what runs a program on a droplet of the control group, which knows one cluster or all of a site."""
        known = (
            target.configurations if isinstance(target, Site) else {"environment": target.configuration({})}
        )
        configurations = self.folder.with_name("isolation")
        configurations.mkdir(exist_ok=True)
        for name, value in known.items():
            (configurations / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
        more = ["--configurations", str(configurations), "--programs", str(clients())]
        return programs.command(self.site.folder / "programs", program, *arguments, *more)
