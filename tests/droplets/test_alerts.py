"""The whole way of an alert on a booted droplet: a fault, a message with the right words, and one that it is over."""

import functools
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cloud_init.alert_rules import INTERVAL
from cloud_init.observability import MESSAGES_PORT as ALERTMANAGER_PORT
from cloud_init.observability import NAMES_PORT, RULES_PORT, STORE_PORT, VALKEY_PORT
from model.observability import MEMORY_MIB
from model.services import WATCHDOG_HOST, WATCHDOG_PATH
from tests.droplets.conftest import CLOUD_PORT, DOMAIN, MESSAGES_PORT, Laboratory, alerting, observed
from tests.droplets.laboratory import GATEWAY, Droplet, eventually
from tests.observability.loop import Served, page_of_droplets, told

UNITS = (
    "victoria-metrics",
    "vmalert",
    "prometheus-alertmanager",
    "prometheus-blackbox-exporter",
    "prometheus-redis-exporter",
)
OF_PROGRAMS = (
    *(
        f"presence360-{name}"
        for name in ("alert-test", "metrics-backup", "observability", "watchdog-receiver")
    ),
)
# Also of those who only need the list of droplets.
pytestmark = [observed, pytest.mark.usefixtures("messages")]

EXPOSURE = 4.0
"""What systemd-analyze security says at most, from 0 to 10 (tests/droplets/test_droplets.py)."""

PORTS = {STORE_PORT, RULES_PORT, ALERTMANAGER_PORT, NAMES_PORT, VALKEY_PORT}


@pytest.fixture(scope="module")
def messages(laboratory: Laboratory) -> Iterator[Served]:
    """Where people would be told; beside it, DigitalOcean's list of the droplets."""
    network = laboratory.network
    served = [
        network.inside(functools.partial(Served, port=port, address=GATEWAY))
        for port in (CLOUD_PORT, MESSAGES_PORT)
    ]
    served[0].pages["/v2/droplets"] = page_of_droplets({one.name: one.address for one in laboratory.droplets})
    yield served[1]
    for one in served:
        one.stop()


def query(droplet: Droplet, expression: str) -> list[dict[str, Any]]:
    ask = (
        "import sys, urllib.parse, urllib.request as r; "
        f'print(r.urlopen("http://127.0.0.1:{STORE_PORT}/api/v1/query?query=" + urllib.parse.quote(sys.argv[1]))'
        ".read().decode())"
    )
    found: list[dict[str, Any]] = json.loads(droplet.sh(f"python3 -c '{ask}' '{expression}'"))["data"][
        "result"
    ]
    return found


def test_all_of_it_runs_and_listens_on_loopback_alone(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    states = functools.partial(droplet.sh, f"systemctl is-active {' '.join(UNITS)}", check=False)
    eventually("all of it runs", 60, lambda: states().split() == ["active"] * len(UNITS))
    shown = droplet.sh("ss --no-header --listening --tcp --numeric").splitlines()
    addresses = {line.split()[3].rpartition(":")[::2] for line in shown}
    ours = {(address, port) for address, port in addresses if int(port) in PORTS}
    assert {address for address, _ in ours} == {"127.0.0.1"}
    assert {int(port) for _, port in ours} == PORTS


def test_none_of_it_may_do_more_than_it_has_to(laboratory: Laboratory) -> None:
    units = (*UNITS, *OF_PROGRAMS)
    services = " ".join(f"{unit}.service" for unit in units)
    assert (
        laboratory.droplet.sh(f"cd /etc/systemd/system && systemd-analyze verify --man=no {services} 2>&1")
        == ""
    )
    said = laboratory.droplet.sh(
        f"for one in {services}; do systemd-analyze security --no-pager $one | tail -1; done"
    )
    found = {match[1]: float(match[2]) for match in re.finditer(r"for (\S+)\.service: ([\d.]+) ", said)}
    assert set(found) == set(units)
    assert {unit: score for unit, score in found.items() if score > EXPOSURE} == {}


def test_every_droplet_is_found_and_asked(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet

    def up() -> bool:
        found = {one["metric"]["instance"] for one in query(droplet, 'up{job="droplet",group="app"} == 1')}
        return found == {one.name for one in laboratory.droplets}

    eventually("both droplets are up", 60, up)


def test_connections_near_the_limit_are_told_and_that_it_is_over(
    laboratory: Laboratory, messages: Served
) -> None:
    droplet = laboratory.droplet
    lines = (
        'presence360_postgres_connections{cluster="shared",role="tenant_1",state="active"} 96\\n'
        'presence360_postgres_connections_limit{cluster="shared"} 100\\n'
    )
    droplet.sh(f"printf '{lines}' > /run/presence360/test.prom")
    try:
        found = eventually("a message", 90, lambda: told(messages, "ConnectionsUsedUp", "firing"))
    finally:
        droplet.sh("rm /run/presence360/test.prom")
    assert found
    assert found["annotations"]["summary"] == (
        "The cluster shared has more than 95 percent of its connections in use: soon queries are refused."
    )
    assert found["labels"]["environment"] == "staging"
    eventually("that it is over", 90, lambda: told(messages, "ConnectionsUsedUp", "resolved"))


def test_a_droplet_that_does_not_answer_is_told_and_that_it_is_back(
    laboratory: Laboratory, messages: Served
) -> None:
    _, second = laboratory.droplets
    second.sh("systemctl stop nginx")
    try:

        def silent() -> bool:
            found = told(messages, "DropletSilent", "firing")
            return found is not None and found["labels"]["instance"] == second.name

        eventually("a message", 90, silent)
    finally:
        second.sh("systemctl start nginx")
    eventually("that it is over", 90, lambda: told(messages, "DropletSilent", "resolved"))


def test_the_world_is_told_that_alerts_arrive_and_that_they_do_not(laboratory: Laboratory) -> None:
    droplet, host = laboratory.droplet, f"{WATCHDOG_HOST}.{DOMAIN}"
    eventually("alerts arrive", 90, lambda: droplet.ask(host, WATCHDOG_PATH).status == 200)
    # The answer is no other service's, and depends on the program behind it.
    droplet.sh("systemctl stop presence360-watchdog")
    try:
        assert droplet.ask(host, WATCHDOG_PATH).status == 502
    finally:
        droplet.sh("systemctl start presence360-watchdog")


def test_the_metrics_come_back_from_their_backup(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    droplet.sh("systemctl start presence360-metrics-backup", timeout=120)
    assert droplet.metrics['presence360_backup_success{what="metrics"}'] == 1
    before = _first(droplet)
    droplet.sh("systemctl stop vmalert victoria-metrics && rm -r /srv/metrics/data")
    droplet.sh("systemctl start victoria-metrics vmalert", timeout=120)
    assert "the metrics come from the backup latest" in droplet.journal("victoria-metrics")
    eventually("the first samples are there again", 60, lambda: _first(droplet) == before)


def _first(droplet: Droplet) -> float:
    """When the oldest sample is from."""
    found = query(droplet, "tfirst_over_time(presence360_healthy[1h])")
    return min((float(one["value"][1]) for one in found), default=0)


OURS = (
    *UNITS,
    "presence360-watchdog-receiver",
    *(
        "presence360-exporter",
        "presence360-otlp",
        "presence360-watchdog",
        "prometheus-node-exporter",
        "mtail",
    ),
)
WINDOW_SECONDS = 120


def test_what_it_costs_with_the_intervals_of_production(laboratory: Laboratory) -> None:
    """Memory is held against what the droplet's size is checked against; the figures are in docs/observability.md."""
    droplet, plan = laboratory.droplet, laboratory.plan.observability
    assert plan
    calm = alerting(plan, like_production=True)
    laboratory.configuration.change(put=calm, whole=False)
    installed = "/var/lib/presence360-observability/scrape.yaml"
    eventually("it is in force", 60, lambda: droplet.sh(f"grep -c {INTERVAL!r} {installed}", check=False))
    used = {unit: used_of(droplet, unit) for unit in OURS}
    before = {unit: cpu for unit, (_, cpu) in used.items()}
    began = time.monotonic()
    time.sleep(WINDOW_SECONDS)
    seconds = time.monotonic() - began
    shown, memory, share = [], 0.0, 0.0
    for unit in OURS:
        size, cpu = used_of(droplet, unit)
        memory, share = memory + size, share + (cpu - before[unit]) / seconds
        shown.append(f"{unit}: {size:.0f} MB, {100 * (cpu - before[unit]) / seconds:.2f} % CPU")
    shown.append(f"disk: {droplet.sh('du -sb /srv/metrics/data').split()[0]} bytes")
    series = query(droplet, "vm_daily_series_limit_current_series")
    shown.append(f"series: {series[0]['value'][1] if series else '?'}")
    shown.append(f"together: {memory:.0f} MB, {100 * share:.1f} % CPU")
    print("\n".join(shown))  # noqa: T201  the figures of docs/observability.md
    assert memory < MEMORY_MIB
    # The smallest droplet has one core.
    assert share < 0.25


def used_of(droplet: Droplet, unit: str) -> tuple[float, float]:
    """Return a unit's memory in megabytes, each shared page counted in part, and its seconds of CPU since it began."""
    group = droplet.sh(f"systemctl show --value --property ControlGroup {unit}").strip()
    script = (
        f"for pid in $(cat /sys/fs/cgroup{group}/cgroup.procs); do grep '^Pss:' /proc/$pid/smaps_rollup; done;"
        f" grep usage_usec /sys/fs/cgroup{group}/cpu.stat"
    )
    lines = [line.split() for line in droplet.sh(script).splitlines()]
    memory = sum(int(words[1]) for words in lines if words[0] == "Pss:") / 1024
    return memory, sum(int(words[1]) for words in lines if words[0] == "usage_usec") / 1e6
