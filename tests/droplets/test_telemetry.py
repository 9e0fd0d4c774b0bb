"""What a booted droplet says of itself: node, containers, requests, and what a service answers with."""

import json
import re
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial

import pytest

from tests.droplets.conftest import (
    DOMAIN,
    GONE_TENANT,
    OBSERVED,
    VICTORIA_TRACES,
    Laboratory,
    observed,
)
from tests.droplets.laboratory import OUTSIDE, Droplet, eventually
from tests.telemetry.otlp import gauge

API = f"api.{DOMAIN}"


def samples(droplet: Droplet, path: str) -> dict[str, float]:
    """What the observability group reads on a path of the private port."""
    answer = droplet.network.http(droplet.address, 9360, path)
    assert answer.status == 200, answer
    lines = (line for line in answer.body.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_the_node_is_measured(laboratory: Laboratory) -> None:
    for droplet in laboratory.droplets:
        found = eventually("node_exporter answers", 10, partial(samples, droplet, "/metrics/node"))
        assert found["node_memory_MemTotal_bytes"] > found["node_memory_MemAvailable_bytes"] > 0
        assert found["node_boot_time_seconds"] > 0
        for name in (
            "node_load5", "node_vmstat_oom_kill", "node_timex_sync_status", "node_time_seconds",
            'node_cpu_seconds_total{cpu="0",mode="idle"}', 'node_network_receive_bytes_total{device="eth0"}',
        ):  # fmt: skip
            assert name in found
        # Few, since each is kept for every droplet: what alerts and dashboards read.
        assert len(found) < 700
        assert [name for name, value in found.items() if "collector_success" in name and not value] == []


def test_containers_are_measured(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    found = eventually(
        "the exporter looked",
        30,
        lambda: {name: value for name, value in droplet.metrics.items() if "_container" in name},
    )
    services = {match[1] for name in found if (match := re.search(r'service="(.*)"', name))}
    assert services == set(laboratory.configuration.versions)
    assert found['presence360_container_running{service="worker"}'] == 1
    # The machine's kernel may not count memory by group; then Docker sets no limit.
    limit = found.get('presence360_container_memory_limit_bytes{service="worker"}')
    assert limit in {None, 1024 * 2**20}
    assert 'presence360_container_cpu_seconds_total{service="worker"}' in found
    assert found['presence360_container_oom_kills_total{service="worker"}'] == 0
    assert droplet.metrics["presence360_exporter_docker_up"] == 1
    assert droplet.metrics["presence360_reboot_required"] == 0


def test_a_container_that_dies_by_itself_is_counted(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    name = 'presence360_container_restarts_total{service="worker"}'
    before = droplet.metrics[name]
    # Its first process is Docker's init; the one below it is the service.
    inspect = "docker inspect --format '{{.State.Pid}}' presence360-worker-1"
    droplet.sh(f"kill -9 $(cat /proc/$({inspect})/task/*/children)")
    eventually("it is counted", 40, lambda: droplet.metrics.get(name) == before + 1)
    eventually("healthy", 30, lambda: droplet.metrics['presence360_container_running{service="worker"}'] == 1)


def _same(ask: Callable[[], Mapping[str, float]], wanted: Mapping[str, float]) -> bool:
    return ask() == wanted


def requests(droplet: Droplet, **labels: str) -> float:
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    found = samples(droplet, "/metrics/requests")
    return sum(
        value
        for name, value in found.items()
        if name.startswith("presence360_http_requests_total{") and wanted <= set(_labels(name))
    )


def _labels(name: str) -> list[str]:
    return re.findall(r'\w+="[^"]*"', name)


def test_requests_are_measured_also_after_the_log_was_rotated(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet

    def ask() -> None:
        for host in (API, API, f"grace.{DOMAIN}", GONE_TENANT):
            droplet.ask(host)

    def counts() -> Mapping[str, float]:
        return {
            "api": requests(droplet, host="api", service="tenant-api", status_class="2xx"),
            "churches": requests(droplet, host="*", service="web-tenant", status_class="2xx"),
            "closed": requests(droplet, host="*", service="nginx", status_class="4xx"),
            "grace": samples(droplet, "/metrics/requests").get(
                'presence360_tenant_requests_total{status_class="2xx",tenant="grace"}', 0
            ),
            "timed": samples(droplet, "/metrics/requests").get(
                'presence360_http_request_duration_seconds_count{service="tenant-api"}', 0
            ),
        }

    before = counts()
    for number in (1, 2):
        ask()
        wanted = {
            "api": before["api"] + 2 * number,
            "churches": before["churches"] + number,
            "closed": before["closed"] + number,
            "grace": before["grace"] + number,
            "timed": before["timed"] + 2 * number,
        }
        eventually("they are counted", 10, partial(_same, counts, wanted))
        droplet.sh("logrotate --force /etc/logrotate.d/nginx")
    # Other tests read the logs as text.
    droplet.sh("rm -f /var/log/nginx/*.gz")


def test_what_exporters_have_is_for_the_vpc(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    for path in ("/metrics", "/metrics/node", "/metrics/requests", "/metrics/services/tenant-api"):
        assert laboratory.network.http(droplet.address, 9360, path, source=OUTSIDE).status == 403
    assert droplet.ask(API, "/metrics").status == 404


def test_a_services_own_metrics_come_from_its_container(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    answer = laboratory.network.http(droplet.address, 9360, "/metrics/services/tenant-api")
    assert answer.json["path"] == "/metrics"
    assert answer.json["presence360_service"] == "tenant-api"


@pytest.mark.nightly("droplets")
def test_it_costs_little(laboratory: Laboratory) -> None:
    """Beside what the smallest droplet has: 1 GB and one core. What it costs is in docs/telemetry.md."""
    droplet = laboratory.droplet
    used = {unit: _used(droplet, unit) for unit in MEASURED}
    shown = "\n".join(
        f"{unit}: {memory:.0f} MB, {100 * cpu:.2f} % CPU" for unit, (memory, cpu) in used.items()
    )
    sys.stdout.write(shown)
    assert sum(memory for memory, _ in used.values()) < 110, shown
    assert sum(cpu for _, cpu in used.values()) < 0.1, shown


MEASURED = ("presence360-exporter", "prometheus-node-exporter", "mtail", "presence360-otlp")


def _used(droplet: Droplet, unit: str) -> tuple[float, float]:
    """Return the memory of a unit's processes in megabytes, and which part of a core it has used since it started."""
    group = droplet.sh(f"systemctl show --value --property ControlGroup {unit}").strip()
    program = (
        f"for pid in $(cat /sys/fs/cgroup{group}/cgroup.procs); do grep '^Pss:' /proc/$pid/smaps_rollup; done;"
        f" grep usage_usec /sys/fs/cgroup{group}/cpu.stat;"
        f" echo now $(cut -d. -f1 /proc/uptime);"
        f" echo began $(systemctl show --value --property ActiveEnterTimestampMonotonic {unit})"
    )
    memory, values = 0.0, dict[str, float]()
    for line in droplet.sh(program).splitlines():
        words = line.split()
        if words[0] == "Pss:":
            memory += int(words[1]) / 1024
        else:
            values[words[0]] = float(words[1])
    seconds = values["now"] - values["began"] / 1e6
    return memory, values["usage_usec"] / 1e6 / seconds


def listens(droplet: Droplet) -> bool:
    return droplet.metrics.get("presence360_telemetry_listening") == 1


def _active(droplet: Droplet, unit: str) -> bool:
    """Tell whether a unit runs; what it wrote is in the error of a test that waits for it."""
    state = droplet.sh(f"systemctl is-active {unit}", check=False).strip()
    assert state == "active", f"{state}: {droplet.journal(unit)[-2000:]}"
    return True


SEND = """
import os, sys, time, urllib.error, urllib.request
url = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/" + sys.argv[1]
began = time.monotonic()
try:
    status = urllib.request.urlopen(urllib.request.Request(url, data=bytes.fromhex(sys.argv[2])), timeout=10).status
except urllib.error.HTTPError as error:
    status = error.code
print(status, int(time.monotonic() - began))
"""


def send(droplet: Droplet, signal: str, body: bytes, service: str = "tenant-api") -> tuple[int, int]:
    """Send as a service does, from its container: the answer's status, and the seconds that it took."""
    (droplet.root / "srv/send.py").write_text(SEND)
    command = f"docker exec -i presence360-{service}-1 python - {signal} {body.hex()} < /srv/send.py"
    try:
        status, seconds = droplet.sh(command).split()
    except AssertionError as error:
        units = "-u presence360-otlp -u presence360-telemetry"
        shown = droplet.sh(f"journalctl --no-pager --lines 60 {units}; ss --no-header -ltn")
        raise AssertionError(f"{str(error)[-200:]}\n{shown}") from None
    return int(status), int(seconds)


def pinned(droplet: Droplet, receiver: Droplet) -> str:
    """Wait until a droplet knows the receiver, which takes a while after the first boot; return its certificate."""
    certificate = receiver.sh("cat /etc/presence360/tls/droplet.crt")
    eventually(
        "the other droplet pins its certificate",
        90,
        lambda: droplet.sh("cat /var/lib/presence360-telemetry/receiver.crt", check=False) == certificate,
    )
    return certificate


def arrived(laboratory: Laboratory, name: str) -> list[dict[str, str]]:
    """The series of a name, on the droplet that receives: of two that serve, the newest."""
    store = "http://127.0.0.1:8428"
    program = (
        "import urllib.request as r\n"
        f"r.urlopen('{store}/internal/force_flush').read()\n"
        f"print(r.urlopen('{store}/api/v1/series?match[]={name}').read().decode())\n"
    )
    receiver = laboratory.droplets[1]
    (receiver.root / "srv/series.py").write_text(program)
    return list(json.loads(receiver.sh("python3 /srv/series.py"))["data"])


@observed
def test_what_services_send_arrives_at_the_observability_group(laboratory: Laboratory) -> None:
    droplet, receiver = laboratory.droplets
    for one in laboratory.droplets:
        eventually("it listens", 60, partial(listens, one))
    said = json.loads(laboratory.configuration.status_object(receiver))["receiver"]
    assert (said["address"], said["port"]) == (receiver.address, 9364)
    assert said["certificate"] == pinned(droplet, receiver)
    eventually("the store runs", 60, partial(_active, receiver, "victoria-metrics"))
    # The store takes these names from services, and no others.
    for one, service, name in (
        (droplet, "tenant-api", "http_server_active_requests"),
        (receiver, "worker", "presence360_job_wait_seconds_count"),
    ):
        forged = {"service.name": service, "group": "forged"}
        status = send(one, "metrics", gauge(name, **forged), service)[0]
        assert status == 200, (
            receiver.journal("presence360-otlp") + receiver.journal("victoria-metrics")[-1000:]
        )
        (found,) = eventually("it arrived", 20, partial(arrived, laboratory, name))
        # Which group it comes from, the token says.
        assert (found["service_name"], found["group"]) == (service, "app")
    # What is no trace is refused where traces are kept; else it goes nowhere, and nobody is told off.
    assert send(droplet, "traces", b"x")[0] == (400 if VICTORIA_TRACES else 200)


@pytest.mark.nightly("droplets")
def test_a_receiver_that_is_away_harms_no_service(laboratory: Laboratory) -> None:
    droplet, receiver = laboratory.droplets
    pinned(droplet, receiver)
    receiver.sh("systemctl stop presence360-telemetry.timer presence360-otlp")
    try:
        status, seconds = send(droplet, "metrics", gauge("lost"))
        assert status in {502, 504}
        assert seconds <= 5
        assert droplet.ask(API).status == 200
        assert droplet.health.status == 200
        assert droplet.metrics['presence360_service_healthy{service="tenant-api"}'] == 1
    finally:
        receiver.sh("systemctl start presence360-telemetry.timer presence360-telemetry")
    # Only a store takes anything: `make prove-alerts` has one.
    if not OBSERVED:
        return
    again = "presence360_job_duration_seconds_count"
    eventually("it is taken again", 30, lambda: send(droplet, "metrics", gauge(again))[0] == 200)
    eventually("it arrived", 20, partial(arrived, laboratory, again))


def test_who_has_no_token_is_refused_and_who_is_not_in_the_network_is_not_let_in(
    laboratory: Laboratory,
) -> None:
    droplet, receiver = laboratory.droplets
    program = f"""
import ssl, urllib.error, urllib.request
context = ssl._create_unverified_context()
def ask(**headers):
    url = "https://{receiver.address}:9364/v1/metrics"
    try:
        return urllib.request.urlopen(urllib.request.Request(url, b"x", headers), timeout=5, context=context).status
    except urllib.error.HTTPError as error:
        return error.code
print(ask(), ask(Authorization="Bearer " + 64 * "0"), ask(Authorization=""))
"""
    (droplet.root / "srv/ask.py").write_text(program)
    assert droplet.sh("python3 /srv/ask.py").split() == ["401", "401", "401"]


def test_containers_reach_the_listener_and_nothing_else_of_the_droplet(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    program = "import socket\nfor port in (22, 443, 4318, 9100, 9360, 9361, 9364):\n" \
        "  s = socket.socket(); s.settimeout(0.5)\n" \
        "  print(port, s.connect_ex(('172.30.0.1', port)) == 0)\n"  # fmt: skip
    (droplet.root / "srv/reach.py").write_text(program)
    found = droplet.sh("docker exec -i presence360-tenant-api-1 python - < /srv/reach.py").splitlines()
    assert [line for line in found if line.endswith("True")] == ["4318 True"]
    # Nobody else reaches it: somebody in the VPC who sets a route, for one.
    laboratory.network.ip("route", "replace", "172.30.0.1/32", "via", droplet.address)

    def reaches() -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("172.30.0.1", 4318)) == 0

    try:
        assert not laboratory.network.inside(reaches)
        # It is this rule that does it.
        droplet.sh("nft flush chain inet presence360 input")
        assert laboratory.network.inside(reaches)
    finally:
        droplet.sh("systemctl reload presence360-firewall")
        laboratory.network.ip("route", "delete", "172.30.0.1/32")
