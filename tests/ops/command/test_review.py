"""`presence360 reach`, `parity`, `cost`: what they print, and what they refuse."""

import json
from pathlib import Path

import pytest

from ops.command import review
from ops.reach import draw
from ops.reach.check import Verdict
from tests.model.workspace import Workspace
from tests.ops.command.conftest import Command


def test_reach_lists_paths(command: Command) -> None:
    said = command("reach", "staging").out.splitlines()
    assert said[0] == "staging: 24 paths"
    assert said[1].split() == ["from", "to", "port", "rule", "for"]
    assert any(line.startswith("the internet") and "80/tcp, 443/tcp" in line for line in said)
    both = json.loads(command("reach", "--json").out)
    assert {name: len(found) for name, found in both.items()} == {"production": 46, "staging": 24}
    assert both["staging"][0] == {
        "from": "198.51.100.7/32",
        "to": "droplets of app",
        "protocol": "tcp",
        "ports": "22",
        "rule": "cloud firewall staging-app, inbound",
        "why": "administrators' SSH",
    }


def test_reach_draws(command: Command) -> None:
    assert command("reach", "staging", "--mermaid").out.startswith("flowchart LR\n")
    if not draw.PACKAGE.exists():
        pytest.skip("Graphviz's package is not here: run `make setup`")
    file = command.files.root.parent / "staging.svg"
    command("reach", "staging", "--svg", str(file))
    assert "</svg>" in file.read_text(encoding="utf-8")


def test_what_reach_cannot_do(command: Command) -> None:
    assert "name one environment" in command.refused("reach", "--mermaid")
    there = command.files.root.parent / "staging.json"
    there.write_text("[]", encoding="utf-8")
    said = command.refused("reach", "staging", "--plan", str(there), "--plan", "gone.json")
    assert f"{there}: this is not a plan in JSON" in said
    assert "gone.json: cannot be read: No such file or directory" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("--check", "--mermaid"),
            "--check and --mermaid are answers of their own: call reach once for each",
        ),
        (("--check", "--svg", "x.svg", "--json"), "--check and --svg are answers of their own"),
        (("--plan", "x.json", "--svg", "x.svg"), "--plan and --svg are answers of their own"),
        (("--mermaid", "--svg", "x.svg"), "--mermaid and --svg are answers of their own"),
        (("--mermaid", "--json"), "--mermaid is a drawing, and no JSON"),
        (("--svg", "x.svg", "--json"), "--svg is a drawing, and no JSON"),
    ],
)
def test_one_call_of_reach_has_one_answer(command: Command, arguments: tuple[str, ...], told: str) -> None:
    assert told in command.refused("reach", "staging", *arguments)


@pytest.mark.parametrize("opened", [(), ("the internet -> everything",)])
def test_a_verdict_is_json_for_programs(
    command: Command, monkeypatch: pytest.MonkeyPatch, opened: tuple[str, ...]
) -> None:
    verdict = Verdict("staging", opened, (), (), 24)
    monkeypatch.setattr(review, "synthesized", lambda _: {})
    monkeypatch.setattr(review, "check", lambda *_: verdict)
    answer = command("reach", "staging", "--check", "--json", code=1 if opened else 0)
    assert json.loads(answer.out) == {
        "staging": {
            "proved": not opened,
            "paths": 24,
            "opened": list(opened),
            "missing": [],
            "unreadable": [],
        }
    }


def test_where_nothing_can_be_written_is_told_before_the_work(command: Command, tmp_path: Path) -> None:
    there = tmp_path / "file"
    there.write_text("x", encoding="utf-8")
    for arguments in (
        ("reach", "staging", "--svg"),
        ("guard", "plan.json", "--markdown"),
    ):
        said = command.refused(*arguments, str(tmp_path))
        assert f"{tmp_path}: this is a folder. Name a file in it." in said
        said = command.refused(*arguments, str(tmp_path / "gone" / "x"))
        assert f"there is no folder {tmp_path / 'gone'}. Make it, or name another file." in said
    for wrong, told in ((there, "this is no folder"), (Path("/proc/x/y"), "No such file or directory")):
        assert f"{wrong}: {told}" in command.refused("local", "staging", "--outdir", str(wrong))


def test_a_drawing_that_cannot_be_written_after_all_is_told(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "svg", lambda _: "<svg/>")
    said = command("reach", "staging", "--svg", "/proc/x", code=1)
    assert "/proc/x: not written: " in said.out + said.err


@pytest.mark.parametrize(
    "edit",
    [
        ("maintenance", "staging", "on"),
        ("tenant", "list"),
        ("cost",),
        ("env", "list"),
    ],
)
def test_a_folder_of_files_that_is_not_there_is_told(command: Command, edit: tuple[str, ...]) -> None:
    gone = Command(Workspace(command.files.root / "gone"))
    assert "Make a folder with environment.yaml and tenants.yaml" in gone.refused(*edit)


def test_cost(command: Command) -> None:
    said = command("cost", "staging").out
    assert "together" in said
    assert "$42.00 + unknown" in said
    assert "Once for the whole account, and for use:" in said
    (found,) = json.loads(command("cost", "staging", "--json").out)
    assert found["environment"] == "staging"


def test_cost_asks_with_a_token(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.ci.settings.load", lambda _root: {})
    assert "--ask needs a token of DigitalOcean: set DIGITALOCEAN_TOKEN" in command.refused("cost", "--ask")


def test_parity_refuses_before_it_synthesizes(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "synthesized", lambda _: pytest.fail("it synthesized"))
    assert "staging is compared with itself: name two environments" in command.refused(
        "parity", "staging", "staging"
    )
    assert "/nope.json: cannot be read" in command.refused("parity", "--plan", "/nope.json")


def test_parity_names_an_environment_that_is_not_there(command: Command) -> None:
    assert "there is no environment" in command.refused("parity", "staging", "productio")
