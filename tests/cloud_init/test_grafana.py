"""What Grafana runs with: it calls nobody, keeps nothing, and a change of a dashboard replaces and restarts nothing."""

import json
import re
from configparser import ConfigParser
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_init.alert_rules import link_of, render_rules
from cloud_init.grafana import HOME, render_grafana
from cloud_init.programs import render_programs
from cloud_init.user_data import SpacesAccess, render_user_data
from droplet.observability.dashboards import READERS, UNITS
from lab.dashboards.__main__ import production
from model.alerts import ALERTS
from model.dashboards import ADDRESS, GRAFANA_MIB, GRAFANA_UID, PORT, READER_PORT, GrafanaPlan
from model.droplets import DropletGroupPlan

ACCESS = SpacesAccess("https://fra1.digitaloceanspaces.com", "key", "secret")


@pytest.fixture(scope="module")
def group() -> DropletGroupPlan:
    """Production's, which has a Grafana in the tests' files."""
    return next(one for one in production().groups if one.observability)


@pytest.fixture(scope="module")
def grafana(group: DropletGroupPlan) -> GrafanaPlan:
    assert group.observability
    assert group.observability.grafana
    return group.observability.grafana


@pytest.fixture(scope="module")
def files(grafana: GrafanaPlan) -> dict[str, str]:
    found: dict[str, str] = json.loads(render_grafana(grafana))["files"]
    return found


def unit(group: DropletGroupPlan, name: str) -> str:
    text: str = json.loads(render_programs(group))["files"][f"units/{name}"]
    return text


def without(group: DropletGroupPlan) -> DropletGroupPlan:
    assert group.observability
    return replace(group, observability=replace(group.observability, grafana=None))


def test_it_listens_on_loopback_and_calls_nobody(files: dict[str, str]) -> None:
    settings = ConfigParser(interpolation=None)
    settings.read_string(files["grafana.ini"])
    assert (settings["server"]["http_addr"], settings["server"]["http_port"]) == ("127.0.0.1", str(PORT))
    assert set(settings["analytics"].values()) == {"false"}
    for section, key, value in (
        ("security", "disable_gravatar", "true"),
        ("news", "news_feed_enabled", "false"),
        ("plugins", "preinstall_disabled", "true"),
        ("snapshots", "external_enabled", "false"),
        ("auth", "disable_login_form", "true"),
        ("security", "disable_initial_admin_creation", "true"),
        ("auth.anonymous", "org_role", "Viewer"),
    ):
        assert settings[section][key] == value
    home = settings["dashboards"]["default_home_dashboard_path"].removeprefix(f"{HOME}/")
    assert json.loads(files[home])["title"] == "Overview, production"


def test_its_source_is_the_one_that_dashboards_name(files: dict[str, str]) -> None:
    (source,) = json.loads(files["provisioning/datasources/metrics.yaml"])["datasources"]
    named = set(re.findall(r'"datasource":\{"type":"(\w+)","uid":"(\w+)"\}', "".join(files.values())))
    assert named == {(source["type"], source["uid"])}
    assert source["url"] == f"http://127.0.0.1:{READER_PORT}"
    (provider,) = json.loads(files["provisioning/dashboards/presence360.yaml"])["providers"]
    assert provider["options"]["path"] == f"{HOME}/dashboards"
    assert not provider["allowUiUpdates"]


def test_its_container_may_do_little(group: DropletGroupPlan, grafana: GrafanaPlan) -> None:
    text = unit(group, "presence360-grafana.service")
    (run,) = re.findall(r"^ExecStart=/usr/bin/docker run (.*)$", text, re.MULTILINE)
    for option in (
        f"--user {GRAFANA_UID}:{GRAFANA_UID}", "--read-only", "--cap-drop ALL", "no-new-privileges",
        f"--memory {GRAFANA_MIB}m", f"--volume {HOME}:{HOME}:ro",
    ):  # fmt: skip
        assert option in run
    assert run.endswith(f" {grafana.image}")
    assert re.fullmatch(r"registry\.digitalocean\.com/presence360/grafana@sha256:[0-9a-f]{64}", grafana.image)
    # Its files, and no other folder of the droplet: no secret of another program.
    assert re.findall(r"--volume (\S+)", run) == [f"{HOME}:{HOME}:ro"]
    assert "docker.sock" not in run
    assert f"nft --file {HOME}/firewall.nft" in text


def test_the_tunnel_is_to_its_port_alone_and_only_where_it_is(group: DropletGroupPlan) -> None:
    with_it, without_it = (render_user_data(one, ACCESS).splitlines() for one in (group, without(group)))
    assert [line.strip() for line in with_it if line not in without_it] == [
        "AllowTcpForwarding local",
        f"PermitOpen 127.0.0.1:{PORT}",
    ]
    assert [line.strip() for line in without_it if line not in with_it] == [
        "DisableForwarding yes",
        "AllowTcpForwarding no",
    ]


def test_another_image_or_dashboard_replaces_no_droplet(
    group: DropletGroupPlan, grafana: GrafanaPlan
) -> None:
    assert group.observability
    other = replace(
        grafana, image="elsewhere@sha256:0", dashboards=replace(grafana.dashboards, churches={"new": "1"})
    )
    changed = replace(group, observability=replace(group.observability, grafana=other))
    assert render_user_data(changed, ACCESS) == render_user_data(group, ACCESS)
    assert render_grafana(other) != render_grafana(grafana)


def test_without_it_there_are_no_units(group: DropletGroupPlan) -> None:
    programs = json.loads(render_programs(without(group)))["files"]
    assert [name for name in programs if Path(name).name in UNITS] == []
    assert "dashboards.json" not in programs["units/presence360-observability.service"]


def test_every_file_has_a_reader(files: dict[str, str]) -> None:
    assert all(name.startswith((*READERS, "dashboards/")) for name in files)
    assert set(READERS.values()) == set(UNITS)


def test_alerts_link_to_dashboards_where_there_are_any() -> None:
    with_them, without_them = (
        render_rules(environment="production", base_domain="presence360.app", dashboards=there)
        for there in (True, False)
    )
    (rule,) = [
        rule
        for group in json.loads(with_them)["groups"]
        for rule in group["rules"]
        if rule["alert"] == "DiskFull"
    ]
    assert rule["annotations"]["dashboard"] == (
        f"{ADDRESS}/d/presence360-droplets"
        "{{ if $labels.instance }}?var-droplet={{ $labels.instance }}{{ end }}"
    )
    assert all(link_of(alert).startswith(f"{ADDRESS}/d/presence360-") for alert in ALERTS)
    assert without_them.count('"dashboard"') == 0
