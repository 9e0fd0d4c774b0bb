"""User data: what a droplet needs before it fetches anything."""

import dataclasses
import json
from collections.abc import Mapping
from configparser import ConfigParser
from typing import Any

import pytest
import yaml

from cloud_init.compose import render_compose
from cloud_init.user_data import MAX_USER_DATA_BYTES, SpacesAccess, UserDataTooLongError, render_user_data
from model.droplets import DropletGroupPlan, RateLimitPlan
from tests.cloud_init.conftest import GROUPS
from tests.support import ROOT

# As long as the real ones.
ACCESS = SpacesAccess("https://fra1.digitaloceanspaces.com", "DO00" + 16 * "K", 43 * "S")

BUDGET_BYTES = 37_000
"""A little more than half of what DigitalOcean takes: firewall, kernel, needrestart, PgBouncer and the audit log stand
before anything runs. What needs more room travels with the programs (cloud_init/programs.py)."""


def _files(text: str) -> dict[str, Any]:
    return {entry["path"]: entry for entry in yaml.safe_load(text)["write_files"]}


def test_the_page_names_the_budget() -> None:
    page = (ROOT / "docs/droplets.md").read_text(encoding="utf-8")
    assert f"below {BUDGET_BYTES:,} bytes" in " ".join(page.split())


def test_these_are_the_groups(plans: Mapping[str, DropletGroupPlan]) -> None:
    assert sorted(plans) == GROUPS


@pytest.mark.parametrize("name", GROUPS)
class TestUserData:
    def test_is_a_cloud_config_within_the_budget(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        text = render_user_data(plans[name], ACCESS)
        assert text.startswith("#cloud-config\n")
        assert len(text.encode()) < BUDGET_BYTES < MAX_USER_DATA_BYTES
        assert "docker.io" in yaml.safe_load(text)["packages"]

    def test_debians_pgbouncer_does_not_start_with_a_configuration_of_its_own(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        text = render_user_data(plans[name], ACCESS)
        # The control group of production has no services with pools; it tries restored databases through one.
        pooled = name != "production-observability"
        assert ("pgbouncer" in yaml.safe_load(text)["packages"]) == pooled
        dropin = "/etc/systemd/system/pgbouncer.service.d/presence360.conf"
        assert (dropin in _files(text)) == pooled
        if pooled:
            lines = _files(text)[dropin]["content"].splitlines()
            assert lines == ["[Unit]", "ConditionPathExists=/var/lib/presence360-pool/pgbouncer.ini"]
        backups = plans[name].backups
        if name == "production-control" and backups:
            alone = dataclasses.replace(plans[name], backups=dataclasses.replace(backups, drill=False))
            assert "pgbouncer" not in yaml.safe_load(render_user_data(alone, ACCESS))["packages"]

    def test_debians_exporters_start_with_units_of_ours_alone(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        """They would listen on all interfaces; systemd reads prometheus-.service.d for every prometheus-*.service."""
        text = render_user_data(plans[name], ACCESS)
        packages = set(yaml.safe_load(text)["packages"])
        public = plans[name].placement.public
        assert "prometheus-node-exporter" in packages
        assert ("mtail" in packages) == public
        for prefix in ("prometheus-", *(["mtail"] if public else [])):
            dropin = _files(text)[f"/etc/systemd/system/{prefix}.service.d/presence360.conf"]
            assert dropin["content"].splitlines() == ["[Unit]", "ConditionPathExists=/etc/systemd/system/%n"]

    def test_containers_reach_the_listener_for_telemetry_and_nothing_else_of_the_droplet(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        rules = _files(render_user_data(plans[name], ACCESS))["/etc/presence360/firewall.nft"]["content"]
        lines = [line.strip() for line in rules.partition("chain input {")[2].splitlines()]
        assert lines[2:6] == [
            "ct state established,related accept",
            'iifname "br-presence360" ip daddr 172.30.0.1 tcp dport 4318 accept',
            'iifname { "docker0", "br-*" } counter drop',
            'iifname != "lo" ip daddr 172.30.0.1 counter drop',
        ]

    def test_has_the_key_once_in_a_file_of_roots(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        text = render_user_data(plans[name], ACCESS)
        file = _files(text)["/etc/presence360/rclone.conf"]
        assert file["permissions"] == "0600"
        assert "owner" not in file
        for value in dataclasses.astuple(ACCESS):
            assert text.count(value) == 1
            assert file["content"].count(value) == 1

    def test_names_the_groups_buckets(self, plans: Mapping[str, DropletGroupPlan], name: str) -> None:
        files = _files(render_user_data(plans[name], ACCESS))
        remotes = ConfigParser()
        remotes.read_string(files["/etc/presence360/rclone.conf"]["content"])
        environment, _, group = name.partition("-")
        control = {"staging": "app", "production": "control"}[environment]
        found = {remote: remotes[remote]["remote"] for remote in ("group", "status", "control-status")}
        assert found == {
            "group": f"store:presence360-{environment}-config-{group}",
            "status": f"store:presence360-{environment}-status-{group}",
            "control-status": f"store:presence360-{environment}-status-{control}",
        }
        buckets = json.loads(files["/etc/presence360/group.json"]["content"])["buckets"]
        assert [f"store:{bucket}" for bucket in buckets.values()] == list(found.values())

    def test_stays_the_same_when_what_changes_often_changes(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        plan = plans[name]
        config = dataclasses.replace(
            plan.config, images={}, settings={"NEW": "setting"}, secrets={"worker": {"NEW": "secret"}}
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

    def test_carries_three_programs_as_they_are(
        self, plans: Mapping[str, DropletGroupPlan], name: str
    ) -> None:
        files = _files(render_user_data(plans[name], ACCESS))
        for program in ("fetch", "health", "host"):
            file = files[f"/usr/local/sbin/presence360-{program}"]
            assert file["content"] == (ROOT / f"droplet/{program}.py").read_text()
            assert file["permissions"] == "0755"
        assert len([path for path in files if path.startswith("/usr/local/")]) == 3

    def test_has_json_where_json_is_read(self, plans: Mapping[str, DropletGroupPlan], name: str) -> None:
        files = _files(render_user_data(plans[name], ACCESS))
        assert json.loads(files["/etc/docker/daemon.json"]["content"])["live-restore"] is True
        group = json.loads(files["/etc/presence360/group.json"]["content"])
        del group["buckets"]
        assert group == {
            "environment": plans[name].environment,
            "group": plans[name].group,
            "vpc_range": plans[name].vpc_range,
            "metrics_port": 9360,
        }


@pytest.mark.parametrize("wanted", [True, False])
def test_the_audit_log_is_an_option(plans: Mapping[str, DropletGroupPlan], wanted: bool) -> None:
    text = render_user_data(dataclasses.replace(plans["staging-app"], auditd=wanted), ACCESS)
    assert ("auditd" in yaml.safe_load(text)["packages"]) == wanted
    assert ("/etc/audit/rules.d/60-presence360.rules" in _files(text)) == wanted
    assert len(text.encode()) < BUDGET_BYTES


def test_what_serves_is_not_restarted_for_a_library(plans: Mapping[str, DropletGroupPlan]) -> None:
    files = _files(render_user_data(plans["staging-app"], ACCESS))
    for unit in ("containerd", "docker", "nginx", "pgbouncer"):
        script = files[f"/etc/needrestart/restart.d/{unit}.service"]
        assert script["permissions"] == "0755"
        assert script["content"] == "#!/bin/sh\ntouch /run/reboot-required\n"


def test_user_data_that_is_too_long_is_an_error(plans: Mapping[str, DropletGroupPlan]) -> None:
    access = dataclasses.replace(ACCESS, secret_key="x" * MAX_USER_DATA_BYTES)
    with pytest.raises(UserDataTooLongError, match=r"'app' has \d+ bytes; at most 65536 are allowed"):
        render_user_data(plans["staging-app"], access)
