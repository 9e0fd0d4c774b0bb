"""A migration has one time limit, however often it gives way."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from droplet.migrate.databases import Database
from droplet.migrate.migration import GIVE_WAY_SECONDS, Migrator, Target
from droplet.migrate.runner import Ended, Runner
from droplet.migrate.wanted import TENANTS, Job
from droplet.work_login import Login

LIMIT = 900
DEADLOCK = "psycopg.errors.DeadlockDetected: deadlock detected\n"
JOB = Job("migrate-tenants", TENANTS, "image", ["alembic"], {}, 512, LIMIT)
CLUSTER = SimpleNamespace(host="db", port=1, sslmode="verify-full", ca="")
CHURCH = cast("Database", SimpleNamespace(name="tenant_a", tenant="a", cluster=CLUSTER))


@dataclass
class Church:
    """A migration that sleeps, and then says that somebody holds a lock."""

    sleeps: float
    now: float = 0
    limits: list[int] = field(default_factory=list)

    def run(self, job: Job, *_: Any) -> Ended:
        self.limits.append(job.timeout_seconds)
        self.sleep(min(self.sleeps, job.timeout_seconds))
        return Ended(None, "") if self.sleeps > job.timeout_seconds else Ended(1, DEADLOCK)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def migrate(church: Church, tmp_path: Any) -> str:
    migrator = Migrator(cast("Runner", church), tmp_path, sleep=church.sleep, elapsed=lambda: church.now)
    failure = migrator._run(CHURCH, Login("login", "password"), Target(JOB, "sha256:a", {}))
    assert failure
    return failure.reason


@pytest.mark.parametrize("sleeps", [890, 440, 899.5])
def test_all_tries_together_take_no_longer(sleeps: float, tmp_path: Any) -> None:
    church = Church(sleeps)
    migrate(church, tmp_path)
    assert church.now <= LIMIT
    assert church.limits[0] == LIMIT


def test_a_lock_that_is_let_go_is_waited_for_all_the_same(tmp_path: Any) -> None:
    church = Church(3)
    assert "deadlock detected" in migrate(church, tmp_path)
    assert len(church.limits) == len(GIVE_WAY_SECONDS) + 1
