"""What of logs and traces is decided by the file, and which of it each group gets."""

import json
import re

import pytest

from cloud_init.programs import render_programs
from model.loader import load_environments
from model.plan import plan_environment
from model.traces import STORE_VERSION
from ops.paths import ROOT
from tests.support import ENVIRONMENTS

PLANS = {one.file.environment: plan_environment(one) for one in load_environments(ENVIRONMENTS)}
GROUPS = {f"{name}-{group.group}": group for name, plan in PLANS.items() for group in plan.groups}


@pytest.mark.parametrize("name", sorted(GROUPS))
def test_every_droplet_sends_its_journal_and_one_keeps_it(name: str) -> None:
    group = GROUPS[name]
    assert group.telemetry
    units = {
        path.removeprefix("units/") for path in json.loads(render_programs(group))["files"] if "/" in path
    }
    assert "presence360-logs.service" in units
    keeps = {unit for unit in units if unit.startswith(("presence360-journal-", "presence360-logs-keep"))}
    assert (
        bool(keeps)
        == (group.telemetry.logs is not None)
        == (name in {"production-observability", "staging-app"})
    )
    # Spans have to be cleaned on the droplet that they come from.
    traced = name.startswith("production-")
    assert (group.telemetry.sample_percent > 0) == ("presence360-traces.service" in units) == traced
    assert ("presence360-traces-store.service" in units) == (name == "production-observability")


def test_each_group_has_a_port_and_an_equal_part_of_the_disk() -> None:
    telemetry = GROUPS["production-observability"].telemetry
    assert telemetry
    assert telemetry.logs
    assert telemetry.logs.ports == {
        "control": 19540,
        "observability": 19541,
        "tenant": 19542,
        "worker": 19543,
    }
    assert (telemetry.logs.days, telemetry.logs.group_mib) == (30, 2048)
    files = json.loads(render_programs(GROUPS["production-observability"]))["files"]
    for group, port in telemetry.logs.ports.items():
        assert (
            files[f"units/presence360-journal-{group}.socket"].count(f"ListenStream=127.0.0.1:{port}\n") == 1
        )
        unit = files[f"units/presence360-journal-{group}.service"]
        assert unit.count(f"--output=/srv/metrics/logs/{group}\n") == 1
        assert unit.count("MaxUse=2048M") == 1


def test_lines_of_what_ends_are_sent_before_the_droplet_does() -> None:
    """What starts later ends earlier (systemd.unit(5), Before=)."""
    files = json.loads(render_programs(GROUPS["staging-app"]))["files"]
    sends = files["units/presence360-logs.service"]
    assert sends.count("Before=nginx.service docker.service presence360-converge.service\n") == 1
    assert sends.count("After=network-online.target presence360-otlp.service\n") == 1
    assert sends.count(" logs flush\n") == 1
    # The observability group's own lines as well: its droplet keeps until it has sent.
    for group in ("app", "worker"):
        keeps = files[f"units/presence360-journal-{group}.service"]
        assert keeps.count("Before=presence360-logs.service\n") == 1


def test_the_store_of_traces_is_an_image_by_digest_of_the_projects_registry() -> None:
    files = json.loads(render_programs(GROUPS["production-observability"]))["files"]
    unit = files["units/presence360-traces-store.service"]
    image = f"registry.digitalocean.com/presence360/victoria-traces@sha256:{64 * '0'}"
    assert unit.count(f"{image} -storageDataPath=/storage ") == 1
    assert unit.count("-retentionPeriod=7d -retention.maxDiskSpaceUsageBytes=2GiB") == 1


def test_the_page_names_one_version_of_the_store_and_what_makes_each_attribute() -> None:
    page = (ROOT / "docs/traces.md").read_text(encoding="utf-8")
    assert set(re.findall(r"victoria-traces:(v?[^ \n]+)", page)) == {STORE_VERSION}
    # No copied file makes spans of Postgres, Valkey and AWS: the page says which package does.
    named = {"`db.system.name`": ("-psycopg", "-redis"), "`rpc.service`": ("-botocore",)}
    for attribute, packages in named.items():
        assert attribute in page
        assert [one for one in packages if f"{one}`" not in page] == []
