"""The program: what it lists, what it chooses, and what it says where something is missing."""

from pathlib import Path

import pytest

from lab.rehearsal import __main__ as program
from lab.rehearsal import scenarios
from lab.rehearsal.errors import CannotRehearseError, UnexpectedError, expect
from lab.rehearsal.requests import ASKED_BY
from lab.rehearsal.runner import Result, _run, chosen
from lab.rehearsal.scene import SCENARIOS, Scenario, Scene
from ops.terraform import BINARY_VARIABLE
from tests.support import ENVIRONMENTS

scenarios.load()
FILES = ("--environments", str(ENVIRONMENTS))


def test_it_lists_the_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == len(SCENARIOS)
    assert listed[0].startswith("add-tenant ")


def test_names_are_unique_and_lanes_stay_together() -> None:
    assert len({one.name for one in SCENARIOS}) == len(SCENARIOS)
    firsts = {one.lane: one for one in reversed(SCENARIOS)}
    for one in SCENARIOS:
        assert one.fresh <= firsts[one.lane].fresh, f"{one.name} would begin with what others left"


def test_a_scenario_is_run_after_those_of_its_lane_that_come_before_it() -> None:
    assert [one.name for one in chosen(["rename-tenant"])] == ["add-tenant", "remove-active", "rename-tenant"]
    assert [one.name for one in chosen(["certificate", "add-tenant"])] == ["add-tenant", "certificate"]
    assert chosen([]) == SCENARIOS


def test_a_scenario_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["ad-tenant"]) == 2
    assert capsys.readouterr().err == "there is no scenario ad-tenant: --list shows them\n"


def test_an_environment_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["add-tenant", "--environment", "stagin", *FILES]) == 2
    assert capsys.readouterr().err == "there is no environment stagin: production, staging\n"


def test_without_terraform_it_says_what_installs_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BINARY_VARIABLE, "no-such-terraform")
    assert program.main(["add-tenant", *FILES]) == 2
    said = capsys.readouterr().err
    assert said.startswith("no-such-terraform is not installed: `brew install opentofu`")


@pytest.mark.parametrize("arguments", [[], ["--base", "/nowhere"]])
def test_a_diff_needs_a_base(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["diff", *arguments]) == 2
    assert capsys.readouterr().err.startswith("--base has to name a checkout")


def wrong(_scene: Scene) -> None:
    expect(1 + 1 == 3, "one and one was to be three")


def mistaken(_scene: Scene) -> None:
    raise KeyError("not foreseen")


@pytest.mark.parametrize(
    ("run", "problem"), [(wrong, "one and one was to be three"), (mistaken, "not foreseen")]
)
def test_a_scenario_that_sees_something_else_fails_and_says_what(
    run: object, problem: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = Scenario("wrong", "something is wrong", "lane", run)  # type: ignore[arg-type]
    scene = Scene.__new__(Scene)
    scene.said = []
    result = _run(scenario, scene)
    assert problem in result.problem

    def rehearse(
        _scratch: Path, _environment: str, _wanted: object, tell: object, _files: Path
    ) -> list[Result]:
        tell(result)  # type: ignore[operator]
        return [result]

    monkeypatch.setattr(program, "rehearse", rehearse)
    monkeypatch.setattr(program, "chosen", lambda _: [])
    assert program.main([]) == 1
    said = capsys.readouterr().out
    assert f"FAILED: {result.problem.splitlines()[0]}" in said
    assert "failed: wrong" in said


def test_what_is_missing_is_no_scenarios_fault() -> None:
    def missing(_scene: Scene) -> None:
        raise CannotRehearseError("no provider")

    scene = Scene.__new__(Scene)
    scene.said = []
    with pytest.raises(CannotRehearseError):
        _run(Scenario("missing", "", "", missing), scene)


def test_expect_says_what_should_have_been() -> None:
    expect(True, "never said")
    with pytest.raises(UnexpectedError, match="it was not"):
        expect(False, "it was not")


def test_requests_are_counted_by_routes_that_there_are() -> None:
    from lab.local_digitalocean.app import ROUTES  # noqa: PLC0415  (loads moto)

    assert set(ASKED_BY) <= {route.template for route in ROUTES if route.method == "GET"}
