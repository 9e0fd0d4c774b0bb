"""The restore drill on booted droplets: its timer finds the question, one droplet answers, the key stays in memory."""

import dataclasses
import functools
import json
import secrets
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from cloud_init.programs import render_programs
from lab import backup_programs
from lab.debian import MissingError
from lab.local_digitalocean.tls import Authority
from lab.local_postgres import Server, Template, give_away, installations, tls_settings
from model.backups import BACKUPS_KEY
from model.drill_status import DrillStatus
from model.restore_drill import REQUEST_KEY
from ops.bucket import Bucket
from ops.drill.asking import Asking
from tests.droplets.conftest import BACKUPS, Laboratory
from tests.droplets.laboratory import GATEWAY, STORE_HOST, STORE_PORT, VPC, Droplet, eventually

pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from lab.managed_cluster import Cluster, Tenant
from tests.backups.site import Key, Site
from tests.drill.conftest import CONTENT
from tests.drill.site import Backup, Fork, Platform, written
from tests.drill.site import Droplet as Asked

pytestmark = pytest.mark.nightly("droplets")

ISOLATION_KEY = "isolation/environment.json"
FORK_PORT = 5433
UNIT = "presence360-drill"
SLOW = {"name": "slow", "database": "tenant", "sql": "SELECT count(*) FROM pg_sleep(15)", "least": 1}
"""Long enough to look around while it runs."""

T = TypeVar("T")


@dataclass
class Place:
    """A live cluster and a fork of it in the droplets' network, and how a drill is asked for.

    Attributes:
        laboratory: the droplets.
        cluster: the live one.
        fork: the fork.
        asked: writes questions.
        key: the drill's.
        backup: what the fork was made of.
    """

    laboratory: Laboratory
    cluster: Cluster
    fork: Fork
    asked: Asked
    key: Key
    backup: Backup

    def inside(self, work: Callable[[], T]) -> T:
        return self.laboratory.network.inside(work)

    def read(self, key: str) -> bytes:
        """Read an object of the bucket of dumps."""

        def work() -> bytes:
            store = self.laboratory.configuration.store()
            return bytes(store.get_object(Bucket=BACKUPS.bucket, Key=key)["Body"].read())

        return self.inside(work)

    def asking(self) -> Asking:
        config = self.laboratory.plan.config
        client = self.laboratory.configuration.store()
        asked, status = Bucket(config.bucket, client), Bucket(config.status_bucket, client)
        age = str(backup_programs.programs() / "age")
        return Asking(f"run-{secrets.token_hex(6)}", asked, status, age=age)

    def request(self, **changed: Any) -> dict[str, Any]:
        return self.asked.request(self.backup, TENANTS, **changed)

    def sent(self) -> dict[str, Any]:
        fork = self.fork.administration() | {"host": GATEWAY}
        return self.asked.sent(self.fork, TENANTS, identity=self.key.secret, cluster=fork)


TENANTS = [Tenant.number(number) for number in (1, 2)]


@pytest.fixture(scope="module")
def place(laboratory: Laboratory) -> Iterator[Place]:
    """Two churches with dumps from before and after a backup, which is what the fork is made of."""
    installed = installations()
    if not installed:
        pytest.skip("no Postgres server from 15 on is installed")
    try:
        backup_programs.programs()
    except MissingError as error:
        pytest.skip(str(error))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postgres-")))
        for name in (".", "template", "tls", "droplet", "server", "copies", "fork"):
            (folder / name).mkdir(exist_ok=True)
            (folder / name).chmod(0o755)
        template = Template(installed[max(installed)], folder / "template", checksums=True)
        yield _made(laboratory, template, folder, stack)


def _made(laboratory: Laboratory, template: Template, folder: Path, stack: ExitStack) -> Place:
    authority = Authority({})
    settings = {"listen_addresses": GATEWAY, **tls_settings(authority, GATEWAY, folder / "tls")}

    def start(home: Path, **more: object) -> Server:
        server = laboratory.network.inside(lambda: template.start(home, **settings, **more))
        stack.callback(server.stop)
        return server

    template.copy(folder / "server")
    with (folder / "server/data/pg_hba.conf").open("a", encoding="utf-8") as doors:
        doors.write(f"hostssl all all {VPC} scram-sha-256\n")
    cluster = Cluster(start(folder / "server"), folder / "droplet").create()
    cluster.tenants([1, 2])
    assert cluster.job().code == 0
    for tenant in TENANTS:
        with cluster.as_tenant(tenant) as connection:
            connection.execute(CONTENT)
    key = Key.new()
    stack.callback(_put_back, laboratory)
    _configure(laboratory, cluster, authority, key)
    _dump(laboratory)
    # Times are whole seconds.
    time.sleep(1.1)
    # What it needs of a site is the cluster.
    site = Site(folder / "site", {"shared": cluster}, None)  # type: ignore[arg-type]
    platform = Platform(site, template, folder / "copies", authority)
    backup = platform.backup()
    time.sleep(1.1)
    _dump(laboratory)
    subprocess.run(["cp", "-r", backup.folder / "data", folder / "fork/data"], check=True)
    give_away(folder / "fork")
    fork = Fork(start(folder / "fork", port=FORK_PORT), FORK_PORT, dict(cluster.passwords), authority)
    return Place(laboratory, cluster, fork, Asked(platform, folder / "asked"), key, backup)


def _put_back(laboratory: Laboratory) -> None:
    laboratory.configuration.programs = ""
    laboratory.configuration.change(delete=[ISOLATION_KEY, BACKUPS_KEY, REQUEST_KEY])
    laboratory.publish()


def _configure(laboratory: Laboratory, cluster: Cluster, authority: Authority, key: Key) -> None:
    """Do what an apply does."""
    configuration = laboratory.configuration
    laboratory.network.inside(lambda: configuration.store().create_bucket(Bucket=BACKUPS.bucket))
    isolation = cluster.configuration({})
    isolation["clusters"][0] |= {"host": GATEWAY, "ca": authority.certificate}
    dumps = {
        "bucket": BACKUPS.bucket, "endpoint": f"http://{STORE_HOST}:{STORE_PORT}", "access_key": "writer",
        "secret_key": "of-the-dumps", "recipients": [Key.new().public, key.public], "hour": "00:00", "parallel": 2,
        "rate_mib": 1000, "drill": True,
    }  # fmt: skip
    plan = dataclasses.replace(laboratory.plan, backups=dataclasses.replace(BACKUPS, drill=True))
    configuration.programs = render_programs(plan)
    configuration.change(put={ISOLATION_KEY: json.dumps(isolation), BACKUPS_KEY: json.dumps(dumps)})
    laboratory.publish()
    for droplet in laboratory.droplets:
        path = f"/var/lib/presence360/incoming/{BACKUPS_KEY}"
        eventually("the droplet knows", 60, functools.partial(droplet.sh, f"cat {path}", check=False))


def _dump(laboratory: Laboratory) -> None:
    """Have a droplet dump everything now, as `presence360 backups dump` asks for it."""
    asked = json.dumps({"time": written(time.time()), "databases": []}).encode()
    key = f"requests/{time.time_ns()}.json"
    store = laboratory.configuration.store
    laboratory.network.inside(lambda: store().put_object(Bucket=BACKUPS.bucket, Key=key, Body=asked))
    laboratory.droplet.sh("systemctl start presence360-backup.service", check=False, timeout=300)


class Following:
    """Follows a drill beside the test, as the operator's program does."""

    def __init__(self, place: Place, **changed: Any) -> None:
        self.lines: list[str] = []
        self.answer: list[DrillStatus | Exception] = []
        self.place, self.changed = place, changed
        self.asking = place.inside(place.asking)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # What it removes at its end is not the next one's.
        self._thread.join(600)

    def _run(self) -> None:
        def work() -> None:
            self.asking.ask(self.place.request(**self.changed))
            try:
                self.answer.append(self.asking.follow(self.place.sent(), 1, self.lines.append))
            except Exception as error:
                self.answer.append(error)
            self.asking.forget()

        self.place.inside(work)

    def state(self) -> DrillStatus | None:
        return self.place.inside(self.asking._status)

    def droplet(self, state: str) -> Droplet:
        """Wait until a droplet says that it is so far; return it."""

        def found() -> DrillStatus | None:
            said = self.state()
            return said if said and said.state == state else None

        said = eventually(f"a droplet is {state}", 180, found)
        assert said
        return next(one for one in self.place.laboratory.droplets if one.name == said.droplet)

    def ended(self) -> DrillStatus:
        eventually("the drill has ended", 300, lambda: self.answer)
        answer = self.answer[0]
        assert isinstance(answer, DrillStatus), answer
        return answer


def test_the_timer_finds_the_question_and_the_key_is_in_memory_alone(place: Place) -> None:
    with Following(place, queries=[SLOW]) as following:
        droplet = following.droplet("running")
        # By its timer; nobody has started it.
        assert droplet.sh(f"systemctl is-active {UNIT}.service", check=False).strip() == "activating"
        assert (
            droplet.sh(f"systemctl show --value --property TriggeredBy {UNIT}.service").strip()
            == f"{UNIT}.timer"
        )
        # It has the key, since it has said that it runs. No file has it: /proc and /sys are not files.
        everywhere = "/ --exclude-dir=proc --exclude-dir=sys"
        assert f"incoming/{BACKUPS_KEY}" in droplet.sh(f"grep -rlsF of-the-dumps {everywhere}", check=False)
        assert droplet.sh(f"grep -rlsF {place.key.secret} {everywhere}", check=False) == ""
        # Not the pattern itself: it is in the command line of what looks for it.
        pattern = f"[{place.key.secret[0]}]{place.key.secret[1:]}"
        for name in ("cmdline", "environ"):
            count = droplet.sh(f"cat /proc/[0-9]*/{name} | grep -ca '{pattern}'", check=False)
            assert count.strip() == "0"
        # And it may not be written to a swap.
        assert droplet.sh(f"systemctl show --value --property MemorySwapMax {UNIT}.service").strip() == "0"
        said = following.ended()
        assert (said.passed, said.problems) == (True, ()), droplet.journal(UNIT)
        assert said.report
        content = place.read(said.report)
        report = json.loads(content)
        assert {one["database"] for one in report["databases"]} == {
            "control_plane",
            *(one.database for one in TENANTS),
        }
        assert all(one["restore_seconds"] > 0 for one in report["databases"])
        assert place.fork.left() == ([], [])
        # Nothing is left on the droplet, and the key and the passwords are in no message.
        eventually(
            "the unit has ended",
            60,
            lambda: droplet.sh(f"systemctl is-active {UNIT}", check=False).strip() == "inactive",
        )
        assert droplet.sh("ls -A /run/presence360-drill 2>/dev/null", check=False) == ""
        assert droplet.sh("ls -A /var/lib/private/presence360-drill").split() == ["done"]
        journal = droplet.journal(UNIT)
        for secret in (place.key.secret, *place.cluster.passwords.values()):
            assert secret not in journal
        assert "Traceback" not in journal


def test_one_that_is_stopped_leaves_nothing_and_its_timer_begins_again(place: Place) -> None:
    with Following(place, queries=[SLOW]) as following:
        droplet = following.droplet("running")
        eventually("something of it is on the fork", 60, lambda: place.fork.left()[1])
        droplet.sh(f"systemctl stop {UNIT}.service", timeout=180)
        assert place.fork.left() == ([], [])
        assert droplet.sh("ls -A /run/presence360-drill 2>/dev/null", check=False) == ""
        said = following.ended()
        assert said.passed is True, said.problems
        # With another key: the first one was gone.
        assert len([line for line in following.lines if "has made a key for this run" in line]) == 2
        assert place.fork.left() == ([], [])


def test_the_unit_gives_up_what_it_can(place: Place) -> None:
    droplet = place.laboratory.droplet
    droplet.sh(f"systemd-analyze verify {UNIT}.service {UNIT}.timer")
    shown = droplet.sh(f"systemd-analyze security --no-pager {UNIT}.service | tail -1")
    assert float(shown.split(": ")[1].split()[0]) < 4.0, shown
