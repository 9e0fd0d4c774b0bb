"""Dumps of real databases: of one snapshot, read back, encrypted for two, and of everything that is there."""

import json
import re
import time

import pytest

from lab.managed_cluster import Tenant
from tests.backups.site import Key, Site

FIRST, SECOND = Tenant.number(1), Tenant.number(2)


def test_every_database_is_dumped_read_back_and_readable_by_both_recipients(full: Site) -> None:
    site = full
    cluster = site.clusters["shared"]
    # Suspended: nobody logs in to it any more, and its data is dumped all the same.
    cluster.api_drop_user(SECOND.user())
    code, log = site.once()
    assert code == 0, log
    for database in ("control_plane", FIRST.database, SECOND.database):
        (dump,) = site.dumps(database)
        index = json.loads(site.read(f"{dump}/index.json"))
        said = site.contents(dump)
        assert index["database"] == said["database"] == database
        assert index["objects"]["dump.age"]["bytes"] == site.objects()[f"{dump}/dump.age"]
        assert [site.decrypted(f"{dump}/dump.age", key)[:5] for key in site.keys] == [b"PGDMP"] * 2
        assert site.records()[database]["key"] == dump
    with pytest.raises(ValueError, match="no identity matched"):
        site.decrypted(f"{dump}/dump.age", Key.new())

    (dump,) = site.dumps(FIRST.database)
    lines = {(kind, name): value for kind, name, value in site.contents(dump)["lines"]}
    assert lines["content", "public.people"].startswith("10000 rows, ")
    assert lines["content", "large objects"].startswith("2, ")
    assert lines["position", "public.receipts"] == "1005 t"
    # Nothing of the church's is readable in the bucket without a key: no name, no row, no checksum.
    assert site.read(f"{dump}/index.json").count(b"people") == 0

    metrics = site.metrics()
    labels = f'{{cluster="shared",database="{FIRST.database}"}}'
    assert metrics[f"size_bytes{labels}"] == sum(index_bytes(site, dump))
    assert metrics["never"] == 0
    # No login of the run is left behind, and no file in clear text or otherwise.
    ((left,),) = cluster.superuser("SELECT count(*) FROM pg_roles WHERE rolname ~ '_work_'")
    assert left == 0
    assert [path.name for path in (site.folder / "state").iterdir()] == ["status.json"]
    assert cluster.passwords["doadmin"] not in log


@pytest.mark.nightly("backups")
def test_what_was_written_comes_first_and_the_servers_own_statistics_are_no_change(full: Site) -> None:
    site = full
    cluster = site.clusters["shared"]
    assert site.once()[0] == 0
    # As autovacuum does it, minutes after something was written.
    for database in ("control_plane", FIRST.database, SECOND.database):
        cluster.superuser("ANALYZE", database=database)
    site.settings["parallel"] = 1
    # A request of the second of a dump would be one before it.
    time.sleep(1)
    for tenant, statement in (
        (SECOND, "CREATE TABLE notes (note text)"),
        (SECOND, "INSERT INTO notes VALUES ('new')"),
        (FIRST, "SELECT lo_put(4711, 0, 'A photo')"),
    ):
        cluster.superuser(f'SET ROLE "{tenant.owner}"', statement, database=tenant.database)
        time.sleep(1)
        site.ask()
        code, log = site.once()
        assert code == 0, log
        order = re.findall(r"shared (\S+): \d+ bytes", log)
        assert (order[0], len(order)) == (tenant.database, 3), (statement, order)
    del site.settings["parallel"]


def index_bytes(site: Site, dump: str) -> list[int]:
    return [one["bytes"] for one in json.loads(site.read(f"{dump}/index.json"))["objects"].values()]
