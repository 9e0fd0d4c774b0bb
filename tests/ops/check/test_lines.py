"""Each line of the check is green where all is well, and turns red when it is broken."""

import pytest

from lab.checked.breaks import BREAKS, Break, broken
from lab.checked.estate import Estate
from ops.check.checks import CHECKS
from ops.check.finding import Colour

HERE = [one for one in BREAKS if one.line != "state"]
"""The state is read, and broken, in the rehearsal, which has one (lab/rehearsal/scenarios/check.py)."""


def test_all_is_well(estate: Estate) -> None:
    lines = estate.check()
    wrong = {
        name: [(one.colour.word, one.text) for one in line.told]
        for name, line in lines.items()
        if line.colour
    }
    assert wrong == {"state": [("yellow", "not seen: the state of staging: it is not synthesized here")]}


@pytest.mark.parametrize("one", HERE, ids=lambda one: f"{one.line}: {one.title}")
def test_a_line_that_is_broken_turns_red(estate: Estate, one: Break) -> None:
    with broken(estate, one):
        line = estate.check(one.line)[one.line]
        assert line.colour is one.colour, line.findings
        assert all(found.todo for found in line.told)
    assert estate.colour(one.line) is Colour.GREEN


def test_each_line_is_broken_once() -> None:
    assert {one.line for one in BREAKS} == {one.name for one in CHECKS}
