"""Spaces by behaviour: versions, what expires when by the generator's own rules, and an object that comes back.

The server is Ceph's object gateway, the software that Spaces is made of; the rules are read out of the stacks.
"""

import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab import backup_programs, ceph, object_storage
from lab.debian import MissingError
from lab.local_digitalocean.tls import Authority
from lab.object_storage import Gateway
from tests.support import ROOT, Stack

RUNBOOK = ROOT / "docs/runbooks/lost.md"

DAY_SECONDS = 4
"""For how long a day of a rule lasts here, and for how long the server works on a bucket before the next has its turn
(thread_stop_at in Ceph's rgw_lc.cc): with one second, uploads of the buckets with most rules were never reached."""

LONGEST_DAYS = 14
"""Rules that last longer are only seen not to have come true yet."""

PATIENCE_SECONDS = 240.0
"""For a loaded machine; a rule is carried out by the server when it comes round."""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    try:
        backup_programs.programs()
        with (
            tempfile.TemporaryDirectory(prefix="gateway-") as folder,
            object_storage.gateway(Path(folder), Authority({})) as started,
        ):
            yield started
    except MissingError as error:
        pytest.skip(str(error))


def commands() -> list[str]:
    """The runbook's commands for an object, in their order, without what is said of them."""
    section = RUNBOOK.read_text(encoding="utf-8").partition("## An object in Spaces")[2].partition("\n## ")[0]
    return [
        line.strip().partition(" #")[0].strip() for line in section.splitlines() if line.startswith("    ")
    ]


def test_a_deleted_object_and_an_overwritten_one_come_back_by_the_runbooks_commands(
    gateway: Gateway, tmp_path: Path
) -> None:
    """Word for word: only the placeholders of the page are filled in."""
    client = gateway.client()
    bucket = "presence360-production-tenant-registry"
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("tenants/deleted.json", "tenants/spoiled.json"):
        client.put_object(Bucket=bucket, Key=key, Body=b"good")
    # rclone reads a time to the second.
    time.sleep(1.1)
    good = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    time.sleep(1.1)
    client.delete_object(Bucket=bucket, Key="tenants/deleted.json")
    client.put_object(Bucket=bucket, Key="tenants/spoiled.json", Body=b"bad")
    configuration = tmp_path / "rclone.conf"
    configuration.write_text(
        # As DigitalOcean's, rclone would ask for the bucket's own host name, which no name server here knows.
        "[spaces]\ntype = s3\nprovider = Ceph\n"
        f"access_key_id = {gateway.access_key}\nsecret_access_key = {gateway.secret_key}\n"
        f"endpoint = {gateway.endpoint}\n",
        encoding="utf-8",
    )
    listing, *back = commands()
    assert len(back) == 3, back

    def run(command: str, name: str) -> str:
        for word, value in {
            "<env>": "production",
            "<bucket>": bucket,
            "<folder>": "tenants",
            "<name>": name,
            "<time>": good,
        }.items():
            command = command.replace(word, value)
        assert "<" not in command, command
        program, *arguments = shlex.split(command)
        real = {
            "rclone": [str(backup_programs.programs() / "rclone"), "--config", str(configuration)],
            "ls": ["ls"],
        }
        done = subprocess.run(
            [*real[program], *arguments],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    shown = run(listing, "")
    assert len(re.findall(r"\bdeleted-v\d{4}-\d\d-\d\d-\d{6}-\d{3}\.json", shown)) == 1, shown
    assert len(re.findall(r"\bspoiled-v\d{4}-\d\d-\d\d-\d{6}-\d{3}\.json", shown)) == 1, shown
    for name in ("deleted.json", "spoiled.json"):
        for command in back:
            run(command, name)
        assert client.get_object(Bucket=bucket, Key=f"tenants/{name}")["Body"].read() == b"good"
    # What the page warns of.
    silent = "rclone copyto --s3-version-at <time> spaces:<bucket>/<folder>/<name> ./silent"
    run(silent, "spoiled.json")
    assert not (tmp_path / "silent").exists()


@dataclass
class Watched:
    """An object in a folder of a bucket, and what was seen of it.

    Attributes:
        what: which version of it, or an upload.
        lives: for how many days at least, and after which it has to go; None: it stays.
        written: when its writing began.
        there: whether it was there when it was looked for last.
        gone: for how many seconds it had been there at most when it was first seen to be gone.
    """

    what: str
    lives: int | None
    written: float
    there: bool = True
    gone: float | None = None


@dataclass
class Ruled:
    """A bucket with the generator's rules, one folder of it, and what was written there."""

    name: str
    folder: str
    rules: list[Mapping[str, Any]]
    watched: dict[str, Watched] = field(default_factory=dict)

    def least(self, kind: str) -> int | None:
        """The days of the shortest of the rules that hold for the folder."""
        found = [
            rule[kind] if isinstance(rule[kind], int) else rule[kind]["days"]
            for rule in self.rules
            if rule.get(kind) and self.folder.startswith(rule.get("prefix", ""))
        ]
        return min(found, default=None)

    def write(self, client: Any) -> None:
        """Write an object twice, and one that is deleted, and begin an upload that nobody ends."""
        noncurrent, current = self.least("noncurrent_version_expiration"), self.least("expiration")

        def put(key: str, what: str, lives: int | None) -> None:
            self.watched[what] = Watched(what, lives, time.monotonic())
            version = client.put_object(Bucket=self.name, Key=key, Body=what.encode())["VersionId"]
            self.watched[version] = self.watched.pop(what)

        put(f"{self.folder}kept", "overwritten version", noncurrent)
        put(f"{self.folder}kept", "current version", current and noncurrent and current + noncurrent)
        put(f"{self.folder}deleted", "deleted version", noncurrent)
        client.delete_object(Bucket=self.name, Key=f"{self.folder}deleted")
        self.watched["readable"] = Watched("object that can be read", current, time.monotonic())
        lives = self.least("abort_incomplete_multipart_upload_days")
        self.watched["upload"] = Watched("upload", lives, time.monotonic())
        begun = client.create_multipart_upload(Bucket=self.name, Key=f"{self.folder}upload")
        client.upload_part(
            Bucket=self.name,
            Key=f"{self.folder}upload",
            UploadId=begun["UploadId"],
            PartNumber=1,
            Body=b"part",
        )

    def look(self, client: Any) -> None:
        """Look for each of them."""
        found = client.list_object_versions(Bucket=self.name, Prefix=self.folder).get("Versions", [])
        there = {one["VersionId"] for one in found}
        there |= {"readable" for one in found if one["IsLatest"] and one["Key"].endswith("kept")}
        uploads = client.list_multipart_uploads(Bucket=self.name, Prefix=self.folder).get("Uploads", [])
        there |= {"upload" for _ in uploads}
        now = time.monotonic()
        for name, one in self.watched.items():
            if one.there and name not in there:
                one.there, one.gone = False, now - one.written


def rules_of(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the provider makes of a bucket's rules (terraform-provider-digitalocean, resource_spaces_bucket.go)."""
    made = []
    for rule in resource["lifecycle_rule"]:
        one: dict[str, Any] = {
            "ID": rule["id"],
            "Status": "Enabled" if rule["enabled"] else "Disabled",
            "Filter": {"Prefix": rule.get("prefix", "")},
        }
        if days := rule.get("abort_incomplete_multipart_upload_days"):
            one["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": days}
        if expiration := rule.get("expiration"):
            one["Expiration"] = {"Days": expiration["days"]}
        if noncurrent := rule.get("noncurrent_version_expiration"):
            one["NoncurrentVersionExpiration"] = {"NoncurrentDays": noncurrent["days"]}
        made.append(one)
    return made


def test_each_bucket_of_the_stacks_has_versions_and_rules(
    staging: Stack, production: Stack, bootstrap: Stack
) -> None:
    for stack in (staging, production, bootstrap):
        for bucket in stack.all("spaces_bucket").values():
            assert bucket["versioning"] == {"enabled": True}
            assert rules_of(bucket)


@pytest.mark.nightly("recovery")
def test_what_is_in_each_bucket_expires_when_the_rules_say_and_not_before(
    staging: Stack, production: Stack, bootstrap: Stack
) -> None:
    try:
        with (
            tempfile.TemporaryDirectory(prefix="ceph-") as folder,
            ceph.gateway(Path(folder), DAY_SECONDS) as lost,
        ):
            client = lost.client()
            ruled: list[Ruled] = []
            for stack in (staging, production, bootstrap):
                for bucket in stack.all("spaces_bucket").values():
                    ruled += made(client, bucket)
            _expire(client, ruled)
    except MissingError as error:
        pytest.skip(str(error))


def made(client: Any, bucket: Mapping[str, Any]) -> list[Ruled]:
    """Make a bucket as the provider does; what is looked at in it: each folder of a rule, and one of none."""
    name, rules = bucket["name"], bucket["lifecycle_rule"]
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules_of(bucket)})
    folders = [*(rule["prefix"] for rule in rules if rule.get("prefix")), "elsewhere/"]
    return [Ruled(name, one, rules) for one in folders]


def _expire(client: Any, ruled: list[Ruled]) -> None:
    for one in ruled:
        one.write(client)
    due = [
        (one, it)
        for one in ruled
        for it in one.watched.values()
        if it.lives is not None and it.lives <= LONGEST_DAYS
    ]
    assert len(due) > 60, "rules for many folders were read"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(it.there for _, it in due) and time.monotonic() < deadline:
        for one in ruled:
            one.look(client)
        time.sleep(0.2)
    late = [f"{one.name}/{one.folder}: {it.what}, {it.lives} days" for one, it in due if it.there]
    early = [
        f"{one.name}/{one.folder}: {it.what}, {it.lives} days, gone after {it.gone:.1f} s"
        for one in ruled
        for it in one.watched.values()
        if it.gone is not None and (it.lives is None or it.gone < it.lives * DAY_SECONDS)
    ]
    assert (late, early) == ([], [])
