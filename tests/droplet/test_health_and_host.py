import http.client
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cloud_init.nginx import STATUS_PORT
from droplet import health, host

STATUS = """Active connections: 291
server accepts handled requests
 16630948 16630947 31070465
Reading: 6 Writing: 179 Waiting: 106
"""


class _Service(BaseHTTPRequestHandler):
    ill = False

    def do_GET(self) -> None:
        body = STATUS.encode()
        self.send_response(500 if type(self).ill else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def _serve(
    handler: type[BaseHTTPRequestHandler], kind: type[ThreadingHTTPServer] = ThreadingHTTPServer
) -> ThreadingHTTPServer:
    server = kind(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def services() -> Iterator[tuple[type[_Service], int]]:
    handler = type("Own", (_Service,), {})
    server = _serve(handler)
    yield handler, server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def sources(tmp_path: Path, services: tuple[type[_Service], int]) -> health.Sources:
    port = services[1]
    found = health.Sources(
        tmp_path / "derived.json",
        (tmp_path / "draining", tmp_path / "leaving"),
        tmp_path,
        nginx_port=port,
    )
    targets = [
        {"service": "api", "port": port, "path": "/healthz", "public": True},
        {"service": "inner", "port": 1, "path": "/healthz", "public": False},
    ]
    found.derived.write_text(json.dumps({"targets": targets}))
    return found


@pytest.fixture
def verdict(sources: health.Sources) -> health.Verdict:
    found = health.Verdict(sources)
    found.refresh()
    return found


class TestHealth:
    def test_counts_public_services_only(self, verdict: health.Verdict) -> None:
        assert verdict.health.services == {"api": True, "inner": False}
        assert verdict.reasons == []

    def test_is_bad_when_a_public_service_is(
        self, verdict: health.Verdict, services: tuple[type[_Service], int]
    ) -> None:
        services[0].ill = True
        assert verdict.reasons == []
        verdict.refresh()
        assert verdict.reasons == ["api"]

    @pytest.mark.parametrize("flag", [0, 1])
    def test_is_bad_while_draining_at_once(self, verdict: health.Verdict, flag: int) -> None:
        verdict.sources.draining[flag].touch()
        assert verdict.reasons == ["draining"]

    @pytest.mark.parametrize(
        "content", [None, "{", "{}", '{"targets": [1]}', '{"targets": [{"service": 1}]}']
    )
    def test_is_bad_without_a_release(self, sources: health.Sources, content: str | None) -> None:
        sources.derived.unlink()
        if content is not None:
            sources.derived.write_text(content)
        assert health.look(sources).reasons == ["no release"]

    def test_is_good_where_nothing_is_public(self, sources: health.Sources) -> None:
        sources.derived.write_text('{"targets": []}')
        assert health.look(sources).reasons == []

    def test_is_bad_before_the_first_look_and_when_the_last_one_is_old(
        self, sources: health.Sources, verdict: health.Verdict
    ) -> None:
        assert health.Verdict(sources).reasons == ["no release"]
        verdict.seen -= health.STALE_SECONDS + 1
        assert verdict.reasons == ["not looked at"]

    def test_answers_before_the_load_balancer_gives_up(self) -> None:
        # constructs_lib/edge.py: response_timeout_seconds.
        assert health.TIMEOUT_SECONDS < 3

    def test_over_http_asks_no_service(
        self, verdict: health.Verdict, services: tuple[type[_Service], int]
    ) -> None:
        server = _serve(type("Own", (health.Handler,), {"verdict": verdict}), health.Server)
        # What happens from here on, nobody looks at.
        services[0].ill = True
        try:
            answers = {}
            for path in ("/healthz", "/metrics", "/other"):
                connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
                connection.request("GET", path)
                response = connection.getresponse()
                answers[path] = response.status, response.read().decode()
                connection.close()
        finally:
            server.shutdown()
            server.server_close()
        assert answers["/healthz"] == (200, "ok")
        assert answers["/other"][0] == 404
        assert 'presence360_service_up{service="api"} 1' in answers["/metrics"][1]
        assert 'presence360_service_up{service="inner"} 0' in answers["/metrics"][1]


def test_metrics_are_the_droplets_nginxs_and_those_of_other_programs(verdict: health.Verdict) -> None:
    (verdict.sources.textfiles / "fetch.prom").write_text("presence360_fetch_success 1\n")
    (verdict.sources.textfiles / "converge.prom").write_text("presence360_converge_success 1\n")
    # As a program writes a file before it renames it.
    (verdict.sources.textfiles / ".converge.prom.new").write_text("half a li")
    lines = health.metrics(verdict).splitlines()
    assert "presence360_healthy 1" in lines
    assert "nginx_connections_active 291" in lines
    assert "nginx_requests_total 31070465" in lines
    assert lines[-2:] == ["presence360_converge_success 1", "presence360_fetch_success 1"]


def test_nginx_is_asked_where_it_answers() -> None:
    assert health.Sources().nginx_port == STATUS_PORT


class TestHost:
    def test_no_two_of_a_groups_droplets_reboot_in_one_window(self) -> None:
        # model/environment.py: at most 20 replicas.
        times = [host.reboot_time(f"production-tenant-{number}-3fa9c2") for number in range(1, 21)]
        assert len(set(times)) == 20
        assert times[:2] == ["01:00", "01:10"]
        assert max(times) < "05:00"

    def test_a_pools_droplets_reboot_by_chance(self) -> None:
        times = {host.reboot_time(f"production-pool-{letter}") for letter in "abcdefghijklmnop"}
        assert len(times) > 5
        assert all("01:00" <= time < "05:00" for time in times)

    def test_the_private_address_is_the_one_in_the_vpc(self) -> None:
        addresses = ["127.0.0.1", "203.0.113.9", "10.19.0.5", "10.60.0.5", "172.17.0.1"]
        assert host.private_address(addresses, "10.60.0.0/20") == "10.60.0.5"
        assert host.private_address(addresses, "10.99.0.0/20") is None

    def test_boots_again_without_a_new_certificate(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("ETC", "STATE", "RUN"):
            monkeypatch.setattr(host, name, tmp_path / name.lower())
        monkeypatch.setattr(host, "APT_CONF", tmp_path / "53presence360-reboot")
        monkeypatch.setattr(host, "local_addresses", lambda: ["127.0.0.1", "10.60.0.5"])
        (tmp_path / "etc").mkdir()
        group = {"vpc_range": "10.60.0.0/20", "metrics_port": 9360}
        (tmp_path / "etc/group.json").write_text(json.dumps(group))
        host.main()
        key = tmp_path / "etc/tls/droplet.key"
        first = key.read_bytes()
        assert key.stat().st_mode & 0o777 == 0o600
        (tmp_path / "state/current").unlink()
        (tmp_path / "state/current").symlink_to("releases/x")
        host.main()
        assert key.read_bytes() == first
        assert (tmp_path / "run/metrics-listen.conf").read_text() == "listen 10.60.0.5:9360;\n"
        # A release stays the current one.
        assert (tmp_path / "state/current").readlink() == Path("releases/x")
        shown = subprocess.run(
            ["openssl", "x509", "-noout", "-text", "-in", tmp_path / "etc/tls/droplet.crt"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert "id-ecPublicKey" in shown
