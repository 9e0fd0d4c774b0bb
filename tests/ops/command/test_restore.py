"""`presence360 restore`: every step as an edit, wrong orders in a sentence, and what goes over SSH."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops import dump_file
from ops.bucket import Bucket
from ops.ci import settings
from tests.ops.command.conftest import Command, commit
from tests.support import ROOT

moto = pytest.importorskip("moto")

GRACE = "0c5d9e7f-1a2b-4c3d-8e4f-5a6b7c8d9004"
NOW, THEN = f"tenant_{GRACE}", f"tenant_{GRACE}_r2"
AT = ("production", "grace")
FIRST, SECOND = "presence360-production-backups", "presence360-production-backups-copy"
DUMP = f"{NOW}/20261120T010003Z.shared"
BACKUP = "backup"


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import boto3  # noqa: PLC0415  (after moto is known to be there)

    with moto.mock_aws():
        made = boto3.client(
            "s3", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )
        monkeypatch.setattr(Bucket, "of", lambda _environ, _region, name: Bucket(name, made))
        monkeypatch.setattr(settings, "load", lambda _: {})
        for name in (FIRST, SECOND):
            made.create_bucket(Bucket=name)
        put(made, SECOND, f"days/{DUMP}", tables=7, rows=120)
        yield made


def put(client: Any, bucket: str, folder: str, *, tables: int, rows: int, **more: object) -> None:
    _, database, stamp = folder.split("/")
    at = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[9:11]}:{stamp[11:13]}:{stamp[13:15]}Z"
    # sha256 of no content.
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    index = {
        "version": 1,
        "database": database,
        "cluster": stamp.partition(".")[2],
        "time": at,
        **more,
        "tables": tables,
        "rows": rows,
        "objects": {name: {"bytes": 0, "sha256": digest} for name in ("dump.age", "contents.age")},
    }
    client.put_object(Bucket=bucket, Key=f"{folder}/index.json", Body=json.dumps(index).encode())
    for name in ("dump.age", "contents.age"):
        client.put_object(Bucket=bucket, Key=f"{folder}/{name}", Body=b"")


def entry(command: Command) -> list[str]:
    """What stands in the church's entry beside what it began with."""
    text = (command.files.root / "production/tenants.yaml").read_text()
    part = text[text.index(GRACE) :].split("  - id:")[0]
    return [line.strip() for line in part.splitlines()[3:] if line.strip()]


def lock(command: Command) -> str:
    lines = (command.files.root / "production/tenants.lock").read_text().splitlines()
    return next(line for line in lines if line.startswith(GRACE)).partition("shared=kept")[2].strip()


@pytest.mark.usefixtures("buckets")
def test_a_restore_step_by_step_and_each_can_be_undone(command: Command, buckets: Any) -> None:
    said = command("restore", "begin", *AT, "--from", "2026-11-21T00:00Z").out
    assert said.startswith(f"The dump: {DUMP}, of 2026-11-20 01:00:03 UTC\n")
    assert (
        "presence360 restore fill production grace --from 2026-11-21T00:00Z --identity operators.key" in said
    )
    assert (entry(command), lock(command)) == (
        ["database: {current: 1, restoring: 2}"],
        "database-restoring=2",
    )
    assert command("restore", "show", *AT).out.splitlines()[:2] == [
        f"grace: generation 1 of its database ({NOW}) is served.",
        f"Generation 2 of its database ({THEN}) is beside it, protected and not served.",
    ]

    # Nothing is known to be in it: neither that it was dumped, nor, from before it was filled, that it has a table.
    told = command("restore", "switch", *AT, code=1).err
    assert f"{THEN} is not known to hold anything: there is no dump of it" in told
    put(buckets, FIRST, f"dumps/{THEN}/20261121T000000Z.shared", tables=0, rows=0)
    assert "has no table" in command("restore", "switch", *AT, code=1).err
    put(buckets, FIRST, f"dumps/{THEN}/20261121T001000Z.shared", tables=7, rows=118)
    said = command("restore", "switch", *AT).out
    assert f"{THEN} holds 7 tables with 118 rows" in said
    assert "answers 503" in said
    assert entry(command) == ["database: {current: 2, kept: 1}", "maintenance: true"]
    assert lock(command) == "database=2 database-kept=1"
    shown = json.loads(command("tenant", "show", *AT, "--json").out)
    assert (shown["database"], shown["beside"], shown["restore"]) == (THEN, [NOW], "kept 1")
    assert shown["users"] == [f"{THEN}_g1"]

    command("restore", "back", *AT)
    assert entry(command) == ["database: {current: 1, restoring: 2}", "maintenance: true"]
    command("restore", "switch", *AT)
    command("maintenance", "production", "off", "--tenant", "grace")
    commit(command.files.root.parent)

    assert "is kept, without protection" in command("restore", "finish", *AT).out
    assert entry(command) == ["database: {current: 2, retired: 1}"]
    # Not both steps at once.
    assert "generation 1 is retired here, and not in the last commit" in command.refused(
        "restore", "finish", *AT
    )
    commit(command.files.root.parent)
    assert f"the database {NOW} is DROPPED" in command("restore", "finish", *AT).out
    assert (entry(command), lock(command)) == (["database: {current: 2}"], "database=2")
    # And once more, from the dumps of both.
    command("restore", "begin", *AT, "--from", DUMP)
    assert entry(command) == ["database: {current: 2, restoring: 3}"]


@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("more", [(), ("--unchecked",)])
def test_a_switch_waits_until_its_begin_is_committed(
    command: Command, buckets: Any, more: tuple[str, ...]
) -> None:
    put(buckets, FIRST, f"dumps/{THEN}/20261121T001000Z.shared", tables=7, rows=118)
    commit(command.files.root.parent)
    command("restore", "begin", *AT, "--from", BACKUP)
    # One deploy of both would serve a database that it makes empty.
    said = command.refused("restore", "switch", *AT, *more)
    assert "generation 3 is being restored here, and not in the last commit" in said
    assert entry(command) == ["database: {current: 1, restoring: 3}"]
    commit(command.files.root.parent)
    if not more:
        put(buckets, FIRST, f"dumps/{NOW}_r3/20261121T001000Z.shared", tables=7, rows=118)
    command("restore", "switch", *AT, *more)
    commit(command.files.root.parent)
    # What was served is filled: an edit that takes it back and one that repeats it need no deploy in between.
    command("restore", "back", *AT)
    command("restore", "switch", *AT, "--unchecked")
    assert entry(command) == ["database: {current: 3, kept: 1}", "maintenance: true"]


@pytest.mark.usefixtures("buckets")
def test_a_restore_from_a_fork_is_told_its_own_way(command: Command) -> None:
    command("restore", "begin", *AT, "--from", BACKUP)
    said = command("restore", "show", *AT).out
    assert "If it began with --from backup, in the place of fill: a database is read from the fork" in said
    assert '"From a second of the last seven days"' in said


@pytest.mark.usefixtures("buckets")
def test_a_dump_of_today_is_found_in_the_first_bucket(command: Command, buckets: Any) -> None:
    client = buckets
    for found in client.list_objects_v2(Bucket=SECOND)["Contents"]:
        client.delete_object(Bucket=SECOND, Key=found["Key"])
    put(client, FIRST, f"dumps/{DUMP}", tables=7, rows=120)
    for source in ("newest", DUMP):
        told = command("restore", "begin", *AT, "--from", source, code=1).err
        assert "is in the first bucket: add --first" in told
    assert command("restore", "begin", *AT, "--from", "newest", "--first").out.startswith(f"The dump: {DUMP}")


@pytest.mark.usefixtures("buckets")
def test_a_restore_that_nobody_wants_leaves_in_two_steps(command: Command, buckets: Any) -> None:
    command("restore", "begin", *AT, "--from", "newest")
    command("restore", "abandon", *AT)
    assert (entry(command), lock(command)) == (["database: {current: 1, retired: 2}"], "database-retired=2")
    command("restore", "abandon", *AT)
    assert (entry(command), lock(command)) == (
        ["database: {current: 1, abandoned: [2]}"],
        "database-abandoned=2",
    )
    # Its dumps are still there, and are not those of the next one.
    put(buckets, FIRST, f"dumps/{THEN}/20261121T001000Z.shared", tables=7, rows=118)
    command("restore", "begin", *AT, "--from", "newest")
    assert entry(command) == ["database: {current: 1, abandoned: [2], restoring: 3}"]
    told = command("restore", "switch", *AT, code=1).err
    assert f"tenant_{GRACE}_r3 is not known to hold anything: there is no dump of it" in told
    command("restore", "abandon", *AT)
    command("restore", "abandon", *AT)
    assert entry(command) == ["database: {current: 1, abandoned: [2, 3]}"]


@pytest.mark.usefixtures("buckets")
def test_a_number_that_dumps_have_is_not_used(command: Command, buckets: Any) -> None:
    put(buckets, FIRST, f"dumps/{THEN}/20261121T001000Z.shared", tables=7, rows=118)
    command("restore", "begin", *AT, "--from", "newest")
    assert entry(command) == ["database: {current: 1, restoring: 3}"]


@pytest.mark.usefixtures("buckets")
def test_from_a_backup_of_the_whole_cluster(command: Command, buckets: Any, tmp_path: Path) -> None:
    """No dump has to be there; the fork is read on a droplet."""
    buckets.delete_object(Bucket=SECOND, Key=f"days/{DUMP}/index.json")
    said = command("restore", "begin", *AT, "--from", "backup").out
    assert "docs/runbooks/restore.md" in said
    assert "## From a second of the last seven days" in (ROOT / "docs/runbooks/restore.md").read_text()
    assert entry(command) == ["database: {current: 1, restoring: 2}"]
    key = tmp_path / "operators.key"
    key.write_text("a key")
    asked = ("--from", "backup", "--identity", str(key), "--droplet", "203.0.113.7")
    assert (
        "--from backup: a database is read from the fork"
        in command("restore", "fill", *AT, *asked, code=2).err
    )
    key.unlink()


@pytest.mark.usefixtures("buckets")
def test_nothing_is_given_up_before_the_step_before_is_committed(command: Command, buckets: Any) -> None:
    root = command.files.root.parent
    commit(root)
    command("restore", "begin", *AT, "--from", "newest")
    assert "generation 2 is being restored here, and not in the last commit" in command.refused(
        "restore", "abandon", *AT
    )
    commit(root)
    put(buckets, FIRST, f"dumps/{THEN}/20261121T001000Z.shared", tables=7, rows=118)
    command("restore", "switch", *AT)
    said = command.refused("restore", "finish", *AT)
    assert (
        "generation 1 is kept from a switch here, and not in the last commit: that cannot be deployed" in said
    )
    assert "grace is in maintenance: nobody has worked yet with what was restored" in said
    commit(root)
    said = command.refused("restore", "finish", *AT)
    assert said.count("last commit") == 0
    assert "presence360 maintenance production off --tenant grace" in said
    command("maintenance", "production", "off", "--tenant", "grace")
    command("restore", "finish", *AT)
    # Whether that is deployed or not, it is there: back is not too late.
    commit(root)
    assert "restore back production grace" in command("restore", "show", *AT).out
    command("restore", "back", *AT)
    assert entry(command) == ["database: {current: 1, restoring: 2}", "maintenance: true"]
    command("tenant", "lock", "--check", "--base", "HEAD")


WRONG = {
    "switch": "no generation of grace's database is being restored",
    "back": "no earlier generation of grace's database is kept",
    "finish": "no earlier generation of grace's database is kept",
    "abandon": "no generation of grace's database is being restored",
}


@pytest.mark.parametrize("step", WRONG)
def test_a_step_before_its_time_is_refused_with_the_one_that_is_next(command: Command, step: str) -> None:
    said = command.refused("restore", step, *AT)
    assert said.startswith("environments/production/tenants.yaml:4: tenants[0]: ")
    assert WRONG[step] in said
    assert "presence360 restore begin production grace --from TIME" in said


@pytest.mark.usefixtures("buckets")
def test_a_second_restore_waits_for_the_first_and_a_finish_for_the_switch(command: Command) -> None:
    command("restore", "begin", *AT, "--from", "newest")
    answer = command("restore", "begin", *AT, "--from", "newest", code=2)
    assert "a restore of grace is under way: restoring 2" in answer.err
    said = command.refused("restore", "finish", *AT)
    assert "presence360 restore switch production grace" in said


@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize(
    ("source", "code", "told"),
    [
        (
            "2026-11-01T00:00Z",
            1,
            f"{SECOND} has no dump of grace before that; the oldest is of 2026-11-20 01:00 UTC",
        ),
        (
            "yesterday",
            2,
            "'yesterday' is no time; write one such as 2026-11-20T12:00Z, or: newest, backup, or a dump's name",
        ),
        ("tenant_x/1", 2, "'tenant_x/1' is no dump's name"),
        (DUMP.replace(GRACE, GRACE.replace("0c5d", "1c5d")), 2, "is not a dump of grace"),
        (DUMP.replace("20261120", "20261119"), 1, f"{SECOND} has no dump {NOW}/20261119T010003Z.shared"),
    ],
)
def test_a_dump_that_is_not_there_is_said_before_anything_is_written(
    command: Command, source: str, code: int, told: str
) -> None:
    answer = command("restore", "begin", *AT, "--from", source, code=code)
    assert told in " ".join((answer.out + answer.err).replace("│", " ").split())
    assert entry(command) == []


@dataclass(frozen=True)
class Ssh:
    """A program in the place of SSH, that notes what it is asked and given; and of age.

    Attributes:
        folder: where it does.
        identity: a file with a key.
    """

    folder: Path
    identity: Path

    def ends(self, code: int) -> None:
        script = f'#!/bin/sh\necho "$@" > "{self.folder}/asked"\ncat > "{self.folder}/stream"\nexit {code}\n'
        (self.folder / "programs/ssh").write_text(script)
        (self.folder / "programs/ssh").chmod(0o755)

    @property
    def asked(self) -> str:
        return (self.folder / "asked").read_text()


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "age").write_text("#!/bin/sh\n")
    (programs / "age").chmod(0o755)
    identity = tmp_path / "operators.key"
    identity.write_text("a key")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(dump_file, "contents", lambda *_: {})
    monkeypatch.setattr(dump_file, "pass_on", lambda _folder, _identity, out: out.write(b"the dump"))
    made = Ssh(tmp_path, identity)
    made.ends(0)
    return made


LARGE = "0c5d9e7f-1a2b-4c3d-8e4f-5a6b7c8d90ff"
LARGE_ENTRY = f"""
  - id: {LARGE}
    slug: large
    name: Large Church
    tier: dedicated
    dedicated: {{size: db-s-2vcpu-4gb, nodes: 2, version: "17", maintenance: {{day: monday, hour: "02:00"}}}}
"""


def test_a_church_with_a_cluster_of_its_own_is_restored_in_it(
    command: Command, buckets: Any, ssh: Ssh
) -> None:
    file = command.files.root / "production/tenants.yaml"
    file.write_text(file.read_text().rstrip() + LARGE_ENTRY)
    command("tenant", "lock")
    own, left = (
        f"tenant_{LARGE}/2026112{day}T010003Z.{cluster}" for day, cluster in ((0, LARGE), (1, "shared"))
    )
    put(buckets, SECOND, f"days/{own}", tables=7, rows=120, served=True)
    # The newest dump is of the copy that the move has left.
    put(buckets, SECOND, f"days/{left}", tables=7, rows=110, served=False)
    at = ("production", "large")
    for source in ("newest", "2026-11-30T00:00Z"):
        said = command("restore", "begin", *at, "--from", source).out
        assert said.startswith(f"The dump: {own}, of 2026-11-20 01:00:03 UTC\n")
        command("restore", "abandon", *at)
        command("restore", "abandon", *at)
    command("restore", "begin", *at, "--from", left)
    more = ("--identity", str(ssh.identity), "--droplet", "203.0.113.7")
    command("restore", "fill", *at, "--from", "newest", *more)
    assert f" restore tenant_{LARGE}_r4 --to {LARGE}\n" in ssh.asked
    command("restore", "compare", *at, "--droplet", "203.0.113.7")
    assert f" compare tenant_{LARGE}_r4 tenant_{LARGE} --in {LARGE}\n" in ssh.asked


@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("code", [0, 2])
def test_the_dump_goes_over_ssh_and_the_key_does_not(
    command: Command, tmp_path: Path, ssh: Ssh, code: int
) -> None:
    command("restore", "begin", *AT, "--from", "newest")
    ssh.ends(code)
    asked = ("--from", "newest", "--identity", str(ssh.identity), "--droplet", "203.0.113.7")
    answer = command("restore", "fill", *AT, *asked, code=1 if code else 0)
    said = answer.out + answer.err
    assert (tmp_path / "asked").read_text() == (
        f"root@203.0.113.7 python3 -I -B /var/lib/presence360/programs/current restore {THEN} --to shared\n"
    )
    assert (tmp_path / "stream").read_bytes() == b"the dump"
    if code:
        assert "it was not restored: the droplet's program says why above (exit status 2)" in said
        return
    assert f"{THEN} holds what the dump holds." in said
    command("restore", "compare", *AT, "--droplet", "203.0.113.7")
    assert f"compare {THEN} {NOW} --in shared\n" in (tmp_path / "asked").read_text()
    command("backups", "list", *AT)
    (listed,) = json.loads(command("backups", "list", *AT, "--json").out)
    assert (listed["name"], listed["database"]) == (DUMP, NOW)
    shown = json.loads(command("restore", "show", *AT, "--json").out)
    assert (shown["state"], shown["served"], shown["restoring"]) == ("restoring 2", NOW, THEN)


KEYS = ("SPACES_ACCESS_KEY_ID is not set", "SPACES_SECRET_ACCESS_KEY is not set")


@pytest.fixture
def without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "load", lambda _: {})


@pytest.mark.usefixtures("without_keys")
@pytest.mark.parametrize(
    ("call", "told"),
    [
        (("restore", "begin", *AT, "--from", "yesterday"), ["--from: 'yesterday' is no time"]),
        (("restore", "begin", *AT, "--from", "a/b"), ["'a/b' is no dump's name"]),
        (("backups", "list", "production", "gracee"), ["there is no tenant with the slug 'gracee'"]),
        (("backups", "dump", "production", "x", "y"), ["the slug 'x'", "the slug 'y'"]),
        (
            ("restore", "fill", *AT, "--from", "a/b", "--identity", "none.key", "--droplet", "203.0.113.7"),
            [
                "no generation of its database is being restored",
                "'a/b' is no dump's name",
                "--identity none.key: No such file or directory",
                "age is not installed",
                "ssh is not installed",
            ],
        ),
    ],
)
def test_all_that_is_wrong_with_a_call_is_said_at_once(
    command: Command, monkeypatch: pytest.MonkeyPatch, call: tuple[str, ...], told: list[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_: None)
    said = command.refused(*call)
    assert [line for line in (*told, *KEYS) if line not in said] == []


def test_a_church_that_no_restore_can_begin_for_is_said_without_a_bucket(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("tenant", "retire", *AT)
    monkeypatch.setattr(settings, "load", lambda _: {})
    assert "grace is retired" in command.refused("restore", "begin", *AT, "--from", "newest")


@pytest.mark.usefixtures("buckets")
def test_a_key_that_opens_nothing_is_found_out_before_the_dump_is_fetched(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("restore", "begin", *AT, "--from", "newest")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("age", "ssh"):
        (programs / name).write_text(
            "#!/bin/sh\necho 'age: error: no identity matched any of the recipients' >&2\nexit 1\n"
        )
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    fetched: list[str] = []
    fetch = Bucket.fetch

    def remembered(bucket: Bucket, key: str, *into: Any) -> Any:
        fetched.append(key.rpartition("/")[2])
        return fetch(bucket, key, *into)

    monkeypatch.setattr(Bucket, "fetch", remembered)
    identity = tmp_path / "other.key"
    identity.write_text("another key")
    asked = ("--from", "newest", "--identity", str(identity), "--droplet", "203.0.113.7")
    assert "was not encrypted for this key" in command("restore", "fill", *AT, *asked, code=1).err
    assert fetched == ["contents.age"]


@pytest.mark.usefixtures("buckets")
def test_the_next_command_is_whole(command: Command) -> None:
    command("restore", "begin", *AT, "--from", "newest")
    said = command("restore", "show", *AT).out
    assert (
        "presence360 restore fill production grace --from TIME --identity operators.key --droplet ADDRESS, then "
        "presence360 restore compare production grace --droplet ADDRESS, then" in said
    )


def test_all_that_a_call_leaves_out_is_named(command: Command) -> None:
    said = " ".join(command.ended("restore", "fill", "production").replace("│", " ").split())
    assert "Missing argument 'TENANT', option '--from', option '--identity', option '--droplet'." in said
    said = command.ended("restore", "fill", *AT, "--from", "newest", "--identity", "operators.key")
    assert "Missing option '--droplet'." in said


def test_a_drill_is_not_shown_and_cleaned_up_at_once(command: Command) -> None:
    assert "give one of the two" in command.ended("drill", "production", "--show", "--clean")
