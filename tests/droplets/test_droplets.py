"""Two droplets that boot for real, and everything that happens to them, as programs and requests see it.

In one file, because files are what workers share: the droplets boot once.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from cloud_init.nginx import CONNECTIONS
from cloud_init.programs import render_programs
from cloud_init.rate_limits import PAGE_REQUESTS
from model.access import BRIDGE_ADDRESS, OTLP_BRIDGE_PORT, OTLP_PORT
from model.maintenance import MaintenancePlan, TenantInMaintenance
from model.runs import (
    RunRequest,
    RunStatus,
    parse_record,
    parse_run,
    record_key,
    request_key,
    run_key,
)
from model.scheduled_jobs import JOBS_KEY
from model.services import CATALOGUE
from model.status import status_key
from tests.droplets.conftest import (
    DOMAIN,
    GONE_TENANT,
    OBSERVED,
    PAUSED_TENANT,
    SLOW_TENANT,
    TIMING,
    Configuration,
    Laboratory,
)
from tests.droplets.laboratory import GATEWAY, METADATA, OUTSIDE, Droplet, ask_https, eventually
from tests.support import ROOT

# What systemd-analyze security says at most, from 0 to 10. Docker and containerd share the host's mount namespace and
# make namespaces (cloud_init/templates/sandbox.j2), so they get no further.
EXPOSURE = 4.0
EXPOSURE_OF_CONTAINERS = {"docker.service": 7.1, "containerd.service": 7.1}


def test_cloud_init_finishes_without_errors_or_warnings(laboratory: Laboratory) -> None:
    for droplet in laboratory.droplets:
        status = json.loads(droplet.sh("cloud-init status --format json"))
        assert (status["status"], status["errors"], status["recoverable_errors"]) == ("done", [], {})
        assert droplet.sh("grep -E 'WARNING|ERROR|Traceback' /var/log/cloud-init.log || true") == ""


def test_cloud_inits_own_schema_accepts_the_user_data(laboratory: Laboratory) -> None:
    shown = laboratory.droplet.sh(
        "cloud-init schema --config-file /var/lib/cloud/seed/nocloud/user-data 2>&1"
    )
    assert shown.startswith("Valid schema"), shown


def test_a_droplet_with_an_empty_bucket_waits_for_it(laboratory: Laboratory) -> None:
    assert set(laboratory.first_boot) == {droplet.name for droplet in laboratory.droplets}
    for status, body, metrics in laboratory.first_boot.values():
        assert (status, body) == (503, "no release")
        assert metrics["presence360_fetch_success"] == 0
        assert metrics['presence360_programs_info{digest="none"}'] == 1
        assert not any(name.startswith("presence360_converge") for name in metrics)


def test_the_groups_buckets_are_reached_as_they_are_named(laboratory: Laboratory) -> None:
    droplet, config = laboratory.droplet, laboratory.plan.config
    rclone = "rclone --config /etc/presence360/rclone.conf"

    def keys(bucket: str) -> list[str]:
        listed = laboratory.configuration.store().list_objects_v2(Bucket=bucket)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    inside = laboratory.network.inside
    # On DigitalOcean the instance's id is the droplet's.
    statuses = [status_key(one.name) for one in laboratory.droplets]
    assert inside(lambda: keys(config.status_bucket)) == statuses
    assert inside(lambda: keys(config.control_status_bucket)) == []
    store = laboratory.configuration.store
    inside(lambda: store().put_object(Bucket=config.control_status_bucket, Key="control.json", Body=b"{}"))
    assert droplet.sh(f"{rclone} cat control-status:control.json") == "{}"
    named = json.loads(droplet.sh("cat /etc/presence360/group.json"))["buckets"]
    assert named == {
        "config": config.bucket,
        "status": config.status_bucket,
        "control_status": config.control_status_bucket,
    }


def test_no_unit_has_failed(laboratory: Laboratory) -> None:
    for droplet in laboratory.droplets:
        assert droplet.sh("systemctl --failed --plain --no-legend") == ""


def test_units_are_what_systemd_wants(laboratory: Laboratory) -> None:
    # Verified with their drop-ins; --man=no, because the image has no man pages.
    units = "presence360-*.service presence360-*.timer presence360-*.path nginx.service pgbouncer.service"
    verify = f"cd /etc/systemd/system && systemd-analyze verify --man=no {units} 2>&1"
    assert laboratory.droplet.sh(verify) == ""


def test_no_unit_is_exposed_more_than_this(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    listed = droplet.sh("systemctl list-unit-files --no-legend --type service 'presence360-*'").splitlines()
    limits = {line.split()[0]: EXPOSURE for line in listed}
    assert len(limits) >= 9
    limits |= {"nginx.service": EXPOSURE, "pgbouncer.service": EXPOSURE, **EXPOSURE_OF_CONTAINERS}
    said = droplet.sh(
        f"for one in {' '.join(limits)}; do systemd-analyze security --no-pager $one | tail -1; done"
    )
    found = {match[1]: float(match[2]) for match in re.finditer(r"for (\S+): ([\d.]+) ", said)}
    assert set(found) == set(limits)
    assert {unit: score for unit, score in found.items() if score > limits[unit]} == {}


def test_every_program_agrees_with_its_configuration(laboratory: Laboratory) -> None:
    laboratory.droplet.sh("nginx -t -q -c /var/lib/presence360/current/nginx.conf")
    laboratory.droplet.sh("cd /var/lib/presence360/current && docker compose --env-file images.env config -q")
    laboratory.droplet.sh("dockerd --validate --config-file /etc/docker/daemon.json")
    laboratory.droplet.sh("sshd -t && nft --check --file /etc/presence360/firewall.nft")
    laboratory.droplet.sh("unattended-upgrade --help >/dev/null && apt-config dump >/dev/null")


def test_ssh_takes_keys_and_forwards_nothing(laboratory: Laboratory) -> None:
    lines = set(laboratory.droplet.sh("sshd -T").splitlines())
    assert lines >= {
        "permitrootlogin without-password",
        "authenticationmethods publickey",
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "permitemptypasswords no",
        # Where there is a Grafana: test_grafana.py.
        *(() if OBSERVED else ("disableforwarding yes", "allowtcpforwarding no")),
        "allowagentforwarding no",
        "allowstreamlocalforwarding no",
        "x11forwarding no",
        "permittunnel no",
    }
    algorithms = {line.split()[0]: line for line in lines if line.startswith(("macs ", "ciphers ", "kexalg"))}
    assert set(algorithms) == {"macs", "ciphers", "kexalgorithms"}
    assert "hmac-sha2-512-etm@openssh.com" in algorithms["macs"]
    for weak in ("sha1", "umac-64", "md5", "cbc", "3des", "arcfour", "group1-", "group14-sha1"):
        assert not [line for line in algorithms.values() if weak in line], weak
    assert laboratory.droplet.sh("passwd --status root").split()[1] == "L"
    assert laboratory.droplet.sh("systemctl is-active ssh.service ssh.socket || true").split()[0] == "active"


def test_droplets_reboot_at_different_times(laboratory: Laboratory) -> None:
    key = "Unattended-Upgrade::Automatic-Reboot-Time"
    times = [droplet.sh(f"apt-config dump {key}") for droplet in laboratory.droplets]
    assert times == [f'{key} "01:00";\n', f'{key} "01:10";\n']
    shown = laboratory.droplet.sh("apt-config dump Unattended-Upgrade::Automatic-Reboot")
    assert 'Unattended-Upgrade::Automatic-Reboot "true";' in shown


def test_only_root_reads_the_key_and_the_secrets(laboratory: Laboratory) -> None:
    stat = "stat --format '%a %U' /etc/presence360/rclone.conf /var/lib/presence360/current/secrets.*.env"
    assert laboratory.droplet.sh(stat).splitlines() == ["600 root"] * (1 + len(CATALOGUE))
    assert laboratory.droplet.sh("stat --format '%a' /var/lib/presence360/incoming").strip() == "700"
    # User data is on every droplet's disk too, in cloud-init's own folders.
    loose = "find /var/lib/cloud -type f -perm /044 -exec grep -l of-the-bucket {} + || true"
    found = [path for path in laboratory.droplet.sh(loose).split() if "/seed/" not in path]
    assert found == []


@pytest.mark.parametrize(
    ("host", "service"),
    [
        (f"api.{DOMAIN}", "tenant-api"),
        (f"app.{DOMAIN}", "web-tenant"),
        (f"grace.{DOMAIN}", "web-tenant"),
        (DOMAIN, "web-tenant"),
        (f"cp.{DOMAIN}", "control-plane-api"),
        (f"admin.{DOMAIN}", "web-control-plane"),
    ],
)
def test_a_request_reaches_the_service_of_its_host(laboratory: Laboratory, host: str, service: str) -> None:
    answer = laboratory.droplet.ask(host, "/a?b=c")
    assert (answer.status, answer.json["presence360_service"]) == (200, service)
    assert answer.json["headers"]["Host"] == host


@pytest.mark.parametrize("host", ["example.com", f"a.b.{DOMAIN}", "staging.presence360.app.example.com"])
def test_an_unknown_host_is_refused(laboratory: Laboratory, host: str) -> None:
    with pytest.raises((OSError, Exception), match=r"without response|closed|EOF|reset"):
        laboratory.droplet.ask(host)


def test_the_clients_address_is_the_load_balancers_word(laboratory: Laboratory) -> None:
    said = {"X-Forwarded-For": "192.0.2.1, 192.0.2.77"}
    trusted = laboratory.droplet.ask(f"api.{DOMAIN}", headers=said).json["headers"]
    assert trusted["X-Real-IP"] == trusted["X-Forwarded-For"] == "192.0.2.77"
    forged = laboratory.droplet.ask(f"api.{DOMAIN}", headers=said, source=OUTSIDE).json["headers"]
    assert forged["X-Real-IP"] == forged["X-Forwarded-For"] == OUTSIDE


def test_web_sockets_pass(laboratory: Laboratory) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    answer = laboratory.droplet.ask(f"api.{DOMAIN}", headers=upgrade)
    assert (answer.status, answer.headers["Upgrade"]) == (101, "websocket")


def test_no_other_upgrade_passes(laboratory: Laboratory) -> None:
    upgrade = {
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": "h2c",
        "HTTP2-Settings": "AAMAAABkAAQAAP__",
    }
    answer = laboratory.droplet.ask(f"api.{DOMAIN}", headers=upgrade)
    assert answer.status == 200
    passed = {name.lower(): value for name, value in answer.json["headers"].items()}
    assert "upgrade" not in passed
    assert "upgrade" not in passed.get("connection", "").lower()


def test_nginx_takes_no_old_cipher(laboratory: Laboratory) -> None:
    """As a load balancer that may use TLS 1.2."""
    droplet = laboratory.droplet
    ask = f"echo | openssl s_client -connect {droplet.address}:443 -tls1_2 -cipher {{}}:@SECLEVEL=0 2>&1"
    assert "ECDHE-ECDSA-AES128-GCM-SHA256" in droplet.sh(ask.format("ECDHE-ECDSA-AES128-GCM-SHA256"))
    for old in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-CAMELLIA128-SHA256", "ECDHE-ECDSA-ARIA128-GCM-SHA256"):
        assert "handshake failure" in droplet.sh(ask.format(old), check=False), old


def test_a_body_has_a_limit(laboratory: Laboratory) -> None:
    assert laboratory.droplet.ask(f"api.{DOMAIN}", body=b"x" * 2**21).status == 200
    headers = {"Content-Length": str(26 * 2**20), "Expect": "100-continue"}
    assert laboratory.droplet.ask(f"api.{DOMAIN}", headers=headers, body=b"").status == 413


def test_a_tenant_has_its_own_request_limit(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet

    def ask(host: str, client: str, number: int) -> list[int]:
        headers = {"X-Forwarded-For": client}
        return laboratory.network.inside(
            lambda: [ask_https(droplet.address, host, headers=headers).status for _ in range(number)]
        )

    # A page of requests at once, and then one in two seconds (cloud_init/rate_limits.py).
    slow = ask(SLOW_TENANT, "2001:db8:1:2::1", PAGE_REQUESTS) + ask(SLOW_TENANT, "2001:db8:1:2::2", 40)
    assert set(slow[:PAGE_REQUESTS]) == {200}
    assert slow[PAGE_REQUESTS:].count(429) >= 20
    # Another client of the same church, and another church.
    assert set(ask(SLOW_TENANT, "2001:db8:1:3::1", 12)) == {200}
    assert set(ask(f"grace.{DOMAIN}", "2001:db8:1:2::1", 12)) == {200}
    # One in two seconds is answered.
    asked = (droplet.ask(SLOW_TENANT, headers={"X-Forwarded-For": "2001:db8:1:2::3"}) for _ in range(20))
    limited = next(answer for answer in asked if answer.status == 429)
    assert limited.headers["Retry-After"] == "5"
    assert limited.headers["RateLimit-Policy"].startswith('"client";q=80;w=160, ')


def test_headers_may_be_large_and_what_is_larger_is_refused_by_nginx(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    for host in (f"api.{DOMAIN}", f"app.{DOMAIN}"):
        cookie = "c=" + "x" * 9_000
        assert droplet.ask(host, headers={"Cookie": cookie}).json["headers"]["Cookie"] == cookie
        assert droplet.ask(host, headers={"Cookie": "x" * 17_000}).status == 400


def test_a_droplet_has_room_for_many_connections(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    assert droplet.sh("ss --no-header --listening --tcp --numeric 'sport = 443'").split()[2] == str(
        CONNECTIONS
    )
    limits = droplet.sh(
        "for pid in $(pgrep --parent $(cat /run/nginx.pid)); do grep 'open files' /proc/$pid/limits; done"
    ).splitlines()
    assert {tuple(line.split()[3:5]) for line in limits} == {("16384", "16384")}
    inside = "docker exec presence360-tenant-api-1 python -c"
    backlog = "print(open('/proc/sys/net/core/somaxconn').read())"
    asked = f"import resource as r; print(*r.getrlimit(r.RLIMIT_NOFILE)); {backlog}"
    assert droplet.sh(f'{inside} "{asked}"').split() == ["16384", "16384", "4096"]
    # Times in logs and answers are UTC (docs/requests.md).
    assert droplet.sh(f"{inside} 'import time; print(time.tzname[0])'; date +%Z").split() == ["UTC", "UTC"]


def test_a_name_that_is_no_tenants_gets_one_answer_and_all_of_them_share_one_limit(
    laboratory: Laboratory,
) -> None:
    droplet = laboratory.droplet
    mark = {"User-Agent": "invented", "X-Forwarded-For": "192.0.2.77"}
    first, second = (droplet.ask(f"invented-{name}.{DOMAIN}", f"/{name}", headers=mark) for name in "ab")
    assert (first.status, first.body) == (second.status, second.body)
    assert first.status == 404
    assert "no church at this address" in first.body
    assert first.headers["Cache-Control"] == "no-store"

    def invent() -> list[int]:
        hosts = [f"invented-{number}.{DOMAIN}" for number in range(60)]
        return [ask_https(droplet.address, host, headers=mark).status for host in hosts]

    statuses = laboratory.network.inside(invent)
    # Five a second, and as many at once.
    assert set(statuses) == {404, 429}
    assert statuses.count(429) >= 5
    # A church is not counted with them.
    assert droplet.ask(f"grace.{DOMAIN}").status == 200
    logged = droplet.sh('grep \'"agent":"invented"\' /var/log/nginx/access.log').splitlines()
    assert {json.loads(line)["upstream"] for line in logged} == {""}


@pytest.mark.parametrize(
    ("host", "status", "retry"), [(PAUSED_TENANT, 503, "3600"), (GONE_TENANT, 410, None)]
)
def test_a_closed_tenant_is_answered_by_nginx_and_by_nothing_behind_it(
    laboratory: Laboratory, host: str, status: int, retry: str | None
) -> None:
    droplet = laboratory.droplet
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    mark = {"User-Agent": f"closed-{status}", "X-Forwarded-For": "192.0.2.77"}
    answers = [
        droplet.ask(host, "/any/path?b=c", headers=mark),
        droplet.ask(host, "/healthz", headers=mark),
        droplet.ask(host, headers={**mark, **upgrade}),
        droplet.ask(host, headers=mark, body=b"x" * 2**20),
    ]
    for answer in answers:
        assert answer.status == status
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers.get("Retry-After") == retry
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert "administrator" in answer.body

    def logged() -> list[str]:
        found = droplet.sh(f"grep closed-{status} /var/log/nginx/access.log", check=False).splitlines()
        return found if len(found) == len(answers) else []

    for line in eventually("all are logged", 5, logged):
        entry = json.loads(line)
        assert (entry["status"], entry["upstream"], entry["remote"]) == (str(status), "", "192.0.2.77")
    # Neither the health check nor another tenant notices.
    assert droplet.health.status == 200
    assert droplet.ask(f"grace.{DOMAIN}").status == 200


@pytest.mark.usefixtures("put_back")
def test_maintenance_closes_names_and_nothing_else(laboratory: Laboratory) -> None:
    droplet, configuration = laboratory.droplet, laboratory.configuration
    release, began = configuration.digest, droplet.sh("docker ps --quiet --no-trunc")
    pages = (f"app.{DOMAIN}", DOMAIN, f"grace.{DOMAIN}", f"admin.{DOMAIN}")
    programs = (f"api.{DOMAIN}", f"cp.{DOMAIN}")

    def ask(host: str, client: str = "192.0.2.77") -> int:
        return droplet.ask(host, headers={"X-Forwarded-For": client}).status

    def told(environment: bool, *slugs: str) -> None:
        tenants = tuple(TenantInMaintenance(id=slug, slug=slug, queue_prefix=slug) for slug in slugs)
        configuration.maintenance = MaintenancePlan(environment=environment, tenants=tenants)
        configuration.publish()

    told(False, "grace")
    eventually("the church is closed", 30, lambda: ask(f"grace.{DOMAIN}") == 503)
    assert {host: ask(host) for host in (*pages, *programs)} == {
        **dict.fromkeys((*pages, *programs), 200),
        f"grace.{DOMAIN}": 503,
    }
    told(True)
    eventually("the environment is closed", 30, lambda: ask(f"api.{DOMAIN}") == 503)
    for host in (*pages, *programs):
        answer = droplet.ask(host, "/any?a=b", headers={"X-Forwarded-For": "192.0.2.77"}, body=b"x" * 2**20)
        assert answer.status == 503
        assert (answer.headers["Retry-After"], answer.headers["Cache-Control"]) == ("120", "no-store")
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        if host in programs:
            assert answer.headers["Content-Type"] == "application/json"
            assert json.loads(answer.body)["detail"].startswith("We are working on this service.")
        else:
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            assert "<h1>Back soon</h1>" in answer.body
        # An administrator looks at it before everybody may.
        assert ask(host, "198.51.100.7") == 200
    # No request of a client reaches nginx's own answer by its path.
    assert (
        droplet.ask(
            f"app.{DOMAIN}", "/presence360-maintenance", headers={"X-Forwarded-For": "198.51.100.7"}
        ).status
        == 404
    )
    assert ask(f"gone.{DOMAIN}") == 410
    assert droplet.health.status == 200
    worker = droplet.sh(
        "docker exec presence360-worker-1 python -c \"print(open('/etc/presence360/maintenance.json').read())\""
    )
    assert json.loads(worker) == {"environment": True, "tenants": []}
    eventually("it says so", 30, lambda: configuration.status(droplet).closed == "environment")
    said = configuration.status(droplet)
    assert (said.phase, said.release) == ("serving", release)
    assert droplet.metrics["presence360_maintenance"] == 1
    told(False)
    eventually("everything is served", 30, lambda: ask(f"api.{DOMAIN}") == 200)
    assert {ask(host) for host in (*pages, *programs)} == {200}
    assert droplet.sh("docker ps --quiet --no-trunc") == began


@dataclass(frozen=True)
class Runs:
    """Runs on the droplets of a laboratory, as an operator's machine sees them."""

    laboratory: Laboratory

    def put(self, bucket: str, key: str, body: bytes) -> None:
        store = self.laboratory.configuration.store
        self.laboratory.network.inside(lambda: store().put_object(Bucket=bucket, Key=key, Body=body))

    def said(self, key: str) -> bytes | None:
        """What the droplets wrote into their status bucket."""

        def read() -> bytes | None:
            store, bucket = self.laboratory.configuration.store(), self.laboratory.plan.config.status_bucket
            listed = store.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
            return bytes(store.get_object(Bucket=bucket, Key=key)["Body"].read()) if listed else None

        return self.laboratory.network.inside(read)

    def ask(self, run_id: str, *command: str, cancelled: bool = False) -> None:
        request = RunRequest(
            service="worker",
            command=command,
            by="a test",
            time=datetime.now(UTC),
            timeout_seconds=60,
            cancelled=cancelled,
        )
        self.put(self.laboratory.plan.config.bucket, request_key(run_id), request.as_json())

    def wait(self, run_id: str, ask: Callable[[RunStatus], bool]) -> RunStatus:
        found: list[RunStatus] = []

        def asked() -> bool:
            content = self.said(run_key(run_id))
            found[:] = [parse_run(content)] if content else []
            return bool(found) and ask(found[0])

        try:
            eventually(f"run {run_id}", 45, asked)
        except AssertionError as error:
            journal = self.laboratory.droplet.journal("presence360-jobs")[-3000:]
            raise AssertionError(f"{error}\n{found}\n{journal}") from None
        return found[0]

    def end(self, run_id: str) -> RunStatus:
        return self.wait(run_id, lambda status: status.state == "ended")


@pytest.fixture
def runs(laboratory: Laboratory) -> Iterator[Runs]:
    """Runs that leave nothing behind, and no service disturbed."""
    began = laboratory.droplet.sh("docker ps --quiet --no-trunc")
    yield Runs(laboratory)
    keys = (JOBS_KEY, *map(request_key, ("about", "long")))
    laboratory.configuration.change(delete=keys)
    assert laboratory.droplet.sh("docker ps --quiet --no-trunc") == began
    assert laboratory.droplets[1].sh("docker ps --all --quiet --filter label=app.presence360.job") == ""
    assert laboratory.droplet.health.status == 200


@pytest.mark.nightly("droplets")
def test_a_run_is_what_its_service_is_and_tells_its_output(laboratory: Laboratory, runs: Runs) -> None:
    about = (
        "import os, pathlib, sys; print(os.getuid(), os.environ['PRESENCE360_SERVICE'], os.environ['OF_WORKER']); "
        "print('$HOME', sys.argv[1:]); print(os.access('/', os.W_OK), os.access('/tmp', os.W_OK)); "
        "print('CapEff:\\t0000000000000000' in pathlib.Path('/proc/self/status').read_text()); sys.exit(3)"
    )
    runs.ask("about", "python", "-c", about, "a b", "$c")
    found = runs.end("about")
    assert (found.result, found.exit_status, found.name) == ("failed", 3, laboratory.droplet.name)
    assert found.output.splitlines() == ["1000 worker ***", "$HOME ['a b', '$c']", "False True", "True"]
    runs.ask("long", "python", "-u", "-c", "import time; print('begun'); time.sleep(300)")
    runs.wait("long", lambda status: status.state == "running" and status.output == "begun\n")
    runs.ask("long", "python", cancelled=True)
    assert runs.end("long").result == "cancelled"


def test_a_job_runs_when_it_is_due(laboratory: Laboratory, runs: Runs) -> None:
    schedule = dict.fromkeys(("minutes", "hours", "days", "months", "weekdays"))
    command = ["python", "-c", "print('reported')"]
    job = {"service": "worker", "command": command, "schedule": schedule, "timeout_seconds": 60}
    # As if it had been due before, so that it need not wait for the next minute.
    long_ago = dict.fromkeys(("due", "time"), "2026-01-01T00:00:00Z")
    texts = dict.fromkeys(("droplet", "name", "reason"), "")
    nothing = dict.fromkeys(("run", "started", "ended", "deadline", "exit_status", "last_success"))
    before = {"job": "report", "service": "worker", "state": "ok", **long_ago, **texts, **nothing}
    runs.put(laboratory.plan.config.status_bucket, record_key("report"), json.dumps(before).encode())
    laboratory.configuration.change(put={JOBS_KEY: json.dumps({"jobs": {"report": job}})})

    def ran() -> str | None:
        record = parse_record(runs.said(record_key("report")) or b"")
        return record.run if record.state == "ok" else None

    run_id = eventually("the job ran", 60, ran)
    assert run_id
    assert runs.end(run_id).output == "reported\n"
    success = 'presence360_scheduled_job_success{name="report"}'
    eventually("metrics", 20, lambda: laboratory.droplet.metrics.get(success) == 1)


def test_the_log_is_json_without_query_strings(laboratory: Laboratory) -> None:
    mark = {"User-Agent": 'the "log" test', "Referer": "https://example.com/?email=somebody"}
    laboratory.droplet.ask(f"api.{DOMAIN}", "/people?email=somebody%40example.com", headers=mark)
    log = eventually(
        "the request is logged",
        5,
        lambda: laboratory.droplet.sh("grep 'log.. test' /var/log/nginx/access.log", check=False),
    )
    entry = json.loads(log.splitlines()[-1])
    assert entry["path"] == "/people"
    assert entry["host"] == f"api.{DOMAIN}"
    assert entry["status"] == entry["upstream_status"] == "200"
    assert float(entry["upstream_seconds"]) <= entry["seconds"] + 0.01
    assert laboratory.droplet.sh("cat /var/log/nginx/*").count("somebody") == 0


def test_headers_keep_browsers_careful(laboratory: Laboratory) -> None:
    headers = laboratory.droplet.ask(f"app.{DOMAIN}").headers
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Server"] == "nginx"


def test_metrics_are_for_the_vpc(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    assert droplet.metrics["presence360_healthy"] == 1
    assert droplet.metrics['presence360_service_up{service="tenant-api"}'] == 1
    assert droplet.metrics["presence360_converge_success"] == 1
    assert droplet.metrics["nginx_requests_total"] > 1
    assert laboratory.network.http(droplet.address, 9360, "/metrics", source=OUTSIDE).status == 403
    # prometheus would say so too: one line a sample, and no name twice.
    text = laboratory.network.http(droplet.address, 9360, "/metrics").body
    samples = [line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(samples) == len(set(samples))


def test_nothing_else_listens_where_others_reach_it(laboratory: Laboratory) -> None:
    shown = laboratory.droplet.sh("ss --no-header --listening --tcp --udp --numeric").splitlines()
    addresses = [line.split()[4] for line in shown]
    # systemd-resolved listens there for the droplet itself.
    outside = [address for address in addresses if not address.startswith(("127.", "[::1]"))]
    # Telemetry: of containers on their bridge, and of droplets on the private address.
    bridge, private = f"{BRIDGE_ADDRESS}:{OTLP_BRIDGE_PORT}", f"{laboratory.droplet.address}:{OTLP_PORT}"
    assert {bridge, private} <= set(outside)
    others = set(outside) - {bridge, private}
    assert {address.rsplit(":", 1)[1] for address in others} == {"22", "443", "9360"}


ASK_METADATA = f"import urllib.request as r; print(r.urlopen('http://{METADATA}/', timeout=0.7).read())"
"""A program: what the metadata address says."""


def _reaches(address: str, port: int) -> str:
    """Return a program that tells whether a TCP port answers."""
    # A traceback of Python 3.13 quotes the program, so its word is not in it.
    return f"import socket; socket.create_connection(('{address}', {port}), 0.7); print('open'.upper())"


def test_containers_reach_neither_the_metadata_address_nor_the_droplet(laboratory: Laboratory) -> None:
    droplet, neighbour = laboratory.droplets
    inspect = (
        "docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Gateway}}{{end}}'"
    )

    def open_doors() -> set[str]:
        container, gateway = droplet.sh(f"{inspect} presence360-tenant-api-1").split()
        neighbour.sh(f"ip route replace {container} via {droplet.address}")
        inside = "docker exec presence360-tenant-api-1 python -c"
        doors = {
            "metadata": (droplet, f'{inside} "{ASK_METADATA}" 2>&1', "secrets"),
            "sshd": (droplet, f'{inside} "{_reaches(droplet.address, 22)}" 2>&1', "OPEN"),
            "nginx": (droplet, f'{inside} "{_reaches(gateway, 443)}" 2>&1', "OPEN"),
            "a neighbour's container": (neighbour, f'python3 -c "{_reaches(container, 8000)}" 2>&1', "OPEN"),
        }
        try:
            # At the same time, because silence takes its time.
            with ThreadPoolExecutor() as pool:
                said = pool.map(lambda door: door[0].sh(door[1], check=False), doors.values())
                return {
                    name for (name, door), text in zip(doors.items(), said, strict=True) if door[2] in text
                }
        finally:
            neighbour.sh(f"ip route delete {container}")

    # Docker writes its own rules again when it starts.
    droplet.sh("systemctl restart docker", timeout=60)
    eventually(
        "docker is back",
        30,
        lambda: droplet.sh("docker exec presence360-tenant-api-1 python -c 'print(1)'") == "1\n",
    )
    assert open_doors() == set()
    # It is these rules that do it.
    droplet.sh("nft delete table inet presence360")
    try:
        assert len(open_doors()) == 4
    finally:
        droplet.sh("systemctl reload presence360-firewall")
    assert open_doors() == set()
    eventually("healthy again", 30, lambda: droplet.health.status == 200)


def test_of_the_droplets_users_root_and_the_metrics_agent_reach_the_metadata_address(
    laboratory: Laboratory,
) -> None:
    droplet = laboratory.droplet

    def reaches(user: str) -> bool:
        return "secrets" in droplet.sh(
            f'setpriv --reuid {user} --clear-groups python3 -c "{ASK_METADATA}" 2>&1', check=False
        )

    assert [user for user in ("root", "www-data", "nobody") if reaches(user)] == ["root"]
    # As the agent's package does, at any time (digitalocean/do-agent, packaging/scripts/after_install.sh).
    droplet.sh("useradd -s /bin/false -M --system do-agent")
    try:
        eventually("the agent reaches it", 10, lambda: reaches("do-agent"), pause=0.2)
        droplet.sh("systemctl reload presence360-firewall")
        eventually("and after a reload", 10, lambda: reaches("do-agent"), pause=0.2)
        assert not reaches("www-data")
        number = droplet.sh("id -u do-agent").strip()
    finally:
        droplet.sh("userdel do-agent")
    # Another user may get its number.
    eventually("no longer", 10, lambda: not reaches(number), pause=0.2)


def test_a_flood_of_health_checks_takes_no_droplet_out(laboratory: Laboratory) -> None:
    """Through the load balancer, which adds X-Forwarded-For, with a host name that nobody has."""
    droplet, statuses = laboratory.droplet, list[int]()

    def flood() -> None:
        headers = {"X-Forwarded-For": "192.0.2.77"}
        statuses.extend(
            ask_https(droplet.address, "anything.example", "/healthz", headers=headers).status
            for _ in range(20)
        )

    clients = [threading.Thread(target=laboratory.network.inside, args=(flood,)) for _ in range(20)]
    for client in clients:
        client.start()
    checks = [droplet.health.status for _ in range(10)]
    for client in clients:
        client.join()
    assert set(checks) == {200}
    assert len(statuses) == 400
    # Five a second, and as many at once.
    assert statuses.count(200) < 100
    assert set(statuses) == {200, 429}


def test_old_libraries_are_left_without_a_question_and_what_serves_waits_for_its_reboot(
    laboratory: Laboratory,
) -> None:
    droplet = laboratory.droplet
    processes = "systemctl show --value --property MainPID presence360-health nginx"
    health, nginx = droplet.sh(processes).split()
    # As an upgrade of the package does: the same file, and those who run have the old one.
    droplet.sh(
        "cd /usr/lib/x86_64-linux-gnu && cp --preserve=mode libssl.so.3 libssl.new && mv libssl.new libssl.so.3"
    )
    try:
        droplet.sh("DEBIAN_FRONTEND=noninteractive needrestart </dev/null")
        restarted, same = droplet.sh(processes).split()
        assert health != restarted
        assert nginx == same
        assert droplet.sh("ls /run/reboot-required") == "/run/reboot-required\n"
    finally:
        droplet.sh("rm -f /run/reboot-required; systemctl restart nginx", timeout=60)
    eventually("healthy", 30, lambda: droplet.health.status == 200)


def test_containers_may_do_little(laboratory: Laboratory) -> None:
    assert laboratory.droplet.ask(f"api.{DOMAIN}").json["uid"] == 1000
    inspected = json.loads(laboratory.droplet.sh("docker inspect $(docker ps --quiet)"))
    assert len(inspected) == 5
    for container in inspected:
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges=true" in host["SecurityOpt"]
        assert {port["HostIp"] for ports in host["PortBindings"].values() for port in ports} <= {"127.0.0.1"}
        # Where the journal does not take a line at once, the service does not wait for it.
        assert (host["LogConfig"]["Type"], host["LogConfig"]["Config"]["mode"]) == (
            "journald",
            "non-blocking",
        )
        status = f"grep -E 'CapEff|NoNewPrivs' /proc/{container['State']['Pid']}/status"
        assert laboratory.droplet.sh(status).split() == ["CapEff:", "0" * 16, "NoNewPrivs:", "1"]


def test_containers_do_not_reach_each_other(laboratory: Laboratory) -> None:
    ask = "import urllib.request as r; r.urlopen('http://control-plane-api:8000/', timeout=2)"
    refused = laboratory.droplet.sh(f'docker exec presence360-tenant-api-1 python -c "{ask}" 2>&1 || true')
    assert "timed out" in refused


def test_a_service_gets_settings_and_secrets_as_they_are(laboratory: Laboratory) -> None:
    answer = laboratory.droplet.ask(f"api.{DOMAIN}").json
    assert answer["colour"] == laboratory.configuration.settings["COLOUR"]
    assert answer["secret"] == laboratory.configuration.secrets["tenant-api"]["SECRET"]
    authorities = laboratory.droplet.sh(
        "docker exec presence360-tenant-api-1 python -c 'print(open(\"/etc/presence360/ca.pem\").read())'"
    )
    assert "BEGIN CERTIFICATE" in authorities


def test_a_container_has_its_own_services_secrets_and_no_others(laboratory: Laboratory) -> None:
    """All services of the catalogue share these droplets."""
    secrets = laboratory.configuration.secrets
    inspected = json.loads(laboratory.droplet.sh("docker inspect $(docker ps --quiet)"))
    assert len(inspected) == len(secrets)
    for container in inspected:
        service = container["Config"]["Labels"]["app.presence360.service"]
        environment = dict(line.split("=", 1) for line in container["Config"]["Env"])
        assert {name: environment.get(name) for name in secrets[service]} == secrets[service]
        others = {name for other, own in secrets.items() if other != service for name in own} - {"SECRET"}
        assert environment.keys() & others == set()
        writes = CATALOGUE[service].exports
        assert (environment.get("EXPORTS_BUCKET") == "presence360-staging-exports") == writes


def test_health_is_red_while_a_service_is_down_and_green_again(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    with droplet.not_converging():
        droplet.sh("docker stop presence360-web-tenant-1")
        eventually("red", 10, lambda: (droplet.health.status, droplet.health.body) == (503, "web-tenant"))
        # Other hosts are served all the same.
        assert droplet.ask(f"api.{DOMAIN}").status == 200
        assert droplet.metrics['presence360_service_up{service="web-tenant"}'] == 0
    # What somebody stopped, converging starts again.
    eventually("green", 40, lambda: droplet.health.status == 200)
    assert "not running, so started again: web-tenant" in droplet.journal("presence360-converge")


def test_a_droplet_that_goes_down_turns_the_load_balancer_away_first(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    # systemd stops it before nginx and Docker, and waits for it.
    before = set(droplet.sh("systemctl show --value --property After presence360-drain").split())
    assert before >= {"nginx.service", "docker.service", "presence360-health.service"}
    droplet.sh("systemctl stop --no-block presence360-drain")
    try:
        eventually("draining", 3, lambda: droplet.health.body == "draining")
        assert droplet.ask(f"api.{DOMAIN}").status == 200
        assert droplet.sh("systemctl is-active presence360-drain", check=False).strip() == "deactivating"
    finally:
        droplet.sh("systemctl start presence360-drain")
    assert droplet.health.status == 200


def test_the_load_balancer_needs_no_name(laboratory: Laboratory) -> None:
    answer = laboratory.droplet.ask(laboratory.droplet.address, "/healthz", source=GATEWAY)
    assert (answer.status, answer.body) == (200, "ok")


API = f"api.{DOMAIN}"


def _containers(droplet: Droplet) -> dict[str, str]:
    shown = droplet.sh("docker ps --format '{{.Label \"app.presence360.service\"}} {{.ID}}'")
    return dict(line.split() for line in shown.splitlines())


@pytest.fixture
def isolating(laboratory: Laboratory) -> Iterator[Configuration]:
    """Only a change starts the isolation job; in the end nothing of it is left."""
    bucket, droplet = laboratory.configuration, laboratory.droplet
    droplet.sh("systemctl stop presence360-isolation.timer")
    yield bucket
    bucket.change(delete=[f"isolation/{name}.json" for name in ("environment", "cell-2")])
    gone = 'test -z "$(ls /var/lib/presence360/incoming/isolation/)" && echo gone'
    eventually("nothing is left to do", 30, lambda: droplet.sh(gone, check=False))
    for one in laboratory.droplets:
        one.sh("systemctl stop presence360-isolation presence360-isolation-watch")
        one.sh("systemctl reset-failed presence360-isolation")
        one.sh("rm -rf /run/presence360/isolation.prom /var/lib/private/presence360-isolation/*")
    droplet.sh("systemctl start presence360-isolation.timer")


def _cluster(name: str) -> str:
    # Nothing listens on port 1.
    way = {
        "host": GATEWAY,
        "port": 1,
        "user": "doadmin",
        "password": "of-the-cluster",
        "database": "defaultdb",
    }
    cluster = {"name": name, **way, "sslmode": "verify-full", "ca": "-----BEGIN CERTIFICATE-----\n"}
    limits = {"statement_timeout_ms": 1, "idle_in_transaction_timeout_ms": 1, "extensions": []}
    return json.dumps({"clusters": [cluster], "connections": 5, "overrides": {}, **limits})


@pytest.mark.nightly("droplets")
def test_the_isolation_job_is_told_by_every_stack_and_starts_when_one_changes(
    laboratory: Laboratory, isolating: Configuration
) -> None:
    droplet = laboratory.droplet
    errors, valid = "presence360_isolation_errors", "presence360_isolation_configuration_valid"

    def shown() -> dict[str, float]:
        found = droplet.metrics.items()
        return {
            name.partition("isolation_")[2]: value
            for name, value in found
            if name.startswith((errors, valid))
        }

    isolating.change(put={"isolation/environment.json": _cluster("shared")})
    environment = {'errors{cluster="shared"}': 1.0, 'configuration_valid{configuration="environment"}': 1.0}
    eventually("the environment's cluster is tried", 30, lambda: shown() == environment)
    journal = droplet.journal("presence360-isolation")
    assert "shared: psql: error: connection to server" in journal
    assert "of-the-cluster" not in journal
    # What it gets is its own: root's files, in memory, and gone when it ends.
    assert droplet.sh("ls /run/credentials/presence360-isolation.service 2>&1", check=False) in (
        "",
        "ls: cannot access '/run/credentials/presence360-isolation.service': No such file or directory\n",
    )

    isolating.change(put={"isolation/cell-2.json": _cluster("cell-2")})
    cell = {'errors{cluster="cell-2"}': 1.0, 'configuration_valid{configuration="cell-2"}': 1.0}
    eventually("the cell's too", 30, lambda: shown() == {**environment, **cell})

    # What moves a tenant came with it, finds Debian's clients, and reads the same configurations.
    move = "python3 -I /var/lib/presence360/programs/current move_tenant 3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"
    said = droplet.sh(f"{move} --from shared --to cell-2 2>&1; echo $?; ls /run")
    assert f'refused: shared: psql: error: connection to server at "{GATEWAY}", port 1 failed' in said
    assert said.split("\n2\n")[1].count("presence360-move") == 0
    assert "there are: cell-2, shared." in droplet.sh(f"{move} --from shared --to cell-3 2>&1", check=False)

    isolating.change(put={"isolation/cell-2.json": _cluster("cell-2")[:-20]})
    broken = {'configuration_valid{configuration="cell-2"}': 0.0}
    eventually("one is broken, and the other is looked at", 30, lambda: shown() == {**environment, **broken})

    isolating.change(delete=["isolation/cell-2.json"])
    eventually("a cell that leaves is forgotten", 30, lambda: shown() == environment)


@dataclass
class Programs:
    """Other versions of the programs than this repository's."""

    laboratory: Laboratory

    def publish(self, changes: Mapping[str, str]) -> str:
        """Put a version with some files changed into the bucket; return what droplets call it."""
        configuration = self.laboratory.configuration
        files = json.loads(render_programs(self.laboratory.plan))["files"]
        configuration.programs = json.dumps({"files": {**files, **changes}})
        configuration.publish()
        return configuration.version

    def wait(self, version: str, *, success: int, seconds: float = 90) -> None:
        """Wait until every droplet runs a version, and its fetcher is content or not."""
        sample = f'presence360_programs_info{{digest="{version}"}}'

        def runs(droplet: Droplet) -> bool:
            metrics = droplet.metrics
            return sample in metrics and metrics["presence360_fetch_success"] == success

        self.laboratory.converged(f"programs {version}", runs, seconds)


CRASH = "\n\ndef {}(*_):\n    raise SystemError('this version crashes')\n"


@pytest.mark.usefixtures("put_back")
def test_a_version_that_fails_its_self_test_is_refused_and_the_old_one_goes_on(
    laboratory: Laboratory,
) -> None:
    before, programs = laboratory.configuration.version, Programs(laboratory)
    programs.publish({"droplet/converge/turns.py": "import nothing_of_debians\n"})
    programs.wait(before, success=0)
    errors = laboratory.droplet.sh("journalctl --unit presence360-converge --priority err --output cat")
    assert "No module named 'nothing_of_debians'" in errors
    # Releases go on arriving.
    laboratory.configuration.settings["COLOUR"] = "green"
    laboratory.configuration.publish()
    converged = f'presence360_release_info{{digest="{laboratory.configuration.digest}"}}'
    laboratory.converged("the release", lambda droplet: converged in droplet.metrics)
    assert laboratory.droplet.ask(f"api.{DOMAIN}").json["colour"] == "green"


@pytest.mark.usefixtures("put_back")
@pytest.mark.nightly("droplets")
def test_a_version_that_crashes_after_its_self_test_is_replaced_by_the_next(laboratory: Laboratory) -> None:
    before, droplet, programs = _containers(laboratory.droplet), laboratory.droplet, Programs(laboratory)
    # Neither converge nor the answer to --may-update works.
    crashing = {
        "droplet/converge/command.py": CRASH.format("main"),
        "droplet/converge/update.py": (ROOT / "droplet/converge/update.py").read_text()
        + CRASH.format("answer_update"),
    }
    # The first runs it and never says that it serves with it; the other waits for a round and a slot.
    limit = (laboratory.configuration.turns + 1) * TIMING["slot_seconds"]
    programs.wait(programs.publish(crashing), success=1, seconds=limit + 60)
    eventually(
        "it crashes",
        30,
        lambda: "this version crashes" in droplet.journal("presence360-converge"),
    )
    assert droplet.health.status == 200
    assert _containers(droplet) == before
    laboratory.configuration.programs = ""
    laboratory.publish()
    assert _containers(droplet) == before


@pytest.mark.usefixtures("put_back")
@pytest.mark.nightly("droplets")
def test_units_come_and_go_with_the_programs(laboratory: Laboratory) -> None:
    droplet, programs = laboratory.droplet, Programs(laboratory)
    for unit in ("drain.service", "isolation.path", "isolation.timer"):
        assert droplet.sh(f"systemctl is-active presence360-{unit}").strip() == "active"

    def shown() -> str:
        return droplet.sh(
            "systemctl is-active presence360-extra; systemctl is-enabled presence360-extra", check=False
        )

    service = "[Service]\nExecStart=/usr/bin/sleep {}\nEnvironmentFile=/etc/default/presence360-extra\n"
    install = "[Install]\nWantedBy=multi-user.target\n"
    extra = {"defaults/presence360-extra": "SIZE=1\n", "units/presence360-extra.service": service + install}

    def seconds(number: int) -> dict[str, str]:
        return {name: text.format(number) for name, text in extra.items()}

    programs.publish(seconds(1001))
    eventually("the unit runs", 30, lambda: shown() == "active\nenabled\n")
    programs.publish(seconds(1002))
    process = "systemctl show --value --property ExecStart presence360-extra; pgrep --exact --list-full sleep"
    eventually(
        "it runs as changed",
        30,
        lambda: "\n" in droplet.sh(f"{process} | grep -w 'sleep 1002$'", check=False),
    )
    laboratory.configuration.programs = ""
    laboratory.publish()
    eventually("it is gone", 30, lambda: shown().startswith("inactive\n"))
    assert droplet.sh("ls /etc/default/presence360-extra 2>&1", check=False).endswith(
        "No such file or directory\n"
    )
    # The isolation job is told of clusters that the laboratory does not have: it may have failed, and nothing else may.
    failed = droplet.sh("systemctl list-units --failed --plain --no-legend").splitlines()
    assert [line for line in failed if not line.startswith("presence360-isolation.service ")] == []


@pytest.mark.usefixtures("put_back")
@pytest.mark.nightly("droplets")
def test_a_droplet_that_reboots_without_its_bucket_serves(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    release = droplet.sh("readlink /var/lib/presence360/current")
    # Nothing listens there.
    droplet.find_store("127.0.0.2")
    try:
        droplet.reboot()
        eventually("it serves", 90, lambda: droplet.health.status == 200)
        assert droplet.sh("readlink /var/lib/presence360/current") == release
        assert droplet.ask(f"api.{DOMAIN}").json["version"] == "1.0.0"
        eventually(
            "it says that it fetched nothing",
            90,  # rclone tries for up to 50 s
            lambda: droplet.metrics.get("presence360_fetch_success") == 0,
        )
        # What stops is started again.
        droplet.sh("docker stop presence360-web-tenant-1")
        eventually("it heals", 60, lambda: droplet.ask(f"app.{DOMAIN}").status == 200)
        # Installed units came back by themselves.
        assert (
            droplet.sh("systemctl is-active presence360-drain presence360-isolation.timer").split()
            == ["active"] * 2
        )
    finally:
        droplet.find_store(GATEWAY)


@pytest.mark.usefixtures("put_back")
def test_a_release_restarts_its_service_and_no_other(laboratory: Laboratory) -> None:
    before = _containers(laboratory.droplet)
    laboratory.configuration.versions["tenant-api"] = "2.0.0"
    laboratory.publish()
    assert {droplet.ask(API).json["version"] for droplet in laboratory.droplets} == {"2.0.0"}
    after = _containers(laboratory.droplet)
    assert {name for name in before if before[name] != after[name]} == {"tenant-api"}
    image = "registry.test/presence360/tenant-api:2.0.0"
    sample = f'presence360_service_image_info{{service="tenant-api",image="{image}"}}'
    assert laboratory.droplet.metrics[sample] == 1


@pytest.mark.usefixtures("put_back")
@pytest.mark.nightly("droplets")
def test_a_changed_secret_restarts_the_service_that_reads_it_and_no_other(laboratory: Laboratory) -> None:
    before = [_containers(droplet) for droplet in laboratory.droplets]
    laboratory.configuration.secrets["tenant-api"]["SECRET"] = "rotated"
    laboratory.publish()
    assert {droplet.ask(API).json["secret"] for droplet in laboratory.droplets} == {"rotated"}
    for was, droplet in zip(before, laboratory.droplets, strict=True):
        now = _containers(droplet)
        assert now.keys() == was.keys()
        assert {name for name in was if was[name] != now[name]} == {"tenant-api"}


@pytest.mark.usefixtures("put_back")
def test_a_bad_release_is_rolled_back_and_not_tried_again(laboratory: Laboratory) -> None:
    droplet = laboratory.droplet
    tried = droplet.journal("presence360-converge").count("starting, instead of")
    laboratory.configuration.versions["tenant-api"] = "6.6.6"
    laboratory.configuration.publish()

    def failed(one: Droplet) -> bool:
        return one.metrics["presence360_converge_success"] == 0

    laboratory.converged("the failure shows", failed)
    assert droplet.ask(API).json["version"] == "1.0.0"
    errors = droplet.sh("journalctl --unit presence360-converge --priority err --output cat")
    assert "going back to" in errors
    time.sleep(12)
    assert droplet.journal("presence360-converge").count("starting, instead of") == tried + 1
    assert failed(droplet)
    # The old release again is a healthy state again, without a restart.
    before = _containers(droplet)
    laboratory.configuration.versions["tenant-api"] = "1.0.0"
    laboratory.publish()
    assert _containers(droplet) == before


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("release.json", '{"images": {"tenant-api": "no tag"}}', "is not an image with a tag or digest"),
        pytest.param(
            "secrets.worker.env",
            "SECRET='open\n",
            "secrets.worker.env, line 1: not NAME=value",
            marks=pytest.mark.nightly("droplets"),
        ),
        pytest.param(
            "compose.yaml",
            "services: {tenant-api: {imagee: x}}",
            "imagee",
            marks=pytest.mark.nightly("droplets"),
        ),
        ("nginx.conf", "events {} http { server { listen 443 ssl; } nonsense; }", "nonsense"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_touched(
    laboratory: Laboratory, name: str, content: str, message: str
) -> None:
    droplet = laboratory.droplet
    before, link = _containers(droplet), droplet.sh("readlink /var/lib/presence360/current")
    laboratory.configuration.change(put={name: content})
    eventually("it is refused", 30, lambda: droplet.metrics["presence360_converge_success"] == 0)
    assert message in droplet.sh("journalctl --unit presence360-converge --priority err --output cat")
    assert _containers(droplet) == before
    assert droplet.sh("readlink /var/lib/presence360/current") == link
    assert droplet.health.status == 200
