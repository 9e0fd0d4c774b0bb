"""A release while a database is dumped: the real program of migrations, with real Alembic, and the real dump."""

import re
import time
from pathlib import Path

import pytest

from lab import object_storage
from tests.backups.conftest import Clusters, make_site
from tests.backups.operators import SECOND, eventually
from tests.backups.test_interrupted import BIG, dumping
from tests.migrations.conftest import alembic, runner
from tests.migrations.site import Processes
from tests.migrations.site import Site as Releases

__all__ = ["alembic", "runner"]

pytestmark = pytest.mark.nightly("backups")


def test_a_release_interrupts_a_dump_which_starts_again_with_the_new_schema(
    clusters: Clusters, gateway: object_storage.Gateway, runner: Processes, tmp_path: Path
) -> None:
    site = make_site(clusters, gateway, tmp_path / "dumps")
    cluster = site.clusters["shared"]
    releases = Releases(tmp_path / "releases", {"shared": cluster}, runner)
    releases.write()
    assert releases.once() == 0
    assert site.once()[0] == 0
    (first,) = site.dumps(SECOND.database)
    assert site.contents(first)["revision"] == "0001"
    with cluster.as_tenant(SECOND) as connection:
        # About 15 MiB of an archive, so 15 seconds.
        connection.execute(re.sub(rb"\d+\) AS n$", b"30000) AS n", BIG))
    site.settings["rate_mib"] = 1
    # A request of the second of a dump would be one before it.
    time.sleep(1)
    site.ask(SECOND.database)
    process = site.start()
    eventually(lambda: dumping(site, SECOND.database))
    releases.release("2")
    assert releases.once() == 0
    assert (releases.results[SECOND.database][1], releases.summary["failed"]) == ("0002", [])
    log, _ = process.communicate(timeout=120)
    assert "gives way, and is dumped again: another program waits for the database" in log
    assert process.returncode == 0
    assert site.dumps(SECOND.database) == [first]
    site.settings["rate_mib"] = 1000
    code, log = site.once()
    assert code == 0, log
    *_, again = site.dumps(SECOND.database)
    assert again != first
    assert site.contents(again)["revision"] == "0002"
    # No half of the one that was interrupted is stored.
    assert {key.rpartition("/")[0] for key in site.objects(f"dumps/{SECOND.database}/")} == {first, again}
