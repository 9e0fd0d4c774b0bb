"""The life of a church, one command each: the files, the lock, and what the operator is told."""

import json
import re
from pathlib import Path

import pytest
import yaml

from ops import edits, yaml_edit
from tests.model.workspace import STAGING, STAGING_TENANTS
from tests.ops.command.conftest import Command, commit

LOCK = "staging/tenants.lock"
GRACE = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"


def entries(command: Command, environment: str = "staging") -> list[dict[str, object]]:
    found: list[dict[str, object]] = yaml.safe_load(command.files.text(f"{environment}/tenants.yaml"))[
        "tenants"
    ]
    return found


def entry(command: Command, tenant_id: str = GRACE) -> dict[str, object]:
    return next(one for one in entries(command) if one["id"] == tenant_id)


def test_a_church_is_added_in_one_step(command: Command) -> None:
    before, lock = command.files.text(STAGING_TENANTS), command.files.text(LOCK)
    said = command("tenant", "add", "staging", "--name", "Saint Mary's", "--slug", "mary").out
    added = entries(command)[-1]
    assert (added["slug"], added["name"]) == ("mary", "Saint Mary's")
    assert command.files.text(STAGING_TENANTS) == (
        f"{before}  - id: {added['id']}\n    slug: mary\n    name: Saint Mary's\n"
    )
    assert set(command.files.text(LOCK).splitlines()) - set(lock.splitlines()) == {
        f"{added['id']} active staging shared=kept"
    }
    assert said.splitlines()[:3] == [
        "wrote environments/staging/tenants.yaml",
        "wrote environments/staging/tenants.lock",
        f"mary: Saint Mary's was added to staging with the id {added['id']}.",
    ]
    assert f"the database tenant_{added['id']}" in said
    assert "https://mary.staging.presence360.app is served" in said
    assert "There is room for 12 more tenants." in said
    command("tenant", "lock", "--check")


def test_an_id_may_be_given_and_a_cell(command: Command) -> None:
    cell = '{size: db-s-1vcpu-2gb, nodes: 1, version: "17", maintenance: {day: tuesday, hour: "04:00"}}'
    command.files.replace(STAGING, "  clusters:\n", f"  cells:\n    cell-2: {cell}\n  clusters:\n")
    tenant_id = "00000000-0000-4000-8000-0000000000aa"
    options = ("--name", "New Life", "--slug", "new", "--id", tenant_id, "--cell", "cell-2")
    command("tenant", "add", "staging", *options)
    assert entry(command, tenant_id)["cell"] == "cell-2"
    assert f"{tenant_id} active staging-cell-2 shared=kept" in command.files.text(LOCK)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("stagin", "--name", "A", "--slug", "a"),
            "there is no environment 'stagin'\n    Did you mean 'staging'?",
        ),
        (
            ("staging", "--name", "A", "--slug", "grace"),
            "environments/staging/tenants.yaml:14: tenants[3].slug: tenants[0] (Grace Chapel) already has the slug",
        ),
        (("staging", "--name", "A", "--slug", "api"), "'api' is reserved for the platform"),
        (("staging", "--name", "A", "--slug", "A b"), "tenants[3].slug: 'A b' is not allowed"),
        (("staging", "--name", "${path.module}", "--slug", "a"), "which Terraform would evaluate"),
        (("staging", "--name", "A", "--slug", "a", "--cell", "cell-2"), "there is no cell 'cell-2'"),
        (("staging", "--name", "A", "--slug", "a", "--id", "7"), "tenants[3].id: '7' is not allowed"),
        (("staging", "--name", "A", "--slug", "a", "--id", GRACE), "tenants[0] (grace) already has the id"),
    ],
)
def test_what_would_not_be_valid_is_never_written(
    command: Command, arguments: tuple[str, ...], told: str
) -> None:
    said = command.refused("tenant", "add", *arguments)
    assert told in said
    # Not the copy in which the edit was tried.
    assert said.startswith("environments")
    assert said.endswith("Nothing was changed.\n")


def test_a_church_is_renamed(command: Command) -> None:
    said = command("tenant", "rename", "staging", "grace", "--slug", "chapel").out
    assert entry(command)["slug"] == "chapel"
    assert "https://chapel.staging.presence360.app is served" in said
    assert "https://grace.staging.presence360.app is not any more" in said
    said = command("tenant", "rename", "staging", "chapel", "--name", "Grace: Chapel").out
    assert entry(command)["name"] == "Grace: Chapel"
    assert "At the deploy" not in said
    assert "chapel is called this already" in command.refused(
        "tenant", "rename", "staging", "chapel", "--slug", "chapel"
    )
    assert "give --slug, --name, or both" in command("tenant", "rename", "staging", "chapel", code=2).err


def test_a_church_is_suspended_and_resumed(command: Command) -> None:
    before = command.snapshot()
    said = command("tenant", "suspend", "staging", "grace").out
    assert entry(command)["status"] == "suspended"
    assert f"{GRACE} suspended staging shared=kept" in command.files.text(LOCK)
    assert "https://grace.staging.presence360.app answers 503" in said
    assert f"its database users are dropped: tenant_{GRACE}_g1." in said
    assert "is kept and stays protected" in said
    assert "presence360 tenant resume staging grace" in said
    refused = command.refused("tenant", "suspend", "staging", "grace")
    assert "environments/staging/tenants.yaml:7: tenants[0]: grace is suspended already" in refused
    command("tenant", "resume", "staging", "grace")
    assert command.snapshot() == before
    assert "grace is active already" in command.refused("tenant", "resume", "staging", GRACE)


def test_a_church_is_removed_in_two_edits(command: Command) -> None:
    refused = command.refused("tenant", "remove", "staging", "grace")
    assert refused.splitlines()[:2] == [
        "environments/staging/tenants.yaml:4: tenants[0]: grace is active; only a retired tenant can be removed",
        "    Run `presence360 tenant retire staging grace`, deploy that, and then "
        "`presence360 tenant remove staging grace`.",
    ]
    said = command("tenant", "retire", "staging", "grace").out
    assert f"{GRACE} retired staging shared=retired" in command.files.text(LOCK)
    assert "answers 410" in said
    assert "without protection: a later edit may drop it" in said
    assert "presence360 tenant remove staging grace" in said
    said = command("tenant", "remove", "staging", "grace").out
    assert GRACE not in command.files.text(STAGING_TENANTS) + command.files.text(LOCK)
    assert f"the database tenant_{GRACE} is DROPPED from the cluster shared" in said
    assert "The retirement has to be deployed before this." in said


def test_a_retirement_that_is_not_committed_cannot_be_deployed_yet(command: Command, tmp_path: Path) -> None:
    commit(tmp_path)
    command("tenant", "retire", "staging", "grace")
    refused = command.refused("tenant", "remove", "staging", "grace")
    assert "grace is retired here, and the last commit says it is active" in refused
    assert "Commit this and deploy it (presence360 apply staging)" in refused
    commit(tmp_path)
    command("tenant", "remove", "staging", "grace")


def test_the_last_church_leaves_an_empty_list(command: Command) -> None:
    command.files.write(
        STAGING_TENANTS, f"tenants:\n  - id: {GRACE}\n    slug: grace\n    name: G\n    status: retired\n"
    )
    command.files.write(LOCK, f"{GRACE} retired staging shared=retired\n")
    command("tenant", "remove", "staging", "grace")
    assert command.files.text(STAGING_TENANTS) == "tenants: []\n"
    command("tenant", "add", "staging", "--name", "G", "--slug", "grace")
    assert command.files.text(STAGING_TENANTS).startswith("tenants:\n  - id: ")


def test_a_comment_that_is_left_is_told(command: Command) -> None:
    command.files.replace(STAGING_TENANTS, "  - id: 7d1c", "  # Since May.\n  - id: 7d1c")
    command("tenant", "retire", "staging", "hope")
    said = command("tenant", "remove", "staging", "hope").out
    assert "The comment above the entry, on line 7, was left." in said
    assert command.files.text(STAGING_TENANTS).splitlines()[6] == "  # Since May."


def test_limits_are_set_and_given_back(command: Command) -> None:
    before = command.snapshot()
    options = ("--requests-per-second", "40", "--connections", "3")
    said = command("tenant", "limits", "staging", "grace", *options).out
    assert entry(command)["limits"] == {"requests_per_second": 40, "connections": 3}
    assert "grace: requests per second: 40" in said
    said = command("tenant", "limits", "staging", "grace", "--connections", "default").out
    assert entry(command)["limits"] == {"requests_per_second": 40}
    assert "grace: connections: 5, as in the environment" in said
    command("tenant", "limits", "staging", "grace", "--requests-per-second", "default")
    assert command.snapshot() == before
    again = command.refused("tenant", "limits", "staging", "grace", "--connections", "default")
    assert "these limits hold already" in again
    assert "limits.connections: 0 is out of range" in command.refused(
        "tenant", "limits", "staging", "grace", "--connections", "0"
    )
    assert (
        "'many' is neither a whole number nor `default`"
        in command("tenant", "limits", "staging", "grace", "--connections", "many", code=2).err
    )


def test_the_list(command: Command) -> None:
    command("tenant", "suspend", "staging", "hope")
    rows = json.loads(command("tenant", "list", "--json").out)
    assert [(row["environment"], row["slug"]) for row in rows][3:5] == [
        ("production", "zion"),
        ("staging", "grace"),
    ]
    (suspended,) = json.loads(command("tenant", "list", "--status", "suspended", "--json").out)
    assert suspended["slug"] == "hope"
    lines = command("tenant", "list", "staging").out.splitlines()
    assert lines[0].split() == [
        "environment",
        "slug",
        "name",
        "status",
        "cell",
        "tier",
        "generation",
        "restore",
    ]
    assert len({line.index("shared") for line in lines[1:]}) == 1


def test_one_church(command: Command) -> None:
    command("tenant", "rotate", "staging", "grace")
    shown = json.loads(command("tenant", "show", "staging", GRACE, "--json").out)
    assert shown["host"] == "grace.staging.presence360.app"
    assert shown["database"] == f"tenant_{GRACE}"
    assert shown["users"] == [f"tenant_{GRACE}_g1", f"tenant_{GRACE}_g2"]
    assert (shown["file"], shown["line"], shown["connections"]) == ("environments/staging/tenants.yaml", 4, 5)
    command("tenant", "suspend", "staging", "grace")
    assert re.search(r"^users +-$", command("tenant", "show", "staging", "grace").out, re.MULTILINE)


def test_an_entry_that_cannot_be_edited_alone_is_left_to_a_person(command: Command) -> None:
    command.files.replace(STAGING_TENANTS, "  - id: 7d1c", "  -\n    id: 7d1c")
    command("tenant", "retire", "staging", "hope")
    refused = command.refused("tenant", "remove", "staging", "hope")
    assert "tenants[1]: more than tenants[1] would change" in refused
    assert "Edit this value by hand, then run `presence360 tenant lock`." in refused


def test_carriage_returns_and_the_mode_stay(command: Command) -> None:
    file = command.files.root / STAGING_TENANTS
    command.files.write(STAGING_TENANTS, command.files.text(STAGING_TENANTS).replace("\n", "\r\n"))
    file.chmod(0o640)
    command("tenant", "suspend", "staging", "grace")
    written = file.read_bytes()
    assert b"    status: suspended\r\n" in written
    assert written.count(b"\n") == written.count(b"\r\n")
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_write_that_fails_leaves_the_old_file(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    before = command.snapshot()

    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("ops.edits.os.fsync", full)
    with edits.draft(command.files.root) as change:
        file = change.file("staging")
        change.edit(file, lambda text: yaml_edit.set_value(text, ("tenants", 0, "name"), "Other"))
        with pytest.raises(OSError, match="no space left"):
            change.write()
    assert command.snapshot() == before
