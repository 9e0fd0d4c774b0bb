"""The checks before an apply, as the steps call them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.local_digitalocean.server import Server
from model import addresses
from model.naming import BOOTSTRAP_STACK
from ops.change import Change
from ops.ci import before
from ops.ci.errors import StepError
from ops.ci.plans import unchecked
from ops.plan_json import Plan
from ops.preflight.finding import Checked
from tests.support import ENVIRONMENTS


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    server = Server(tmp_path / "cloud", token="the-token").start()
    folder = tmp_path / "stacks" / "staging"
    folder.mkdir(parents=True)
    (folder / "cdk.tf.json").write_text('{"terraform": {"backend": {"local": {}}}}', encoding="utf-8")
    monkeypatch.setattr(before, "ENVIRONMENTS", ENVIRONMENTS)
    monkeypatch.setattr(before, "OUTDIR", tmp_path)
    yield server.environment()
    server.stop()
    server.spaces.forget()


def test_a_token_that_is_not_known_ends_a_step_with_one_line(environ: dict[str, str]) -> None:
    before.credentials(environ, ["staging"])
    with pytest.raises(
        StepError, match=r"^DIGITALOCEAN_TOKEN: DigitalOcean does not know this token"
    ) as raised:
        before.credentials({**environ, "DIGITALOCEAN_TOKEN": "another"}, ["staging"])
    assert "\n" not in str(raised.value)


def test_a_plan_is_checked_with_its_environments_limits(environ: dict[str, str]) -> None:
    vpc = addresses.VPC
    made = Change("staging", str(vpc), vpc.kind, vpc.name, None, ("create",), {}, {"region": "fra1"})
    (problem,) = before.of_plan(environ, ["staging"])(Plan("staging", "staging", (made,))).problems
    assert "the region fra1 has no VPC" in problem


def test_what_belongs_to_no_environment_is_not_checked() -> None:
    assert before.of_plan({}, [BOOTSTRAP_STACK]) is unchecked
    before.credentials({}, [BOOTSTRAP_STACK])
    assert before.files({}, [BOOTSTRAP_STACK]) == Checked()


def test_a_cell_belongs_to_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before, "ENVIRONMENTS", ENVIRONMENTS)
    found = before.environment_of("staging-cell-2")
    assert found is not None
    assert found.file.environment == "staging"
