"""Log lines of booted droplets, from the journal to the observability group, also those of a droplet that ends."""

import json
import secrets
import shlex
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from model.logs import FOLDER, LOCAL_JOURNAL_MIB
from model.plan import EnvironmentPlan
from ops.logs import Query, remote_command
from tests.droplets.conftest import DOMAIN, Laboratory
from tests.droplets.laboratory import Droplet, eventually
from tests.droplets.test_telemetry import pinned

API = f"api.{DOMAIN}"


def kept(receiver: Droplet, *filters: str, host: Droplet | None = None) -> list[dict[str, Any]]:
    """What the observability group has, of one droplet or all."""
    name = f"remote-127.{host.address.partition('.')[2]}*" if host else "*"
    shown = receiver.sh(
        f"journalctl --quiet --output=json --file='{FOLDER}/app/{name}.journal' {' '.join(filters)}",
        check=False,
    )
    return [json.loads(line) for line in shown.splitlines()]


def test_lines_of_services_nginx_and_the_system_are_kept_by_droplet(laboratory: Laboratory) -> None:
    droplet, receiver = laboratory.droplets
    pinned(droplet, receiver)
    word = secrets.token_hex(8)
    droplet.sh(
        f"docker exec presence360-tenant-api-1 python -c \"open('/proc/1/fd/1', 'w').write('{word}\\n')\""
    )
    droplet.sh(f"logger --tag operator {word}")
    path = f"/{word}?email=ada@example.org"
    assert droplet.ask(API, path).status == 200

    def found() -> dict[str, dict[str, Any]]:
        lines = kept(receiver, f"--grep={word}", host=droplet)
        return {line["SYSLOG_IDENTIFIER"]: line for line in lines}

    eventually("all three are kept", 60, lambda: set(found()) == {"tenant-api", "operator", "nginx"})
    service, request = found()["tenant-api"], json.loads(found()["nginx"]["MESSAGE"])
    assert (service["CONTAINER_TAG"], service["_HOSTNAME"]) == ("tenant-api", droplet.name)
    # Nothing of the query.
    assert (request["path"], request["host"]) == (f"/{word}", API)
    # `docker logs` shows a service's lines as before.
    assert droplet.sh("docker logs presence360-tenant-api-1 2>&1").count(word) == 1
    sent = "presence360_logs_sent_timestamp_seconds"
    eventually("it is measured", 60, lambda: droplet.metrics[sent] > 1.7e9)


def test_the_journal_is_bounded_and_a_units_burst_is_large(laboratory: Laboratory) -> None:
    shown = laboratory.droplet.sh("systemd-analyze cat-config systemd/journald.conf")
    assert shown.count(f"\nSystemMaxUse={LOCAL_JOURNAL_MIB // 1024}G\n") == 1
    assert shown.count("\nRateLimitBurst=50000\n") == 1


def test_old_files_are_set_aside_and_the_store_has_its_limits(laboratory: Laboratory) -> None:
    receiver = laboratory.droplets[1]
    receiver.sh("systemctl start presence360-logs-keep.service")
    eventually("it is measured", 30, lambda: receiver.metrics["presence360_logs_kept_success"] == 1)
    shown = receiver.sh("cat /run/systemd/journal-remote.conf.d/presence360.conf")
    assert shown == "[Remote]\nMaxUse=1024M\nKeepFree=1G\nMaxFileSize=32M\n"


@pytest.mark.nightly("droplets")
def test_what_journals_cost(laboratory: Laboratory) -> None:
    """A few megabytes; docs/logs.md has them."""
    droplet, receiver = laboratory.droplets
    for one, unit in ((droplet, "presence360-logs"), (receiver, "presence360-journal-app")):
        group = one.sh(f"systemctl show --value --property ControlGroup {unit}").strip()
        program = f"for pid in $(cat /sys/fs/cgroup{group}/cgroup.procs); do grep '^Pss:' /proc/$pid/smaps_rollup; done"
        shown = sum(int(line.split()[1]) for line in one.sh(program).splitlines()) / 1024
        sys.stdout.write(f"{unit}: {shown:.0f} MB\n")
        assert 0 < shown < 50


@pytest.mark.nightly("droplets")
class TestEnds:
    def test_the_last_lines_of_a_droplet_that_ends_are_kept(self, laboratory: Laboratory) -> None:
        droplet, receiver = laboratory.droplets
        pinned(droplet, receiver)
        word = secrets.token_hex(8)
        # A service that says its last word when Docker stops it.
        unit = (
            "[Unit]\nAfter=presence360-logs.service docker.service\n"
            "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"
            f"ExecStop=/usr/bin/logger --tag last {word}\n"
        )
        droplet.sh("mkdir -p /run/systemd/system")
        droplet.sh(f"printf '{unit.replace(chr(10), chr(92) + 'n')}' > /run/systemd/system/last.service")
        droplet.sh("systemctl daemon-reload && systemctl start last")
        said = f"echo {word} of a service"
        for service in laboratory.configuration.versions:
            droplet.sh(
                f"{said} > /proc/$(docker inspect -f '{{{{.State.Pid}}}}' presence360-{service}-1)/fd/1"
            )
        assert droplet.ask(API, f"/{word}").status == 200
        # As Terraform does before it destroys a droplet; nothing of this one is read from here on.
        droplet.shut_down()
        # What `presence360 logs staging tenant-api --grep ...` has the observability group's droplet run.
        environment = cast(EnvironmentPlan, SimpleNamespace(groups=(laboratory.plan,)))
        for what in (*laboratory.configuration.versions, "nginx", None):
            query = Query(what=what, grep=word, droplet=droplet.name)
            found = receiver.sh(shlex.join(remote_command(query, environment, ())), check=False).splitlines()
            tags = {json.loads(line).get("SYSLOG_IDENTIFIER") for line in found}
            assert tags == ({what} if what else {*laboratory.configuration.versions, "nginx", "last"}), what
        messages = [str(line["MESSAGE"]) for line in kept(receiver, "--boot=0", host=droplet)]
        assert [one for one in messages if one.startswith("Stopped docker.service")]
        droplet.boot()
        eventually("healthy", 60, lambda: droplet.health.status == 200)

    def test_nothing_is_lost_while_the_observability_group_is_away(self, laboratory: Laboratory) -> None:
        droplet, receiver = laboratory.droplets
        pinned(droplet, receiver)
        receiver.sh("systemctl stop presence360-telemetry.timer presence360-otlp")
        word = secrets.token_hex(8)
        droplet.sh(f"for number in $(seq 3000); do echo {word} $number; done | systemd-cat --identifier many")
        # It gives up, starts again, and goes on where it was: also over a reboot.
        eventually(
            "it gave up",
            60,
            lambda: int(droplet.sh("systemctl show --value --property NRestarts presence360-logs")) > 0,
        )
        droplet.reboot()
        assert kept(receiver, f"--grep={word}", host=droplet) == []
        receiver.sh("systemctl start presence360-telemetry.timer presence360-telemetry")

        def numbers() -> set[int]:
            return {
                int(line["MESSAGE"].split()[1]) for line in kept(receiver, f"--grep={word}", host=droplet)
            }

        eventually("every line is kept", 120, lambda: numbers() == set(range(1, 3001)))
