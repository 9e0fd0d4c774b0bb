"""Groups that are replaced one after another: which plans are made for that, and what stops them."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from model import addresses
from model.addresses import Address
from ops import waves
from ops.plan_json import Plan, parse_plan

STATE = {"lineage": "a-lineage", "serial": 7}


def resource(
    at: Address, *actions: str, before: Any = None, after: Any = None, **more: Any
) -> dict[str, Any]:
    change = {"actions": actions, "before": before, "after": after, "after_unknown": more.pop("unknown", {})}
    return {"address": str(at), "mode": "managed", "type": at.kind, "name": at.name, "change": change, **more}


def document(*changes: dict[str, Any], complete: bool = True) -> str:
    return json.dumps(
        {
            "format_version": "1.2",
            "errored": False,
            "complete": complete,
            "planned_values": {"root_module": {}},
            "configuration": {},
            "resource_changes": changes,
            "variables": {"staging_key": {"value": "hunter2"}, "unset": {}},
        }
    )


def replaced(group: str, number: int, name: str = "new") -> dict[str, Any]:
    return resource(
        addresses.droplet(group, number),
        "create",
        "delete",
        before={"name": "old"},
        after={"name": name},
        unknown={"id": True},
    )


def other(value: str = "second") -> dict[str, Any]:
    return resource(addresses.config_object("app", "settings.env"), "update", before={"etag": "first"},
                    after={"etag": value})  # fmt: skip


def plan(*changes: dict[str, Any]) -> Plan:
    return parse_plan(document(*changes), "staging")


WHOLE = (replaced("app", 1), replaced("app", 2), replaced("worker", 1), other())


def test_each_group_whose_droplets_are_replaced_is_a_wave_with_the_wait_for_each() -> None:
    created = resource(addresses.droplet("batch", 1), "create", after={})
    updated = resource(addresses.droplet("cron", 1), "update", before={}, after={"size": "x"})
    app, worker = waves.waves(plan(*WHOLE, created, updated))
    assert (app.group, app.droplets, worker.group, worker.droplets) == ("app", 2, "worker", 1)
    assert app.options == [
        f"-target={one}"
        for one in (
            addresses.droplet("app", 1),
            addresses.serving("app", 1),
            addresses.droplet("app", 2),
            addresses.serving("app", 2),
        )
    ]


def test_the_first_wave_takes_pending_moves_along_because_terraform_refuses_to_leave_one_out() -> None:
    moved = resource(addresses.DOMAIN, "no-op", before={}, after={}, previous_address="digitalocean_domain.x")
    first, second = waves.waves(plan(*WHOLE, moved))
    assert str(addresses.DOMAIN) in first.targets
    assert str(addresses.DOMAIN) not in second.targets


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ((other(),), ""),
        ((replaced("worker", 1),), "staging: the droplets of group worker (1) are replaced, with 1 droplet more than "
                                   "now at a time"),
        (WHOLE, "staging: the droplets of 2 groups are replaced, one group after another, with at most 2 droplets more "
                "than now at a time: app (2), worker (1)"),
    ],
)  # fmt: skip
def test_a_plan_says_how_its_groups_are_replaced(changes: Sequence[dict[str, Any]], said: str) -> None:
    assert waves.told("staging", waves.waves(plan(*changes))) == said


class Fake:
    """A Terraform whose plans are given, in their order."""

    def __init__(self, file: Path, shown: Sequence[str], state: dict[str, Any] | None = None) -> None:
        self.reviewed, *self.later = shown
        self.file, self.now = file, json.dumps(STATE if state is None else state)
        self.planned: list[list[str]] = []
        self.applied = 0
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("tfstate", json.dumps(STATE))

    def plan(self, file: Path, *options: str) -> None:
        (given,) = [one.removeprefix("-var-file=") for one in options if one.startswith("-var-file=")]
        assert Path(given).stat().st_mode & 0o077 == 0, "it holds the services' secrets"
        assert json.loads(Path(given).read_text(encoding="utf-8")) == {"staging_key": "hunter2"}
        self.planned.append([one for one in options if one.startswith("-target=")])
        file.touch()

    def show(self, file: Path) -> str:
        return self.reviewed if file == self.file else self.later[len(self.planned) - 1]

    def apply(self, _file: Path) -> None:
        self.applied += 1

    def state(self) -> str:
        return self.now


FIRST = document(replaced("app", 1), replaced("app", 2), complete=False)
REST = document(replaced("worker", 1), other())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "plan.tfplan"


def test_one_group_after_another_and_everything_else_with_the_last(file: Path, tmp_path: Path) -> None:
    fake = Fake(file, (document(*WHOLE), FIRST, REST))
    said: list[str] = []
    waves.apply(fake, "staging", file, said.append)
    assert (len(fake.planned[0]), fake.planned[1], fake.applied) == (4, [], 2)
    assert said == ["staging: group app, 1 of 2", "staging: group worker, 2 of 2, and all the rest"]
    # Neither the variables nor a plan is left behind.
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("later", "applied", "said"),
    [
        ((document(replaced("app", 1), replaced("app", 2, "unseen"), complete=False), REST), 0,
         "name would become something else than was reviewed"),
        ((document(replaced("app", 1), replaced("batch", 1), complete=False), REST), 0,
         "create/delete, and nothing was reviewed"),
        ((FIRST, document(replaced("worker", 1), other("third"))), 1, "etag would become something else"),
        ((FIRST, document(resource(addresses.DOMAIN, "delete", before={"name": "x"}))), 1,
         "delete, and nothing was reviewed"),
    ],
)  # fmt: skip
def test_what_nobody_reviewed_stops_it(file: Path, later: Sequence[str], applied: int, said: str) -> None:
    fake = Fake(file, (document(*WHOLE), *later))
    with pytest.raises(waves.UnreviewedError, match=said) as raised:
        waves.apply(fake, "staging", file, lambda _: None)
    assert fake.applied == applied
    assert ("Replaced until now: app" if applied else "Nothing was applied") in str(raised.value)


def test_a_state_that_has_changed_since_makes_the_plan_stale(file: Path) -> None:
    fake = Fake(file, (document(*WHOLE), FIRST, REST), state={**STATE, "serial": 8})
    with pytest.raises(waves.StaleError, match="the state has changed since it was made"):
        waves.apply(fake, "staging", file, lambda _: None)
    assert (fake.planned, fake.applied) == ([], 0)


def test_a_plan_file_that_does_not_name_its_state_is_refused(file: Path) -> None:
    fake = Fake(file, (document(*WHOLE), FIRST, REST))
    file.write_text("no archive", encoding="utf-8")
    with pytest.raises(waves.StaleError, match="Plan again with the Terraform that applies"):
        waves.apply(fake, "staging", file, lambda _: None)
    assert fake.applied == 0
