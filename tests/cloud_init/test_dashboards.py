"""The dashboards as JSON: what Grafana's own library reads of them, and that every name is one that we export."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from cloud_init.dashboards import render_dashboards
from cloud_init.dashboards.churches import MOST_NAMED
from cloud_init.grafana import render_grafana
from cloud_init.programs import MAX_PROGRAMS_BYTES
from lab.dashboards import says
from lab.dashboards.__main__ import production
from lab.dashboards.night import CHURCHES, night
from model.alerts import ALERTS, GROUPS, Severity
from model.dashboards import DASHBOARDS, OF_ALERTS, OVERVIEW, DashboardsPlan, GrafanaPlan, of_alert
from tests.support import ROOT

PAGES = "https://example.org/infrastructure"
PLAN = DashboardsPlan("production", "presence360.app", PAGES, CHURCHES)
TEXTS = {name.removesuffix(".json"): text for name, text in render_dashboards(PLAN).items()}

WORDS = (
    "abs and avg bottomk bool by count group histogram_quantile increase label_replace max max_over_time min "
    "offset on or rate round sum time topk unless vector"
)
"""Of PromQL."""

NO_PANEL = {
    "ExporterSilent": "the list of alerts names the exporter",
    "ContainersNotLookedAt": "the panels of containers have no data then",
    "ClockWrong": "the list of alerts names the droplet",
    "NoDropletFound": "every panel is empty then",
    "TelemetryFails": "the panels of services and jobs have no data then",
    "AlertTest": "a test",
    "Watchdog": "it always fires",
    "ObservabilityDown": "where the store is down, there is no dashboard",
    "ObservabilityNotConfigured": "the list of alerts has it",
    "RulesFail": "the list of alerts has it",
    "LogsStopped": "the list of alerts names the droplet",
    "LogsNotRemoved": "the list of alerts has it",
    "TracesNotKept": "the list of alerts has it",
    "MessagesNotDelivered": "the list of alerts has it",
}
"""Alerts that no panel names beside the list of alerts, and why."""


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in json.loads(TEXTS[name])["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str, str]]:
    """Every expression: of panels, annotations and variables."""
    for name, text in TEXTS.items():
        dashboard = json.loads(text)
        for panel in panels(name):
            yield from ((name, panel["title"], target["expr"]) for target in panel["targets"])
        yield from ((name, "annotation", one["expr"]) for one in dashboard["annotations"]["list"])
        for one in dashboard["templating"]["list"]:
            if one["type"] == "query":
                yield name, one["name"], one["query"]


def test_each_dashboard_has_a_file_and_the_same_plan_gives_the_same_bytes() -> None:
    assert list(TEXTS) == [one.name for one in DASHBOARDS]
    assert render_dashboards(PLAN) == {f"{name}.json": text for name, text in TEXTS.items()}


@pytest.mark.parametrize("name", TEXTS)
def test_grafanas_own_library_knows_every_field(name: str) -> None:
    """It reads the JSON into its schema's classes: what it does not know is not in them."""
    register_default_plugins()
    written = json.loads(TEXTS[name])
    # Of the Prometheus source; the library's schema is without them.
    for annotation in written["annotations"]["list"]:
        for field in ("titleFormat", "textFormat", "step"):
            del annotation[field]
    read = json.loads(json.dumps(Dashboard.from_json(json.loads(TEXTS[name])), cls=JSONEncoder))

    def lost(one: Any, other: Any, path: str = "") -> list[str]:
        if isinstance(one, dict) and isinstance(other, dict):
            return [each for key in one for each in lost(one[key], other.get(key), f"{path}/{key}")]
        if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            pairs = enumerate(zip(one, other, strict=True))
            return [each for at, (a, b) in pairs for each in lost(a, b, f"{path}/{at}")]
        return [] if one == other else [path]

    assert lost(written, read) == []


@pytest.mark.parametrize("name", TEXTS)
def test_panels_lie_side_by_side_and_are_not_too_many(name: str) -> None:
    dashboard = json.loads(TEXTS[name])
    cells = Counter(
        (x, y)
        for place in (panel["gridPos"] for panel in dashboard["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert set(cells.values()) == {1}
    assert {x for x, _ in cells} == set(range(24))
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    titles = Counter(panel["title"] for panel in panels(name))
    assert [title for title, number in titles.items() if number > 1] == []
    # What a person can take in: five rows of numbers and curves.
    assert len(panels(name)) <= 24


@pytest.mark.parametrize("name", TEXTS)
def test_every_panel_says_what_it_shows(name: str) -> None:
    for panel in panels(name):
        assert re.match(r"[A-Z`].*\.", panel["description"], re.DOTALL), panel["title"]


def test_every_metric_is_one_that_is_exported() -> None:
    """Names as the programs write them, and the three that the store and vmalert make."""
    exported = {series.sample.name for series in night(production())}
    grafana = {"label_values", "__rate_interval"}
    words = set(WORDS.split())
    asked = set()
    for _, _, expression in queries():
        unquoted = re.sub(r'"[^"]*"', '""', expression)
        bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|on) \([^)]*\)", " ", unquoted)
        names = re.findall(r"(?<![$\w])[a-zA-Z_]\w*", re.sub(r", \w+\)$", ")", bare))
        asked |= set(names) - words - grafana
    assert {name for name in asked if not re.fullmatch(r"\d+\w*|[smhd]", name)} - exported == set()
    assert len(asked) > 60


def test_what_was_recorded_of_our_own_programs_is_what_they_write() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "droplet").rglob("*.py")))
    for sample in says.samples(says.recorded("programs")):
        assert sample.name in sources or sample.name.rpartition("telemetry_")[2] in sources


def test_every_alert_leads_to_a_dashboard_that_is_about_it() -> None:
    assert set(OF_ALERTS) == set(GROUPS)
    named = {
        alert
        for name in TEXTS
        for panel in panels(name)
        for line in panel["description"].splitlines()
        if re.match("Alerts?: ", line)
        for alert in line.partition(": ")[2].rstrip(".").split(", ")
    }
    assert named <= set(ALERTS)
    assert {name for name in ALERTS if name not in named} == set(NO_PANEL)
    for alert in named:
        here = [panel for panel in panels(of_alert(alert).name) if alert in panel["description"]]
        # The overview has the list of all alerts.
        assert here or of_alert(alert) is OVERVIEW, alert


def test_panels_link_to_the_runbook_and_tables_to_dashboards_that_exist() -> None:
    known = {one.path for one in DASHBOARDS}
    runbook = (ROOT / "docs/runbooks/alerts.md").read_text(encoding="utf-8")
    linked = 0
    for name, text in TEXTS.items():
        for panel in panels(name):
            for link in panel["links"]:
                page, _, anchor = link["url"].partition("#")
                assert page == f"{PAGES}/docs/runbooks/alerts.md"
                assert runbook.lower().count(f"\n### {anchor}\n") == 1
                linked += 1
        for path in re.findall(r'"url":"(/d/[^"?]+)', text):
            assert path in known
    assert linked > 50
    without = render_dashboards(DashboardsPlan("production", "presence360.app", None, CHURCHES))
    assert "".join(without.values()).count("https://") == 0


def test_limits_are_the_alerts() -> None:
    """A red number is one at which the critical alert fires."""
    (critical,) = (one for one in panels("overview") if one["title"] == "Requests that fail now")
    shown = [step["value"] for step in critical["fieldConfig"]["defaults"]["thresholds"]["steps"]]
    assert f"> {shown[2]})" in ALERTS["ErrorsBurnFast"].expression
    assert f"> {shown[1]})" in ALERTS["ErrorsBurnSlowly"].expression
    (used,) = (one for one in panels("data") if one["title"] == "Connections in use")
    shown = [step["value"] for step in used["fieldConfig"]["defaults"]["thresholds"]["steps"]]
    near, up = ALERTS["ConnectionsNearLimit"], ALERTS["ConnectionsUsedUp"]
    assert (near.severity, up.severity) == (Severity.WARNING, Severity.CRITICAL)
    assert near.expression.endswith(f" > {shown[1]}")
    assert up.expression.endswith(f" > {shown[2]}")


@pytest.mark.parametrize("number", [250, MOST_NAMED, 2500])
def test_dashboards_of_many_churches_fit_into_an_object(number: int) -> None:
    churches = {
        f"church-of-a-long-name-{index}": f"{index:08x}-0000-4000-8000-0123456789ab"
        for index in range(number)
    }
    plan = DashboardsPlan("production", "presence360.app", PAGES, churches)
    texts = render_dashboards(plan)
    assert len(render_grafana(GrafanaPlan("grafana", plan)).encode()) < MAX_PROGRAMS_BYTES * 0.95
    # Each church has a name to choose, whatever the tables write.
    assert texts["church.json"].count("church-of-a-long-name-") >= number
