"""The two edits of a rotation, in files as people write them."""

import shutil
from pathlib import Path

import pytest

from model.loader import load_environments
from ops import rotate
from tests.support import ENVIRONMENTS

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


@pytest.fixture
def environments(tmp_path: Path) -> Path:
    folder = tmp_path / "environments"
    shutil.copytree(ENVIRONMENTS, folder, ignore=shutil.ignore_patterns("*.lock"))
    (folder / "staging/tenants.yaml").write_text(TENANTS, encoding="utf-8")
    return folder


def run(environments: Path, *arguments: str) -> int:
    return rotate.main([*arguments, "--environments", str(environments)])


def changes(environments: Path) -> tuple[list[str], list[str]]:
    """Lines that went and lines that came."""
    before = TENANTS.splitlines()
    after = (environments / "staging/tenants.yaml").read_text(encoding="utf-8").splitlines()
    return [line for line in before if line not in after], [line for line in after if line not in before]


@pytest.mark.parametrize("wanted", ["grace", GRACE])
def test_a_rotation_adds_one_line(
    environments: Path, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(environments, "staging", wanted) == 0
    assert changes(environments) == ([], ["    credentials: {generation: 2, keep: [1]}"])
    after = (environments / "staging/tenants.yaml").read_text(encoding="utf-8")
    assert '"Grace Chapel"   # quoted\n    credentials: {generation: 2, keep: [1]}\n\n  # Hope' in after
    assert "python -m ops.rotate staging grace --finish" in capsys.readouterr().out


def test_and_its_end_leaves_the_generation(environments: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(environments, "staging", "grace") == 0
    assert run(environments, "staging", "grace", "--finish") == 0
    assert changes(environments) == ([], ["    credentials: {generation: 2}"])
    assert "Deploying this drops _g1" in capsys.readouterr().out
    tenant = next(tenant for tenant in load_environments(environments)[1].tenants if tenant.slug == "grace")
    assert (tenant.credentials.generation, tenant.credentials.keep) == (2, ())


def test_credentials_in_block_style_keep_their_comments(environments: Path) -> None:
    assert run(environments, "staging", "hope", "--finish") == 0
    assert changes(environments) == (["      keep:", "        - 2", "        - 3"], [])
    assert run(environments, "staging", "hope") == 0
    gone, came = changes(environments)
    assert gone == ["      generation: 4   # raised in June", "      keep:", "        - 2", "        - 3"]
    assert came == ["      generation: 5   # raised in June", "      keep: [4]"]


def test_an_entry_on_one_line_stays_on_one_line(environments: Path) -> None:
    assert run(environments, "staging", "river") == 0
    _, (line,) = changes(environments)
    assert line.endswith("name: River of Life Church, credentials: {generation: 2, keep: [1]}}")


def test_the_last_line_may_lack_its_end(environments: Path) -> None:
    file = environments / "staging/tenants.yaml"
    file.write_text(f"tenants:\n- id: {GRACE}\n  name: Grace\n  slug: grace", encoding="utf-8")
    assert run(environments, "staging", "grace") == 0
    assert file.read_text(encoding="utf-8") == (
        f"tenants:\n- id: {GRACE}\n  name: Grace\n  slug: grace\n  credentials: {{generation: 2, keep: [1]}}\n"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("stagin", "grace"), "there is no environment 'stagin'\n    Did you mean 'staging'?"),
        (
            ("staging", "grase"),
            "there is no tenant with the slug 'grase' in staging\n    Did you mean 'grace'?",
        ),
        (
            ("staging", GRACE.replace("a001", "a009")),
            f"there is no tenant with the id '{GRACE.replace('a001', 'a009')}' in staging\n    Did you mean '{GRACE}'?",
        ),
        (
            ("staging", "grace", "--finish"),
            "grace keeps no earlier generation\n    There is nothing to finish.",
        ),
        (
            ("staging", "hope"),
            "hope keeps 2 earlier generations already\n    Finish that rotation first: --finish.",
        ),
    ],
)
def test_what_cannot_be_is_told_and_changes_nothing(
    environments: Path, arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(environments, *arguments) == 2
    assert told in capsys.readouterr().err
    assert (environments / "staging/tenants.yaml").read_text(encoding="utf-8") == TENANTS


def test_a_file_that_is_not_valid_is_not_edited(
    environments: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = environments / "staging/tenants.yaml"
    file.write_text(TENANTS.replace("slug: grace", "slug: Grace"), encoding="utf-8")
    assert run(environments, "staging", "hope", "--finish") == 2
    assert "tenants[0].slug: 'Grace' is not allowed" in capsys.readouterr().err
    assert "slug: Grace" in file.read_text(encoding="utf-8")
