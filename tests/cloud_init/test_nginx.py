"""nginx.conf: which names a droplet serves, and how."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from cloud_init.compose import render_compose
from cloud_init.nginx import render_nginx
from cloud_init.observability import render_configuration
from model.droplets import DropletGroupPlan, RateLimitPlan


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/", "/"),
        (
            "/tenants/3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001/people",
            "/tenants/3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001/people",
        ),
        (
            "/_next/static/chunks/app/page-0123456789abcdef.js",
            "/_next/static/chunks/app/page-0123456789abcdef.js",
        ),
        ("/reports/20261127/1", "/reports/20261127/1"),
        ("/invitations/ada@example.org/accept", "/invitations/*"),
        ("/ada.lovelace@example.org", "/*"),
        ("/people/+233241234567", "/people/*"),
        ("/people/233241234567/photo", "/people/*"),
        ("/people/+233 24 412 3456", "/people/*"),
        ("/people/kofi%40example.org", "/people/*"),
        (f"/reset/{40 * 'a'}/now", "/reset/*"),
        (f"/a//reset/eyJhbGciOi{30 * 'x'}.y", "/a//reset/*"),
    ],
)
def test_a_logged_path_ends_before_a_person_and_before_a_token(
    plans: Mapping[str, DropletGroupPlan], path: str, logged: str
) -> None:
    """By nginx's own pattern; tests/droplets/test_services.py sends such paths through nginx."""
    (pattern,) = re.findall(
        r'map \$uri \$logged_path \{\s+default \$uri;\s+"~(.+)" "\$before\*";',
        render_nginx(plans["staging-app"]),
    )
    found = re.search(pattern.replace("(?<", "(?P<"), path)
    assert (f"{found['before']}*" if found else path) == logged


class TestNginx:
    def test_answers_to_the_groups_names(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        text = render_nginx(plans["production-tenant"])
        assert "server_name api.presence360.app;" in text
        assert r"server_name ~^(?<tenant>[a-z0-9-]+)\.presence360\.app$;" in text
        # The wildcard would take the other group's names for tenants.
        assert "server_name admin.presence360.app cp.presence360.app;" in text
        assert "listen 443 ssl default_server backlog=4096;" in text

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
        assert text.count("limit_req_zone $tenant_") == text.count("limit_req zone=tenant_") == 3
        assert text.count(" zone=client_") == 2 * 3
        assert "zone=client_5:2m rate=150r/m; limit_req_zone $tenant_5 zone=tenant_5:1m rate=5r/s;" in text
        assert "limit_req zone=client_50 burst=250 nodelay;" in text
        assert "limit_req zone=tenant_50 burst=500 nodelay;" in text
        policy = '"client";q=250;w=10, "church";q=500;w=10'
        assert f"b.{domain} '{policy}';" in text

    def test_limits_tenants_and_not_the_platforms_own_names(
        self, plans: Mapping[str, DropletGroupPlan]
    ) -> None:
        servers = render_nginx(plans["staging-app"]).split("server {")
        limited = [text for text in servers if "limit_req zone=tenant_" in text]
        assert len(limited) == 1
        assert "server_name ~^" in limited[0]

    def test_a_new_church_changes_nothing_here(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        """A reload would end WebSockets: which names are tenants' is a folder's business."""
        plan = plans["staging-app"]
        more = dataclasses.replace(plan, tenant_slugs=(*plan.tenant_slugs, "zion"))
        assert render_nginx(more) == render_nginx(plan)

    def test_names_that_are_no_tenants_share_one_count_and_reach_no_service(
        self, plans: Mapping[str, DropletGroupPlan]
    ) -> None:
        text = " ".join(render_nginx(plans["staging-app"]).split())
        assert "limit_req_zone unknown zone=unknown:32k rate=5r/s;" in text
        assert "if (-f /var/lib/presence360/tenants/$tenant) {" in text
        answer = text.split("location @unknown-tenant {")[1].split("location /")[0]
        assert "return 404" in answer
        assert "proxy_pass" not in answer
        # A group that serves no tenants, and a laptop, know nothing of them.
        for other in (
            render_nginx(plans["production-control"]),
            render_nginx(plans["staging-app"], local=True),
        ):
            assert "unknown" not in other

    def test_passes_no_upgrade_but_to_web_sockets(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        text = render_nginx(plans["staging-app"])
        assert "$http_upgrade;" not in text
        assert text.count("Upgrade $upgrade;") == 1

    def test_a_trace_begins_at_nginx_and_no_client_has_a_say_in_it(
        self, plans: Mapping[str, DropletGroupPlan]
    ) -> None:
        text = " ".join(render_nginx(plans["staging-app"]).split())
        assert "proxy_set_header traceparent 00-$request_id-$span_id-00;" in text
        # Where traces are kept, a share of them says so.
        text = " ".join(render_nginx(plans["production-tenant"]).split())
        assert "split_clients $request_id $sampled { 2.50% 01; * 00; }" in text
        assert "proxy_set_header traceparent 00-$request_id-$span_id-$sampled;" in text
        for header in ("tracestate", "baggage"):
            assert f'proxy_set_header {header} "";' in text

    def test_what_it_publishes_is_what_is_collected(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        plan = plans["staging-app"]
        assert plan.observability
        text = json.loads(json.loads(render_configuration(plan.observability))["files"]["scrape.yaml"])
        tag = "staging-group-app"
        asked = {
            job["metrics_path"]: job["relabel_configs"][0]["regex"]
            for job in text["scrape_configs"]
            if "digitalocean_sd_configs" in job
        }
        assert asked == {
            **dict.fromkeys(("/metrics", "/metrics/node", "/metrics/requests"), ".*,staging,.*"),
            "/metrics/services/tenant-api": f".*,{tag},.*",
            "/metrics/services/control-plane-api": f".*,{tag},.*",
        }
        for path in asked:
            assert f"location = {path} {{" in render_nginx(plan)

    def test_publishes_exporters_on_the_private_port_alone(
        self, plans: Mapping[str, DropletGroupPlan]
    ) -> None:
        private = render_nginx(plans["staging-app"]).partition(
            "include /run/presence360/metrics-listen.conf;"
        )
        for path in ("node", "requests", "services/tenant-api", "services/control-plane-api"):
            assert f"location = /metrics/{path} {{" in private[2]
            assert f"/metrics/{path}" not in private[0]
        # A group without public names has no requests, and the same path.
        worker = " ".join(render_nginx(plans["staging-worker"]).split())
        assert 'location = /metrics/requests { default_type text/plain; return 200 ""; }' in worker

    def test_without_closed_hosts_knows_nothing_of_them(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        text = render_nginx(plans["staging-app"])
        for word in ("Paused", "410", "Retry-After 3600", "server_names_hash_max_size"):
            assert word not in text

    def test_answers_for_closed_hosts_itself(self, plans: Mapping[str, DropletGroupPlan]) -> None:
        domain = plans["staging-app"].base_domain
        closed = {f"b.{domain}": 503, f"gone.{domain}": 410, f"a.{domain}": 503}
        plan = dataclasses.replace(plans["staging-app"], closed_hosts=closed)
        open_text = render_nginx(plans["staging-app"])
        servers = [" ".join(text.split()) for text in render_nginx(plan).split("server {")]
        (gone,) = [text for text in servers if "return 410" in text]
        (paused,) = [text for text in servers if "Paused" in text]
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
