"""A droplet of the control group that dumps: real Postgres, real age and rclone, and the software of Spaces."""

import json
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from droplet.names import TENANT_ID
from lab import backup_programs, programs
from lab.managed_cluster import Cluster
from lab.object_storage import Gateway
from lab.postgres_clients import clients

BUCKET = "presence360-staging-backups"


@dataclass(frozen=True)
class Key:
    """A pair of keys of age.

    Attributes:
        public: the recipient.
        secret: the identity.
    """

    public: str
    secret: str

    @classmethod
    def new(cls) -> "Key":
        """Make one."""
        text = subprocess.run(
            [backup_programs.programs() / "age-keygen"], capture_output=True, text=True, check=True
        ).stdout
        secret = text.splitlines()[-1]
        return cls(text.partition("public key: ")[2].splitlines()[0], secret)


@dataclass
class Site:
    """A droplet, the clusters that it reaches, and the bucket.

    Attributes:
        folder: the droplet's own.
        clusters: by name, the environment's own first.
        gateway: has the bucket.
        keys: of the operators, and of the drill.
    """

    folder: Path
    clusters: Mapping[str, Cluster]
    gateway: Gateway
    keys: tuple[Key, Key] = field(default_factory=lambda: (Key.new(), Key.new()))
    settings: dict[str, Any] = field(default_factory=dict)
    bucket: str = BUCKET

    def write(self) -> None:
        """Write what an apply writes, and make the bucket."""
        for name in ("credentials", "scratch", "state"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        if not (self.folder / "programs").exists():
            programs.lay_out(self.folder / "programs")
            client = self.gateway.client()
            client.create_bucket(Bucket=self.bucket)
            client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        wanted = {
            "bucket": self.bucket,
            "endpoint": self.gateway.endpoint,
            "access_key": self.gateway.access_key,
            "secret_key": self.gateway.secret_key,
            "recipients": [key.public for key in self.keys],
            # A night has begun, whatever the time is.
            "hour": "00:00",
            "parallel": 2,
            "rate_mib": 1000,
            **self.settings,
        }
        (self.folder / "credentials/backups.json").write_text(json.dumps(wanted), encoding="utf-8")
        for part, configuration in self.configurations.items():
            path = self.folder / f"credentials/isolation_{part}.json"
            path.write_text(json.dumps(configuration), encoding="utf-8")

    @property
    def configurations(self) -> dict[str, dict[str, Any]]:
        """The isolation job's, as Terraform writes them: one a cell, which names its churches' own clusters as well."""
        parts: dict[str, dict[str, Any]] = {}
        for number, (name, cluster) in enumerate(self.clusters.items()):
            configuration = cluster.configuration({})
            (entry,) = configuration["clusters"]
            part = "environment" if number == 0 or re.fullmatch(TENANT_ID, name) else f"cell-{number + 1}"
            parts.setdefault(part, {**configuration, "clusters": []})["clusters"].append(
                {**entry, "name": name}
            )
        return parts

    def isolate(self) -> None:
        """Run the isolation job once over all clusters; it has to find nothing wrong."""
        self.write()
        folders = {}
        for variable in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY"):
            path = self.folder / f"isolation/{variable}"
            path.mkdir(parents=True, exist_ok=True)
            folders[variable] = str(path)
        done = subprocess.run(
            programs.command(self.folder / "programs", "isolation"),
            env={
                "PATH": "/usr/bin:/bin",
                "CREDENTIALS_DIRECTORY": str(self.folder / "credentials"),
                **folders,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        metrics = Path(folders["RUNTIME_DIRECTORY"], "isolation.prom").read_text(encoding="utf-8")
        found = dict(re.findall(r'isolation_findings{cluster="(.*)"} (.*)', metrics))
        assert (done.returncode, found) == (0, dict.fromkeys(self.clusters, "0")), done.stdout

    def start(self, program: str = "backup", *arguments: str) -> "subprocess.Popen[str]":
        """Start the program, as the unit does."""
        self.write()
        environment = {
            "PATH": "/usr/bin:/bin",
            "CREDENTIALS_DIRECTORY": str(self.folder / "credentials"),
            "RUNTIME_DIRECTORY": str(self.folder / "scratch"),
            "STATE_DIRECTORY": str(self.folder / "state"),
        }
        tools = ("--programs", str(clients()), "--tools", str(backup_programs.programs()))
        return subprocess.Popen(
            [*programs.command(self.folder / "programs", program), *tools, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def once(self) -> tuple[int, str]:
        """Run to the end; the exit status and the journal."""
        process = self.start()
        log, _ = process.communicate(timeout=300)
        return process.returncode, log

    def objects(self, prefix: str = "dumps/") -> dict[str, int]:
        """The bucket's objects and their lengths."""
        pages = self.gateway.client().get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket, Prefix=prefix)
        return {one["Key"]: one["Size"] for page in found for one in page.get("Contents", [])}

    def read(self, key: str) -> bytes:
        """An object's content."""
        body: bytes = self.gateway.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def dumps(self, database: str) -> list[str]:
        """The folders of a database's dumps, the oldest first."""
        end = "/index.json"
        return sorted(
            key.removesuffix(end) for key in self.objects(f"dumps/{database}/") if key.endswith(end)
        )

    def decrypted(self, key: str, with_key: Key | None = None) -> bytes:
        """An object as one of the recipients reads it."""
        return decrypt(self.read(key), with_key or self.keys[0], self.folder)

    def contents(self, dump: str) -> dict[str, Any]:
        """What a dump says of itself."""
        return dict(json.loads(self.decrypted(f"{dump}/contents.age")))

    def records(self, cluster: str = "shared") -> dict[str, Any]:
        """By database, what the record says of dumps."""
        found = self.clusters[cluster].superuser(
            "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
        )
        return {
            name: json.loads(comment).get("backup") for name, comment in found if comment and "{" in comment
        }

    def metrics(self) -> dict[str, float]:
        """What the last run wrote."""
        lines = (self.folder / "scratch/backup.prom").read_text(encoding="utf-8").splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name.removeprefix("presence360_dump_"): float(value) for name, _, value in pairs}

    def ask(self, *databases: str) -> None:
        """Do what `presence360 backups dump` does."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        content = json.dumps({"time": now, "databases": list(databases)}).encode()
        self.gateway.client().put_object(
            Bucket=self.bucket, Key=f"requests/{time.time_ns()}.json", Body=content
        )


def decrypt(content: bytes, key: Key, folder: Path) -> bytes:
    """Decrypt as a person does: with the key in a file."""
    identity = folder / "identity"
    identity.write_text(key.secret, encoding="utf-8")
    command: Sequence[str] = [
        str(backup_programs.programs() / "age"),
        "--decrypt",
        "--identity",
        str(identity),
    ]
    done = subprocess.run(command, input=content, capture_output=True, check=False)
    identity.unlink()
    if done.returncode != 0:
        raise ValueError(done.stderr.decode())
    return done.stdout
