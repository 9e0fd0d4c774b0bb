"""The two edits of a rotation, in files as people write them."""

from datetime import date
from pathlib import Path

import pytest

from model.known_environments import format_environments
from model.loader import load_environments
from ops.edits import by_name
from ops.rotate import overdue, told
from tests.model.workspace import STAGING_TENANTS
from tests.ops.command.conftest import Command, commit

GRACE = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"
HOPE = "7d1c2b9a-5b1f-4e0c-8a6d-2c9be0f1a002"

# Everything that a rewriting library would move: comments at ends of lines, blank lines, quotes, both styles.
TENANTS = f"""\
# The churches of staging.
tenants:
  # The first one.
  - id: {GRACE}  # never change this
    slug: grace
    name: "Grace Chapel"   # quoted

  # Hope asks for more.
  - id: {HOPE}
    slug: hope
    limits: {{requests_per_second: 40}}   # since May
    name: 'Hope Assembly'
    credentials:
      # The first was seen in a log.
      generation: 4   # raised in June
      # Until the worker is through.
      keep:
        - 2
        - 3

  - {{id: b1e6f7d2-2c3d-4b5a-9e8f-7a6c5d4e3003, slug: river, name: River of Life Church}}
# the end
"""


def forget(command: Command) -> None:
    """Remove what was agreed on: the tenants of this test are not those of the files."""
    (command.files.root / "staging/tenants.lock").unlink()
    command.files.write("environments.lock", format_environments([], {}))


@pytest.fixture
def environments(command: Command) -> Path:
    command.files.write(STAGING_TENANTS, TENANTS)
    # As if these entries had been agreed on step by step.
    forget(command)
    command("tenant", "lock")
    return command.files.root


def changes(environments: Path) -> tuple[list[str], list[str]]:
    """Lines that went and lines that came."""
    before = TENANTS.splitlines()
    after = (environments / "staging/tenants.yaml").read_text(encoding="utf-8").splitlines()
    return [line for line in before if line not in after], [line for line in after if line not in before]


@pytest.mark.parametrize("wanted", ["grace", GRACE])
def test_a_rotation_adds_one_line(command: Command, environments: Path, wanted: str) -> None:
    said = command("tenant", "rotate", "staging", wanted).out
    assert changes(environments) == ([], ["    credentials: {generation: 2, keep: [1]}"])
    after = (environments / "staging/tenants.yaml").read_text(encoding="utf-8")
    assert '"Grace Chapel"   # quoted\n    credentials: {generation: 2, keep: [1]}\n\n  # Hope' in after
    assert "presence360 tenant rotate staging grace --finish" in said
    assert f"the database user tenant_{GRACE}_g2 is made and published" in said


def test_a_rotation_before_the_last_one_is_finished_says_so(command: Command, environments: Path) -> None:
    first = command("tenant", "rotate", "staging", "grace").out
    assert "grace: generation 2 of its credentials is in use, and generation 1 is kept.\n" in first
    assert "was not finished" not in first
    second = command("tenant", "rotate", "staging", "grace").out
    assert "grace: generation 3 of its credentials is in use, and generations 1 and 2 are kept.\n" in second
    assert (
        "An earlier rotation of grace was not finished: --finish drops the users of generations 1 and 2 at once.\n"
        in second
    )
    assert environments.exists()


def test_and_its_end_leaves_the_generation(command: Command, environments: Path) -> None:
    command("tenant", "rotate", "staging", "grace")
    said = command("tenant", "rotate", "staging", "grace", "--finish").out
    assert changes(environments) == ([], ["    credentials: {generation: 2}"])
    assert f"the database user tenant_{GRACE}_g1 will be dropped" in said
    tenant = next(
        one for one in by_name(load_environments(environments))["staging"].tenants if one.slug == "grace"
    )
    assert (tenant.credentials.generation, tenant.credentials.keep) == (2, ())


def test_credentials_in_block_style_keep_their_comments(command: Command, environments: Path) -> None:
    command("tenant", "rotate", "staging", "hope", "--finish")
    assert changes(environments) == (["      keep:", "        - 2", "        - 3"], [])
    command("tenant", "rotate", "staging", "hope")
    gone, came = changes(environments)
    assert gone == ["      generation: 4   # raised in June", "      keep:", "        - 2", "        - 3"]
    assert came == ["      generation: 5   # raised in June", "      keep: [4]"]


def test_a_second_rotation_adds_to_what_is_kept(command: Command, environments: Path) -> None:
    file = environments / "staging/tenants.yaml"
    file.write_text(TENANTS.replace("        - 2\n", "        # until Friday\n"), encoding="utf-8")
    command("tenant", "rotate", "staging", "hope")
    assert "        # until Friday\n        - 3\n        - 4\n" in file.read_text(encoding="utf-8")


def test_an_entry_on_one_line_stays_on_one_line(command: Command, environments: Path) -> None:
    command("tenant", "rotate", "staging", "river")
    _, (line,) = changes(environments)
    assert line.endswith("name: River of Life Church, credentials: {generation: 2, keep: [1]}}")


def test_the_last_line_may_lack_its_end(command: Command) -> None:
    forget(command)
    command.files.write(STAGING_TENANTS, f"tenants:\n- id: {GRACE}\n  name: Grace\n  slug: grace")
    command("tenant", "rotate", "staging", "grace")
    assert command.files.text(STAGING_TENANTS) == (
        f"tenants:\n- id: {GRACE}\n  name: Grace\n  slug: grace\n  credentials: {{generation: 2, keep: [1]}}\n"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("stagin", "grace"), "there is no environment 'stagin'\n    Did you mean 'staging'?"),
        (("staging", "grase"), "there is no tenant with the slug 'grase'\n    Did you mean 'grace'?"),
        (
            ("staging", GRACE.replace("a001", "a009")),
            f"there is no tenant with the id '{GRACE.replace('a001', 'a009')}'\n    Did you mean '{GRACE}'?",
        ),
        (
            ("staging", "grace", "--finish"),
            "environments/staging/tenants.yaml:4: tenants[0]: grace keeps no earlier generation of credentials\n"
            "    Begin a rotation first: presence360 tenant rotate staging grace",
        ),
        (
            ("staging", "hope"),
            "environments/staging/tenants.yaml:15: tenants[1]: "
            "hope keeps 2 earlier generations of credentials already\n"
            "    Finish that rotation first: presence360 tenant rotate staging hope --finish",
        ),
    ],
)
@pytest.mark.usefixtures("environments")
def test_what_cannot_be_done_is_refused(command: Command, arguments: tuple[str, ...], told: str) -> None:
    said = command.refused("tenant", "rotate", *arguments)
    assert told in said
    assert said.endswith("Nothing was changed.\n")


@pytest.mark.usefixtures("environments")
def test_a_file_that_is_not_valid_is_not_edited(command: Command) -> None:
    command.files.replace(STAGING_TENANTS, "slug: grace", "slug: Grace")
    said = command.refused("tenant", "rotate", "staging", "hope", "--finish")
    assert "tenants[0].slug: 'Grace' is not allowed" in said


def test_credentials_that_are_older_than_a_year_are_told(command: Command, tmp_path: Path) -> None:
    def old(today: date) -> tuple[str, ...] | None:
        return overdue(command.files.root, by_name(load_environments(command.files.root))["staging"], today)

    commit(tmp_path, date="2025-03-01T12:00:00Z")
    command("tenant", "rotate", "staging", "grace")
    command("tenant", "add", "staging", "--name", "New Life", "--slug", "new")
    commit(tmp_path, date="2025-06-01T12:00:00Z")
    command("tenant", "retire", "staging", "river")
    # An edit that touches the file and no credentials makes none of them younger.
    command("tenant", "rename", "staging", "hope", "--name", "Hope")
    commit(tmp_path, date="2026-02-01T12:00:00Z")
    assert old(date(2026, 2, 28)) == ()
    assert old(date(2026, 3, 1)) == ("hope",)
    assert old(date(2026, 6, 1)) == ("grace", "hope", "new")


def test_and_the_list_says_so(command: Command, tmp_path: Path) -> None:
    commit(tmp_path, date="2020-01-01T00:00:00Z")
    answer = command("tenant", "list", "production")
    assert answer.err == (
        "warning: The database credentials of grace, hope, covenant and zion are more than a year old. "
        "Rotate them: presence360 tenant rotate production grace\n"
    )
    assert '"credentials_older_than_a_year": true' in command("tenant", "list", "production", "--json").out


def test_where_git_does_not_know_nobody_guesses(command: Command) -> None:
    assert overdue(command.files.root, by_name(load_environments(command.files.root))["staging"]) is None
    assert '"credentials_older_than_a_year": null' in command("tenant", "list", "--json").out


def test_many_are_counted() -> None:
    assert told(tuple("abcdefg"), "staging").startswith(
        "The database credentials of a, b, c, d, e and 2 more are"
    )
