"""Every damage together, what is wrong as a whole, runs that are interrupted, and many churches: `make prove-drill`."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lab.local_postgres import Template
from lab.managed_cluster import Tenant
from lab.object_storage import Gateway
from tests.backups.site import Key
from tests.drill.conftest import platform
from tests.drill.damage import DAMAGES
from tests.drill.site import Backup, Droplet, Fork, Platform
from tests.drill.test_drill import bracketed, churches

CHURCHES = int(os.environ.get("PRESENCE360_DRILLED_CHURCHES", "0"))
SOUND = 20

pytestmark = pytest.mark.skipif(not CHURCHES, reason="many churches take minutes: `make prove-drill`")

Place = tuple[Platform, Backup]


@pytest.fixture(scope="module")
def place(template: Template, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        made = platform(template, gateway, SOUND + len(DAMAGES), tmp_path_factory.mktemp("proof"), stack)
        yield made, bracketed(made)


def found_by_dump(tenants: list[Tenant]) -> dict[str, Any]:
    """What an earlier drill left, so that each is restored from its dump now."""
    return {tenant.database: {"at": "2026-01-01T00:00:00Z", "way": "fork"} for tenant in tenants}


def test_none_of_the_damages_is_missed_and_none_of_twenty_sound_ones_is_reported(
    place: Place, tmp_path: Path
) -> None:
    made, backup = place
    everyone = churches(SOUND + len(DAMAGES))
    sound, spoilt = everyone[:SOUND], dict(zip(DAMAGES, everyone[SOUND:], strict=True))
    with made.fork(backup) as fork, kept(made, spoilt.values()):
        for name, tenant in spoilt.items():
            DAMAGES[name].spoil(fork, made, tenant)
        outcome = Droplet(made, tmp_path).drill(
            fork, backup, everyone, known=found_by_dump(list(spoilt.values()))
        )
        assert outcome.report, outcome.log
        # What was done to the pages is seen by the server alone, so nothing is said twice of a sound one.
        assert [one.database for one in sound if outcome.failed(one.database)] == []
        missed = {
            name: outcome.failed(tenant.database)
            for name, tenant in spoilt.items()
            if DAMAGES[name].words not in outcome.failed(tenant.database).get(DAMAGES[name].check, "")
        }
        assert missed == {}
        assert fork.left() == ([], [])
        text = json.dumps(outcome.report)
        # Of rows nothing is in it.
        assert (text.count("@example.org"), text.count("member ")) == (0, 0)
        sys.stdout.write(f"{len(DAMAGES)} damages found, {SOUND} sound ones passed\n")


class kept:  # noqa: N801  (a context manager)
    """Put the dumps back that a test has spoilt."""

    def __init__(self, made: Platform, tenants: Any) -> None:
        self.site = made.site
        self.objects = {
            key: self.site.read(key)
            for tenant in tenants
            for key in self.site.objects(f"dumps/{tenant.database}/")
        }

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        for key, content in self.objects.items():
            self.site.gateway.client().put_object(Bucket=self.site.bucket, Key=key, Body=content)


def lost(fork: Fork, tenant: Tenant) -> None:
    fork.superuser(f'DROP DATABASE "{tenant.database}" WITH (FORCE)')


def swapped(fork: Fork, tenant: Tenant) -> None:
    """Two churches' databases under each other's names, with everything in them."""
    other = Tenant.number(SOUND + 1).database
    fork.superuser(
        f'ALTER DATABASE "{tenant.database}" RENAME TO between',
        f'ALTER DATABASE "{other}" RENAME TO "{tenant.database}"',
        f'ALTER DATABASE between RENAME TO "{other}"',
    )


WHOLE: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[Fork, Tenant], None] | None, str]] = {
    "stale backup": ({"backup": "2026-01-01T00:00:00Z"}, {}, None, "the newest backup was "),
    "lost church": ({}, {}, lost, "is not on the fork, and there is a dump from before the backup"),
    "swapped churches": ({}, {}, swapped, "permission denied for database"),
    "wrong key": ({}, {"identity": Key.new}, None, "opened: it is not encrypted for this key"),
    "wrong password of the administrator": (
        {},
        {"cluster": {"password": "wrong"}},
        None,
        "password authentication",
    ),
    "wrong certificate": ({}, {"cluster": {"host": "localhost"}}, None, "does not match host name"),
    "no fork": ({}, {"cluster": {"port": 1}}, None, "Connection refused"),
    "wrong passwords of churches": ({}, {"passwords": "wrong"}, None, "connected: "),
    "records of other churches": ({}, {"records": "shifted"}, None, "its credentials name the database"),
    "a sanity query": (
        {
            "queries": [
                {
                    "name": "kin-have-clans",
                    "database": "tenant",
                    "sql": "SELECT count(*) FROM kin",
                    "least": 1,
                    "most": 999,
                }
            ]
        },
        {},
        None,
        "kin-have-clans: 1000, and at most 999 is right",
    ),
    "too slow": ({"began": "2026-01-01T00:00:00Z"}, {}, None, "minutes with the fork"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_wrong_as_a_whole(place: Place, tmp_path: Path, name: str) -> None:
    made, backup = place
    asked, sent, spoil, words = WHOLE[name]
    everyone = churches(2)
    with made.fork(backup) as fork:
        droplet = Droplet(made, tmp_path)
        given = droplet.sent(fork, everyone)
        changed: dict[str, Any] = {}
        for key, value in sent.items():
            if key == "cluster":
                changed[key] = {**given[key], **value}
            elif key == "passwords":
                changed[key] = dict.fromkeys(given[key], "wrong")
            elif key == "records":
                first, second = given[key]
                changed[key] = {first: given[key][second], second: given[key][first]}
            else:
                changed[key] = value().secret
        if spoil:
            spoil(fork, everyone[1])
        outcome = droplet.drill(fork, backup, everyone, sent=changed, **asked)
        assert outcome.report, outcome.log
        assert (outcome.code, outcome.report["passed"]) == (1, False)
        problems = outcome.report["problems"]
        assert any(words in problem for problem in problems), problems
        assert "Traceback" not in outcome.log


def test_a_backup_that_is_older_than_it_says(place: Place, tmp_path: Path) -> None:
    """Its time is that of a backup days later, and dumps were made in between."""
    made, _ = place
    with made.fork(backup_before(made)) as fork:
        at = round(time.time()) - 9 * 3600
        for tenant in churches(2):
            key = made.site.dumps(tenant.database)[-1]
            for kind in ("dump.age", "contents.age", "index.json"):
                stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
                made.site.gateway.client().put_object(
                    Bucket=made.site.bucket,
                    Key=f"dumps/{tenant.database}/{stamp}.shared/{kind}",
                    Body=made.site.read(f"{key}/{kind}"),
                )
            fork.superuser(f"COMMENT ON DATABASE \"{tenant.database}\" IS '{{}}'")
        outcome = Droplet(made, tmp_path).drill(fork, Backup(tmp_path, time.time()), churches(2))
        problems = outcome.report["problems"]
        assert any("it is older than its backup's time" in problem for problem in problems), problems


def backup_before(made: Platform) -> Backup:
    return made.backup()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("step", ["waiting", "running"])
def test_an_interrupted_drill_leaves_nothing_and_begins_again(
    place: Place, tmp_path: Path, number: signal.Signals, step: str
) -> None:
    made, backup = place
    everyone = churches(4)
    with made.fork(backup) as fork:
        droplet = Droplet(made, tmp_path)
        asking = droplet.asking()
        droplet.write(asking, droplet.request(backup, everyone))
        process = droplet.start()
        status = eventually(asking._status)
        if step == "running":
            asking._send(status.recipient, droplet.sent(fork, everyone))
            eventually(lambda: fork.left()[0])
        process.send_signal(number)
        process.communicate(timeout=120)
        if number == signal.SIGTERM:
            assert fork.left() == ([], [])
        assert [one for one in (tmp_path / "scratch").rglob("*") if "identity" in one.name] == []
        # Again, with another key: the first one is gone.
        again = droplet.start()
        followed = asking.follow(droplet.sent(fork, everyone), 1, lambda _: None)
        again.communicate(timeout=300)
        assert followed.passed is True, followed.problems
        assert fork.left()[0] == []
        assert [key for key in asking.status.keys("drill/") if key.endswith(".age")] == []
        # And not a third time, on this droplet or on another one.
        third = droplet.start()
        log, _ = third.communicate(timeout=60)
        assert (third.returncode, log) == (0, "")
        other = Droplet(made, tmp_path / "other")
        other.write(asking, droplet.request(backup, everyone))
        fourth = other.start()
        log, _ = fourth.communicate(timeout=60)
        assert (fourth.returncode, log) == (0, "")


def test_many_churches_in_one_run_with_progress_and_turns(
    template: Template, gateway: Gateway, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with ExitStack() as stack:
        made = platform(template, gateway, CHURCHES, tmp_path_factory.mktemp("many"), stack)
        backup = bracketed(made)
        everyone = churches(CHURCHES)
        lines: list[str] = []
        began = time.monotonic()
        with made.fork(backup) as fork:
            outcome = Droplet(made, tmp_path).drill(fork, backup, everyone, say=lines.append)
            seconds = time.monotonic() - began
            assert outcome.report["problems"] == []
            assert outcome.report["passed"] is True
            assert len(outcome.report["databases"]) == CHURCHES + 1
            assert len([line for line in lines if f" of {CHURCHES + 1} databases" in line]) > 3
            ways = {one["database"]: one["way"] for one in outcome.report["databases"]}
            assert set(ways.values()) == {"fork", "dump"}
            # Each church was served again from its restored database, directly and through PgBouncer.
            served = sorted(one["restore_seconds"] for one in outcome.report["databases"])
            assert served[0] > 0
            rto = outcome.report["rto_seconds"]
            sys.stdout.write(
                f"{CHURCHES + 1} databases in {seconds:.0f} s; a church restored and served in "
                f"{served[len(served) // 2]} s, the slowest in {served[-1]} s; RTO {rto} s with the fork\n"
            )
            # The next drill restores each in the other way.
            again = Droplet(made, tmp_path / "again").drill(fork, backup, everyone[:4])
            assert all(one["way"] != ways[one["database"]] for one in again.report["databases"]), again.report
            assert len(again.report["known"]) == CHURCHES + 1


def eventually(question: Callable[[], Any], seconds: float = 120) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := question():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come to pass")
