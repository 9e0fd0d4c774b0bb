"""Grafana on a booted droplet: who reaches it, and what it reaches. A stand-in plays it, and all else is real."""

import json
import re
from typing import Any

import pytest

from cloud_init.grafana import HOME, render_grafana
from cloud_init.observability import MESSAGES_PORT, RULES_PORT, STORE_PORT
from droplet.observability.dashboards import UNITS
from model.dashboards import GRAFANA_UID, PORT, READER_PORT
from model.services import HEALTH_PORT
from model.traces import STORE_PORT as TRACES_PORT
from tests.droplets.conftest import CLOUD_PORT, VICTORIA_TRACES, Laboratory, observed
from tests.droplets.laboratory import GATEWAY, Droplet, eventually
from tests.droplets.test_alerts import EXPOSURE, messages

# `messages` has the list of droplets, which everything here is asked through.
__all__ = ["messages"]
pytestmark = [observed, pytest.mark.usefixtures("messages")]


def ask(droplet: Droplet, path: str = "/", port: int = PORT) -> str:
    code = f'import urllib.request as r; print(r.urlopen("http://127.0.0.1:{port}{path}").read().decode())'
    return droplet.sh(f"python3 -c '{code}'", check=False).strip()


def about(droplet: Droplet) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(eventually("it answers", 90, lambda: ask(droplet)))
    return found


def test_it_is_another_user_who_can_change_nothing(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    said = about(droplet)
    assert said["uid"] == GRAFANA_UID
    assert said["key"] == 64
    assert said["writable"] == ["/var/lib/grafana"]
    assert said["beside"] == ["grafana"]
    assert {"grafana.ini", "dashboards/overview.json", "provisioning/datasources/sources.yaml"} <= set(
        said["files"]
    )
    # The key is in no file that stays, and on no command line.
    secret = "/run/presence360-grafana/secret.env"
    assert droplet.sh(f"stat --format=%a {secret}").strip() == "600"
    found = f"cut -d= -f2 {secret} > /run/key; grep --files-with-matches --text --file /run/key /proc/[0-9]*/cmdline"
    assert droplet.sh(f"{found}; rm /run/key", check=False) == ""


def test_it_reaches_the_metrics_through_their_reader_and_nothing_else(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    about(droplet)
    assert ask(droplet, f"/reach/127.0.0.1/{READER_PORT}") == "yes"
    for host, port in (
        *(("127.0.0.1", port) for port in (STORE_PORT, TRACES_PORT, RULES_PORT, MESSAGES_PORT, HEALTH_PORT)),
        ("169.254.169.254", 80),
        # As the internet.
        (GATEWAY, CLOUD_PORT),
    ):
        assert ask(droplet, f"/reach/{host}/{port}") == "ConnectionRefusedError", (host, port)
    table = droplet.sh("nft list table inet presence360_grafana")
    assert re.search(r"counter packets [1-9]\d* bytes \d+ reject", table)
    # Others go on: the rules are about one user.
    assert json.loads(ask(droplet, "/api/v1/query?query=1", STORE_PORT))["status"] == "success"
    assert json.loads(ask(droplet, "/api/v1/query?query=1", READER_PORT))["status"] == "success"
    if VICTORIA_TRACES:
        # As its plug-in for Jaeger asks; and nothing else of that store.
        try:
            found = eventually("the store answers", 60, lambda: ask(droplet, "/api/services", READER_PORT))
        except AssertionError as error:
            units = ("presence360-traces-store", "presence360-metrics-reader")
            said = "\n".join(droplet.journal(unit)[-1500:] for unit in units)
            direct = ask(droplet, "/select/jaeger/api/services", TRACES_PORT)
            raise AssertionError(f"{error}\ndirectly: {direct!r}\n{said}") from None
        assert json.loads(found)["errors"] is None
        assert ask(droplet, "/select/logsql/query?query=*", READER_PORT) == ""


def test_it_is_reached_on_loopback_and_through_ssh_alone(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    about(droplet)
    shown = droplet.sh("ss --no-header --listening --tcp --numeric").splitlines()
    ours = {line.split()[3] for line in shown if line.split()[3].endswith((f":{PORT}", f":{READER_PORT}"))}
    assert ours == {f"127.0.0.1:{PORT}", f"127.0.0.1:{READER_PORT}"}
    lines = set(droplet.sh("sshd -T").splitlines())
    assert {"allowtcpforwarding local", f"permitopen 127.0.0.1:{PORT}", "disableforwarding no"} <= lines
    assert {
        "allowagentforwarding no",
        "allowstreamlocalforwarding no",
        "x11forwarding no",
        "permittunnel no",
    } <= lines
    tunnel = (
        "set -eu; cd /srv; mkdir -p ~/.ssh; ssh-keygen -q -t ed25519 -N '' -f tunnel; "
        "cat tunnel.pub >> ~/.ssh/authorized_keys; "
        "ssh -f -N -i tunnel -o StrictHostKeyChecking=no -o LogLevel=ERROR -o ControlMaster=yes -S /srv/control "
        f"-L 13000:127.0.0.1:{PORT} -L 18428:127.0.0.1:{STORE_PORT} -L 13001:localhost:{PORT} root@127.0.0.1"
    )
    droplet.sh(tunnel, timeout=60)
    try:
        assert json.loads(ask(droplet, port=13000))["uid"] == GRAFANA_UID
        # Its port by that address and no other, and no other port.
        assert ask(droplet, "/api/v1/query?query=1", 18428) == ""
        assert ask(droplet, port=13001) == ""
    finally:
        droplet.sh(
            "ssh -S /srv/control -O exit root@127.0.0.1; sed -i '$d' ~/.ssh/authorized_keys", check=False
        )


def test_another_dashboard_restarts_nothing(laboratory: Laboratory) -> None:
    droplet, plan = laboratory.droplet, laboratory.plan.observability
    assert plan
    assert plan.grafana
    about(droplet)
    container = droplet.sh("docker inspect --format '{{.Id}}' presence360-grafana")
    before = render_grafana(plan.grafana)
    changed = json.loads(before)
    changed["files"]["dashboards/overview.json"] = '{"title": "changed"}'
    configuration = laboratory.configuration
    configuration.change(put={"dashboards.json": json.dumps(changed)}, whole=False)
    try:
        installed = f"grep --count changed {HOME}/dashboards/overview.json"
        eventually("it is there", 90, lambda: droplet.sh(installed, check=False).strip() == "1")
        assert droplet.sh("docker inspect --format '{{.Id}}' presence360-grafana") == container
    finally:
        configuration.change(put={"dashboards.json": before})


def test_its_units_may_do_no_more_than_they_have_to(laboratory: Laboratory) -> None:
    droplet, services = laboratory.droplet, " ".join(UNITS)
    assert droplet.sh(f"cd /etc/systemd/system && systemd-analyze verify --man=no {services} 2>&1") == ""
    said = droplet.sh(f"for one in {services}; do systemd-analyze security --no-pager $one | tail -1; done")
    found = {match[1]: float(match[2]) for match in re.finditer(r"for (\S+): ([\d.]+) ", said)}
    assert set(found) == set(UNITS)
    assert {unit: score for unit, score in found.items() if score > EXPOSURE} == {}
