"""Every query of every dashboard, asked from a real store with a night's metrics: none is empty, none is unreadable."""

import http.client
import json
import math
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cloud_init.grafana import reader
from cloud_init.observability import STORE_PORT
from lab.dashboards.__main__ import CHURCH, PICTURES, chosen, dashboards, digest, filled_store
from lab.dashboards.draw import lines_of, svg
from lab.dashboards.night import CHURCHES
from lab.dashboards.numbers import cells_of, columns_of
from lab.dashboards.store import Chosen, Store, filled
from lab.debian_programs import MissingError, unpacked
from lab.processes import bound
from model.dashboards import DASHBOARDS
from model.traces import STORE_PORT as TRACES_PORT
from tests.observability.loop import eventually, free_port

TEXTS = dashboards()


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    try:
        with filled_store() as store:
            yield store
    except MissingError as error:
        pytest.skip(str(error))


def problems(panel: Mapping[str, Any], store: Store, choice: Chosen) -> Iterator[str]:
    """What a person would not see, or could not read."""
    if panel["type"] == "timeseries":
        lines = lines_of(panel, store, choice)
        if len({name for name, _ in lines}) < max(len(lines), len(panel["targets"])):
            yield f"lines without names of their own: {[name for name, _ in lines]}"
        for name, points in lines:
            if (
                not name.strip()
                or "{{" in name
                or "$" in name
                or not all(map(math.isfinite, points.values()))
            ):
                yield f"line {name!r}"
        if not lines:
            yield "no line"
        return
    answer = store.now(filled(panel["targets"][0]["expr"], choice))
    if not answer or not all(math.isfinite(float(one["value"][1])) for one in answer):
        yield "no number"
    elif panel["type"] == "table":
        rows = list(cells_of(panel, answer))
        if empty := [
            head for at, head in enumerate(columns_of(panel).values()) if not any(row[at][0] for row in rows)
        ]:
            yield f"columns without a word: {empty}"
    elif len(answer) != 1:
        yield f"{len(answer)} numbers"


@pytest.mark.parametrize("name", TEXTS)
def test_no_panel_is_empty(store: Store, name: str) -> None:
    dashboard, choice = json.loads(TEXTS[name]), chosen(TEXTS[name])
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    found = [f"{panel['title']}: {words}" for panel in panels for words in problems(panel, store, choice)]
    assert found == []
    for annotation in dashboard["annotations"]["list"]:
        released = store.range(filled(annotation["expr"], choice))
        assert {one["metric"]["group"] for one in released} == {"control", "observability", "tenant"}


@pytest.mark.parametrize("name", TEXTS)
def test_every_variable_has_values_and_one_is_enough(store: Store, name: str) -> None:
    """Each dashboard with the first value of each variable: the queries are valid, and fewer series are found."""
    dashboard, choice = json.loads(TEXTS[name]), dict(chosen(TEXTS[name]))
    everything = dict(choice)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            values = store.values(filled(variable["query"], everything))
        else:
            values = [one.rpartition(" : ")[2] for one in variable["query"].split(",")]
        assert values, variable["name"]
        if variable["name"] != "church":
            choice[variable["name"]] = (values[-1], values[-1])
    targets = [
        target["expr"]
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
        if "$" in target["expr"]
    ]
    one, all_of_them = (
        sum(len(store.now(filled(expression, known))) for expression in targets)
        for known in (choice, everything)
    )
    assert one > 0
    assert one < all_of_them or choice == everything


def test_a_church_is_found_by_its_slug_and_by_its_id(store: Store) -> None:
    """The variable's text is in queries about requests, its value in those about data."""
    panels = {panel["title"]: panel for panel in json.loads(TEXTS["church"])["panels"] if "targets" in panel}

    def number(title: str, slug: str) -> float:
        (found,) = store.now(filled(panels[title]["targets"][0]["expr"], {"church": (slug, CHURCHES[slug])}))
        return float(found["value"][1])

    assert number("Requests", CHURCH) != number("Requests", "grace")
    assert number("Waits for a connection", CHURCH) > 5 > number("Waits for a connection", "grace")
    # Of the night: its migration failed, and another one's dump.
    assert number("Migration", "covenant") > 0 == number("Migration", CHURCH)


def test_the_planes_show_their_own_services(store: Store) -> None:
    for name, services in (
        ("tenant-plane", {"tenant-api", "web-tenant"}),
        ("control-plane", {"control-plane-api"}),
    ):
        (panel,) = (one for one in json.loads(TEXTS[name])["panels"] if one["title"] == "Slowest requests")
        found = {line for line, _ in lines_of(panel, store, chosen(TEXTS[name]))}
        assert services <= found <= services | {"web-control-plane" if name == "control-plane" else "worker"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"expr": "sum(presence360_requests_total)"}, "no number"),
        ({"expr": "presence360_healthy"}, "8 numbers"),
    ],
)
def test_a_panel_that_shows_nothing_is_found(store: Store, change: Mapping[str, str], words: str) -> None:
    (panel,) = (one for one in json.loads(TEXTS["overview"])["panels"] if one["title"] == "Critical alerts")
    panel["targets"][0] |= change
    assert list(problems(panel, store, {})) == [words]


def test_a_picture_is_drawn_of_what_is_asked(store: Store) -> None:
    picture = svg(json.loads(TEXTS["overview"]), store, {})
    for words in ("Overview, production", "ReleaseFailed", "cornerstone", "tenant-api", "1.75 min"):
        assert words in picture


def test_the_pictures_are_of_these_dashboards() -> None:
    """After a change of a dashboard: `make dashboards`, and look at them."""
    assert sorted(path.name for path in PICTURES.iterdir()) == sorted(f"{one.name}.svg" for one in DASHBOARDS)
    for name, text in TEXTS.items():
        assert (PICTURES / f"{name}.svg").read_text(encoding="utf-8").endswith(f"{digest(text)}\n"), name


def test_grafana_reads_the_store_and_changes_nothing(store: Store, tmp_path: Path) -> None:
    """vmauth with a droplet's configuration: a browser that asks Grafana's way deletes no series."""
    port = free_port()
    config = json.dumps(reader(traces=False)).replace(f"127.0.0.1:{STORE_PORT}", f"127.0.0.1:{store.port}")
    (tmp_path / "reader.yaml").write_text(config)
    program = unpacked("victoria-metrics", programs=["vmauth"]) / "vmauth"
    options = [f"-httpListenAddr=127.0.0.1:{port}", f"-auth.config={tmp_path}/reader.yaml"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(bound([program, *options]), stdout=log, stderr=log)

    def asked(path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status

    try:
        eventually("vmauth answers", lambda: asked("/api/v1/labels") == 200)
        for path in ("query?query=1", "query_range?query=1&start=1&end=2&step=1", "label/group/values"):
            assert asked(f"/api/v1/{path}") == 200, path
        for path in (
            "/api/v1/admin/tsdb/delete_series?match[]=up",
            "/snapshot/create",
            "/snapshot/delete_all",
            "/internal/force_merge",
            "/api/v1/query/../admin/tsdb/delete_series?match[]=up",
            "/api/v1/import",
            "/",
        ):
            assert asked(path) == 400, path
        assert store.now("up")
    finally:
        process.terminate()
        process.wait(20)


def test_grafana_reads_the_traces_and_asks_nothing_else_of_their_store(tmp_path: Path) -> None:
    """vmauth, and a server that says what it was asked in the place of the store of traces."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    try:
        program = unpacked("victoria-metrics", programs=["vmauth"]) / "vmauth"
    except MissingError as error:
        pytest.skip(str(error))
    port, stood_in = free_port(), ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=stood_in.serve_forever, daemon=True).start()
    config = json.dumps(reader(traces=True))
    config = config.replace(f"127.0.0.1:{TRACES_PORT}", f"127.0.0.1:{stood_in.server_port}")
    (tmp_path / "reader.yaml").write_text(config)
    options = [f"-httpListenAddr=127.0.0.1:{port}", f"-auth.config={tmp_path}/reader.yaml"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(bound([program, *options]), stdout=log, stderr=log)

    def status(path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        found = connection.getresponse().status
        connection.close()
        return found

    # As pkg/tsdb/jaeger/client.go asks.
    ways = (
        "/api/services",
        "/api/services/tenant-api/operations",
        "/api/traces?limit=50&minDuration=100ms&service=tenant-api",
        f"/api/traces/{32 * 'a'}",
    )
    try:
        eventually("vmauth answers", lambda: status(ways[0]) == 200)
        asked.clear()
        assert [status(way) for way in ways] == [200, 200, 200, 200]
        assert asked == [f"/select/jaeger{way}" for way in ways]
        for other in (
            "/select/logsql/query?query=*",
            "/api/traces/../../logsql/query",
            "/internal/force_merge",
            "/",
        ):
            assert status(other) == 400, other
        assert len(asked) == len(ways)
    finally:
        process.terminate()
        process.wait(20)
        stood_in.shutdown()
        stood_in.server_close()
