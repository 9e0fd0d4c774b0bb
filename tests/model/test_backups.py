"""`backups:` of environment.yaml: what cannot work is refused, with the exact words."""

from pathlib import Path

import pytest

from droplet.backup.wanted import read_wanted
from model.backups import BackupsPlan, plan_backups, valid_recipient
from model.capacity import uses
from model.naming import Names
from model.secret_values import HIDDEN, PRIVATE_HALF
from tests.model.workspace import Workspace

STAGING = "staging/environment.yaml"
# Of `age-keygen`; nobody has the private halves.
FIRST = "age1r6snvn3qerd4vhl5mu0rx4ruhnpdmxfau9c4g74navgu9stsqy5qldag7d"
SECOND = "age1t9rswzdkp68apngukcya0842sar4q0hg0kuft7r4ff7w72zx6p5qy7xup3"
SECTION = f"""
backups:
  copy_region: ams3
  recipients:
    operators: {FIRST}
    drill: {SECOND}

limits:
"""

# The form of a private key of age, and nobody's.
PRIVATE = f"AGE-SECRET-KEY-1{'GFPYYSJZ' * 7}QQ"


@pytest.fixture
def backed_up(staging: Workspace) -> Workspace:
    staging.replace(STAGING, "\nlimits:\n", SECTION)
    return staging


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "copy_region: ams3",
            "copy_region: fra1",
            "backups.copy_region: 'fra1' is the environment's own region: what destroys the one destroys the other\n"
            "    Choose another region for the copy.",
        ),
        (
            f"drill: {SECOND}",
            f"drill: {SECOND[:-1]}q",
            "backups.recipients.drill: this key has a mistyped character: nobody could read what is encrypted for it\n"
            "    Copy the line `# public key: age1...` that `age-keygen` writes, without its beginning.",
        ),
        (
            f"drill: {SECOND}",
            f"drill: {FIRST}",
            "backups.recipients.drill: this is the key of 'operators' as well, so one lost key would lose every dump\n"
            "    Make a key of its own with `age-keygen`, and write its public half.",
        ),
        (
            f"    drill: {SECOND}\n",
            "",
            (
                "backups.recipients: there is one recipient: with its key every dump would be lost\n"
                "    Add a second one, such as `drill`, with a key of its own (`age-keygen`)."
            ),
        ),
        (
            "copy_region: ams3",
            "copy_region: ams3\n  drill: {hours: 3}",
            "backups.drill.hours: a drill of 3 hours may take 385 minutes with its fork, and CI ends it after 330: "
            "nobody would hear what it found\n"
            "    Write 2 or less; what is left is first in the next drill.",
        ),
        (
            f"drill: {SECOND}",
            "drill: age1...",
            "backups.recipients.drill: 'age1...' is not allowed\n"
            "    Copy the line `# public key: age1...` that `age-keygen` writes, without its beginning.",
        ),
        ("copy_region: ams3", "copy_region: ams3\n  parallel: 9", "backups.parallel: 9 is out of range"),
        ("copy_region: ams3", "copy_region: ams3\n  keep: {days: 1}", "backups.keep.days: 1 is out of range"),
        ("copy_region: ams3", 'copy_region: ams3\n  hour: "25:00"', "backups.hour: '25:00' is not allowed"),
    ],
)
def test_what_cannot_work_is_refused(backed_up: Workspace, old: str, new: str, words: str) -> None:
    backed_up.replace(STAGING, old, new)
    assert words in backed_up.error()


def test_the_checksum_of_a_key_finds_every_single_mistake() -> None:
    assert valid_recipient(FIRST)
    assert valid_recipient(SECOND)
    for at in range(4, len(FIRST)):
        for letter in "qpz":
            changed = FIRST[:at] + letter + FIRST[at + 1 :]
            assert valid_recipient(changed) == (changed == FIRST)


def plan(workspace: Workspace) -> BackupsPlan:
    (environment,) = (one for one in workspace.load() if one.file.environment == "staging")
    found = plan_backups(environment.file, Names("staging"))
    assert found
    return found


def test_what_is_kept_for_how_long(backed_up: Workspace) -> None:
    found = plan(backed_up)
    assert (found.keep_days, dict(found.copy_days)) == (14, {"days": 14, "weeks": 56, "months": 372})
    assert found.longest_days == 379
    backed_up.replace(
        STAGING, "copy_region: ams3", "copy_region: ams3\n  keep: {days: 30, weeks: 0, months: 0}"
    )
    found = plan(backed_up)
    assert (found.keep_days, dict(found.copy_days), found.longest_days) == (30, {"days": 30}, 37)


def test_dumps_have_room_among_the_connections(staging: Workspace) -> None:
    def taken() -> dict[str, int]:
        (environment,) = (one for one in staging.load() if one.file.environment == "staging")
        return {
            one.what: one.used
            for one in uses(environment.file, environment.tenants)
            if "connections" in one.what
        }

    before = taken()
    staging.replace(STAGING, "\nlimits:\n", SECTION)
    (what,) = [name for name, used in taken().items() if used != before[name]]
    assert taken()[what] - before[what] == 7


def test_a_droplet_refuses_what_it_cannot_encrypt_for(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"backups\.json is not what Terraform writes \(FileNotFoundError\)"):
        read_wanted(tmp_path)
    good = (
        '{"bucket": "b", "endpoint": "e", "access_key": "a", "secret_key": "s", "hour": "01:00", "parallel": 2, '
        '"rate_mib": 1, "recipients": ["%s"]}'
    )
    for recipients, words in (
        (FIRST, "names no two recipients"),
        (f'{FIRST}", "x', "names no two recipients"),
    ):
        (tmp_path / "backups.json").write_text(good % recipients, encoding="utf-8")
        with pytest.raises(Exception, match=words):
            read_wanted(tmp_path)


@pytest.mark.parametrize("key", [PRIVATE, PRIVATE.lower(), PRIVATE[:40], "AGE-SECRET-KEY-PQ-1QQQ"])
def test_a_private_key_is_in_no_message(backed_up: Workspace, key: str) -> None:
    backed_up.replace(STAGING, f"drill: {SECOND}", f"drill: {key}")
    told = backed_up.error()
    assert key[:20] not in told
    assert (
        "backups.recipients.drill: the value contains a password or a key, and this file is in git\n"
        f"    {PRIVATE_HALF}" in told
    )


def test_what_is_not_the_beginning_of_a_public_key_is_not_repeated(backed_up: Workspace) -> None:
    """The secret of a Spaces key, for example, has no form that it can be told by."""
    backed_up.replace(STAGING, f"drill: {SECOND}", "drill: Zo9/qpTnx+ab")
    told = backed_up.error()
    assert "qpTn" not in told
    assert f"backups.recipients.drill: {HIDDEN} is not allowed\n    Copy the line" in told
