"""Faults that once were green, or red for the wrong reason; each line says what it sees, and what it does not."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lab.checked.breaking import edited
from lab.checked.estate import Estate
from model.alert_receipt import RECEIPT
from model.backup_status import DumpName
from model.environment import Autoscale
from model.migration_status import SUMMARY_KEY
from model.naming import CONTROL_PLANE_DATABASE
from ops.backups import Backups
from ops.bucket import Bucket
from ops.check.checks import CHECKS, Check
from ops.check.finding import Colour, good, not_seen
from ops.check.look import Look
from ops.check.repository import Scan, scan
from ops.check.run import Line, run
from ops.check.world import World
from ops.errors import OperationError
from ops.name_servers import CannotAskError
from ops.waiting import SYSTEM_CLOCK
from tests.ops.command.conftest import commit


def looked(estate: Estate, line: str, world: World | None = None) -> Line:
    look = Look(
        estate.environment, estate.environ, world or estate._world(), root=estate.root, outdir=estate.outdir
    )
    (found,) = run(look, [one for one in CHECKS if one.name == line])
    return found


@pytest.mark.parametrize(("minutes", "colour"), [(5, Colour.YELLOW), (15, Colour.RED)])
def test_migrations_of_another_release(
    estate: Estate, minutes: int, colour: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    (control,) = [group for group in estate.plan.groups if group.isolation]
    at = SYSTEM_CLOCK.time() - timedelta(minutes=minutes)
    monkeypatch.setattr(Bucket, "written", lambda *_: [at - timedelta(days=1), at])
    undo = edited(
        estate,
        control.config.status_bucket,
        SUMMARY_KEY,
        lambda said: said.update(images={"tenant-api": "old:1"}),
    )
    line = looked(estate, "migrations")
    undo()
    assert line.colour is colour, line.told
    assert "speaks of other images than those deployed: " in line.told[0].text
    assert "tenant-api" in line.told[0].text


def test_migrations_that_were_never_deployed(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Look.read
    monkeypatch.setattr(
        Look, "read", lambda self, bucket, key: None if key == "migrations.json" else read(self, bucket, key)
    )
    line = looked(estate, "migrations")
    assert (line.colour, "has no migrations.json" in line.told[0].text) == (Colour.RED, True)


def test_a_test_alert_by_ways_that_are_not_todays(estate: Estate) -> None:
    assert estate.plan.observability
    bucket = estate.plan.observability.status_bucket
    undo = edited(estate, bucket, RECEIPT, lambda said: said.update(ways={"webhook": True}))
    line = looked(estate, "test-alert")
    undo()
    assert line.colour is Colour.RED
    assert "did not go by email" in line.told[0].text


@pytest.mark.parametrize(
    ("kind", "changed", "said"),
    [
        ("down", {"notifications": {"email": [], "slack": []}}, "that tells nobody"),
        ("latency", {"threshold": 999_999}, "another limit than greater_than 3000"),
        ("ssl_expiry", {"comparison": "greater_than"}, "another limit than less_than 14"),
        ("down", {"period": "1h"}, "over another time than 2m"),
    ],
)
def test_an_uptime_alert_that_nobody_hears(
    estate: Estate, kind: str, changed: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = Look.all

    def answer(self: Look, path: str, key: str, **query: object) -> list[dict[str, Any]]:
        found = every(self, path, key, **query)
        if not path.startswith("/v2/uptime/checks/"):
            return found
        return [{**one, **changed} if one["type"] == kind else one for one in found]

    monkeypatch.setattr(Look, "all", answer)
    line = looked(estate, "uptime")
    assert line.colour is Colour.RED
    assert all(said in one.text for one in line.told), line.told


KEY = f"aws: AKIA{4 * 'Z7Q2'}\n"


@pytest.mark.parametrize(
    "content",
    [
        b"caf\xe9\n" + KEY.encode(),
        f"x\n{KEY}".encode("utf-16"),
        b"\xfe\xff" + f"x\n{KEY}".encode("utf-16-be"),
        f"x\n{KEY}".encode("utf-16-le"),
        f"x\n{KEY}".encode("utf-32"),
        f"x\n{KEY}".encode("utf-8-sig"),
        b"\xff\xfe\x00\xd8\n\x00" + KEY.encode("utf-16-le"),
        b"\x89PNG\xff\n" + KEY.encode(),
    ],
    ids=["latin-1", "utf-16", "utf-16-be", "no mark", "utf-32", "utf-8-sig", "half a pair", "binary"],
)
def test_a_secret_in_a_file_that_is_not_utf_8(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notes").write_bytes(content)
    commit(tmp_path)
    (found,) = scan(tmp_path).found
    assert (found.file, found.line) == ("notes", 2)


def test_what_cannot_be_read_is_said(estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "closed").write_text("x\n", encoding="utf-8")
    commit(tmp_path)
    read = Path.read_bytes

    def denied(path: Path) -> bytes:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert scan(tmp_path) == Scan((), ("closed",))
    monkeypatch.setattr(estate, "root", tmp_path)
    line = looked(estate, "repository")
    assert (line.colour, line.told[0].text) == (Colour.YELLOW, "not seen: closed cannot be read")


@pytest.mark.parametrize(("limit", "colour"), [(3, Colour.RED), (4, Colour.GREEN)])
def test_an_account_without_room_for_a_pool(
    estate: Estate, limit: int, colour: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits are counted above the droplets that are there: the largest pool has four."""
    file = estate.environment.file
    pool = Autoscale(min=1, max=4, cpu=0.6)
    groups = {
        name: group.model_copy(update={"replicas": None, "autoscale": pool})
        for name, group in file.groups.items()
    }
    room = len(estate.all("/v2/droplets", "droplets")) + limit
    account = file.account.model_copy(update={"droplets": room})
    changed = file.model_copy(update={"groups": groups, "account": account})
    monkeypatch.setattr(estate, "environment", replace(estate.environment, file=changed))
    assert looked(estate, "account").colour is colour


def test_an_account_without_any_room(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    file = estate.environment.file
    account = file.account.model_copy(update={"droplets": len(estate.all("/v2/droplets", "droplets"))})
    changed = file.model_copy(update={"groups": {}, "account": account})
    monkeypatch.setattr(estate, "environment", replace(estate.environment, file=changed))
    assert looked(estate, "account").colour is Colour.RED


def test_a_group_that_is_gone(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = estate.plan.groups[0].group
    reports = Look.reports
    monkeypatch.setattr(Look, "reports", lambda self: [one for one in reports(self) if one.group != gone])
    line = looked(estate, "releases")
    assert [one.text for one in line.told] == [f"no droplet of {gone} is there to say anything"]
    assert line.colour is Colour.RED


@pytest.mark.parametrize(
    ("line", "what", "said"),
    [
        ("health", "balancers", "there is no load balancer"),
        ("backups", "clusters", "there is no cluster"),
        ("outside", "clusters", "there is no cluster"),
    ],
)
def test_what_is_missing_is_not_passed_over(
    estate: Estate, line: str, what: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Look, what, property(lambda _: {}))
    found = looked(estate, line)
    assert found.colour is Colour.YELLOW
    assert all(said in one.text for one in found.told)


def test_a_backup_without_a_time_is_not_seen(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = Look.all

    def timeless(self: Look, path: str, key: str) -> list[dict[str, Any]]:
        found = everything(self, path, key)
        return [{**one, "created_at": "2026-11-27"} for one in found] if path.endswith("/backups") else found

    monkeypatch.setattr(Look, "all", timeless)
    line = looked(estate, "backups")
    assert line.colour is Colour.YELLOW
    assert all("the API names no time of a backup" in one.text for one in line.told)


@pytest.mark.parametrize(("hours", "colour"), [(1, Colour.YELLOW), (37, Colour.RED)])
def test_a_database_that_was_never_copied(
    estate: Estate, hours: int, colour: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts from its first dump: a new church is copied in the night after that."""
    copies = Backups.copies
    monkeypatch.setattr(
        Backups,
        "copies",
        lambda self: {one: at for one, at in copies(self).items() if one.database != CONTROL_PLANE_DATABASE},
    )
    first = DumpName(CONTROL_PLANE_DATABASE, SYSTEM_CLOCK.time() - timedelta(hours=hours), "shared")
    monkeypatch.setattr(Backups, "dumps", lambda _: {first: "dumps"})
    line = looked(estate, "copies")
    assert line.colour is colour, line.told
    assert CONTROL_PLANE_DATABASE in line.told[0].text


def test_a_key_that_may_not_list_the_second_bucket(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Bucket.keys

    def denied(self: Bucket, prefix: str = "") -> list[str]:
        if self.name.endswith("-copy"):
            raise OperationError(f"{self.name}: list_objects_v2: AccessDenied")
        return keys(self, prefix)

    monkeypatch.setattr(Bucket, "keys", denied)
    line = looked(estate, "copies")
    assert line.colour is Colour.YELLOW
    assert "AccessDenied" in line.told[0].text


class Answers(World):
    """Every name answers 200; those of churches in maintenance 503."""

    closed: frozenset[str] = frozenset()

    def answer(self, host: str, name: str, path: str, *, secure: bool = True) -> tuple[int, str]:
        del host, path, secure
        return (503, "") if name.partition(".")[0] in self.closed else (200, "")


@pytest.mark.parametrize("every", [False, True])
def test_a_church_in_maintenance_is_not_asked(
    estate: Estate, every: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = estate.environment.tenants
    closed = [first, *others] if every else [first]
    monkeypatch.setattr(Answers, "closed", frozenset(one.slug for one in closed))
    tenants = tuple(
        one.model_copy(update={"maintenance": True}) if one in closed else one for one in (first, *others)
    )
    monkeypatch.setattr(estate, "environment", replace(estate.environment, tenants=tenants))
    line = looked(estate, "answers", Answers())
    assert line.colour is (Colour.YELLOW if every else Colour.GREEN), line.told


@pytest.mark.parametrize(
    ("resolves", "colour", "said"),
    [
        (set(), Colour.YELLOW, "neither has any other name"),
        ({"digitalocean.com"}, Colour.RED, "delegated to nobody"),
        ({"app"}, Colour.RED, "delegated to nobody"),
    ],
)
def test_a_domain_without_servers_is_red_where_others_have_some(
    estate: Estate, resolves: set[str], colour: Colour, said: str
) -> None:
    names = {estate.plan.edge.base_domain.partition(".")[2] if one == "app" else one for one in resolves}
    line = looked(
        estate, "delegation", World(delegation=lambda name: frozenset({"ns"} if name in names else ()))
    )
    assert (line.colour, said in line.told[0].text) == (colour, True)


def test_a_resolver_that_fails_is_not_seen(estate: Estate) -> None:
    def fails(_: str) -> frozenset[str]:
        raise CannotAskError("the name server 192.0.2.1 answered with SERVFAIL")

    assert looked(estate, "delegation", World(delegation=fails)).colour is Colour.YELLOW


def test_the_same_is_said_once(estate: Estate) -> None:
    twice = [not_seen("a token is not set", "Set it"), good("x"), not_seen("a token is not set", "Set it")]
    look = Look(estate.environment, estate.environ, estate._world())
    (line,) = run(look, [Check("a", "a is right", lambda _: iter(twice))])
    assert [one.text for one in line.findings] == ["not seen: a token is not set", "x"]
