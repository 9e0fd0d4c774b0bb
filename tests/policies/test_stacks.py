"""Every synthesized stack keeps every policy, ours and checkov's own for DigitalOcean."""

import json
import shutil
from pathlib import Path

import pytest

from policies.__main__ import Report, find_checkov, scan

pytestmark = pytest.mark.slow

# (check, stack, resource) -> why it does not apply there. Empty, and meant to stay so.
EXCEPTIONS: dict[tuple[str, str, str], str] = {}


@pytest.fixture(scope="module")
def stacks(synthesized: Path, lives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed environments, and one with a tenant in every state and a further cell."""
    folder = tmp_path_factory.mktemp("stacks")
    shutil.copytree(synthesized / "stacks", folder / "committed")
    shutil.copytree(lives / "stacks", folder / "lives")
    return folder


@pytest.fixture(scope="module")
def report(stacks: Path) -> Report:
    checkov = find_checkov()
    if checkov is None:
        pytest.skip("checkov is not here: set CHECKOV to the program, or install it in .venv-checkov")
    return scan(stacks, checkov)


def test_no_check_fails(report: Report) -> None:
    failed = {(found.check, Path(found.file).parent.name, found.resource): found for found in report.failed}
    assert [str(found) for key, found in failed.items() if key not in EXCEPTIONS] == []
    assert set(EXCEPTIONS) <= set(failed), "an exception that is not needed any more"


def test_no_check_is_skipped(report: Report) -> None:
    assert [str(found) for found in report.skipped] == []


def test_every_stack_was_read(report: Report, stacks: Path) -> None:
    """A scan of nothing has no failures either."""
    files = {file.relative_to(stacks).as_posix() for file in stacks.rglob("cdk.tf.json")}
    assert len(files) == 6
    assert {found.file for found in report.passed} == files


def test_every_droplet_load_balancer_and_cluster_was_judged(report: Report, stacks: Path) -> None:
    """Names are enough: checkov calls a resource `resource.<name>`, whatever its type."""
    judged = {(found.file, found.resource.removeprefix("resource.")) for found in report.passed}
    types = ("digitalocean_droplet", "digitalocean_loadbalancer", "digitalocean_database_cluster")
    for file in stacks.rglob("cdk.tf.json"):
        resources = json.loads(file.read_text("utf-8")).get("resource", {})
        names = {name for kind in types for name in resources.get(kind, {})}
        assert {(file.relative_to(stacks).as_posix(), name) for name in names} <= judged
