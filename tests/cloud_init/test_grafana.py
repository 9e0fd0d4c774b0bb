"""What Grafana runs with: it calls nobody, keeps nothing, and a change of a dashboard replaces and restarts nothing."""

import json
import re
from configparser import ConfigParser
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from cloud_init.alert_rules import link_of, render_rules
from cloud_init.grafana import HOME, render_grafana
from cloud_init.programs import render_programs
from cloud_init.user_data import SpacesAccess, render_user_data
from droplet.observability.dashboards import READERS, UNITS
from lab.dashboards.__main__ import production
from model.alerts import ALERTS
from model.dashboards import ADDRESS, GRAFANA_MIB, GRAFANA_UID, PORT, READER_PORT, GrafanaPlan
from model.droplets import DropletGroupPlan
from model.services import CATALOGUE
from model.traces import STORE_PORT

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


def sources(files: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(files["provisioning/datasources/sources.yaml"])["datasources"]
    return found


def test_its_sources_are_those_that_dashboards_name(files: dict[str, str]) -> None:
    named = set(re.findall(r'"datasource":\{"type":"(\w+)","uid":"(\w+)"\}', "".join(files.values())))
    assert named == {(source["type"], source["uid"]) for source in sources(files)}
    assert named == {("prometheus", "metrics"), ("jaeger", "traces")}
    for source in sources(files):
        # Through Grafana, which its firewall lets ask one port: that of vmauth.
        assert (source["url"], source["access"]) == (f"http://127.0.0.1:{READER_PORT}", "proxy")
        assert not source["editable"]
    assert [source["name"] for source in sources(files) if source["isDefault"]] == ["Metrics"]
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


def test_traces_are_shown_where_the_environment_keeps_some(
    files: dict[str, str], grafana: GrafanaPlan
) -> None:
    shown = json.loads(files["dashboards/traces.json"])
    table, trace = shown["panels"]
    assert (table["type"], table["targets"][0]["queryType"]) == ("table", "search")
    assert (trace["type"], trace["targets"][0]["query"]) == ("traces", "$trace")
    variables = {one["name"]: one for one in shown["templating"]["list"]}
    assert variables["service"]["query"].split(",") == list(CATALOGUE)
    asked = {word for target in (table, trace) for word in re.findall(r'"\$(\w+)"', json.dumps(target))}
    assert asked == set(variables)
    # A click on an id opens it on this page: Grafana's own link leads to Explore, which a viewer may not open.
    (override,) = table["fieldConfig"]["overrides"]
    (link,) = override["properties"][0]["value"]
    assert override["matcher"] == {"id": "byName", "options": "Trace ID"}
    assert link["url"].startswith(f"/d/{shown['uid']}?")
    assert link["url"].endswith("&var-trace=${__value.raw}")
    # What Grafana's own library has no field for is not in what it makes of it.
    known = json.loads(
        json.dumps(Dashboard.from_json(json.loads(files["dashboards/traces.json"])), cls=JSONEncoder)
    )
    assert known["title"] == "Traces, production"
    assert [panel["gridPos"] for panel in known["panels"]] == [table["gridPos"], trace["gridPos"]]

    without: dict[str, str] = json.loads(render_grafana(replace(grafana, traces=False)))["files"]
    assert set(files) - set(without) == {"dashboards/traces.json"}
    assert [source["name"] for source in sources(without)] == ["Metrics"]
    ways = {
        name: json.loads(text["reader.yaml"])["unauthorized_user"]["url_map"]
        for name, text in (("with", files), ("without", without))
    }
    assert [len(found) for found in ways.values()] == [2, 1]
    assert ways["with"][1]["url_prefix"] == f"http://127.0.0.1:{STORE_PORT}/select/jaeger"


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
