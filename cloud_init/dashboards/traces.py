"""The dashboard of traces: it asks the store of traces, by Grafana's own plug-in for Jaeger. Pure.

grafana-foundation-sdk knows neither that plug-in nor the panel that draws a trace, so this one is written as JSON.
"""

import json
from typing import Any, Final

from model.dashboards import TRACES, DashboardsPlan
from model.services import CATALOGUE

TRACES_SOURCE: Final = {"type": "jaeger", "uid": "traces"}
"""As cloud_init/grafana.py provisions it."""

_TAG: Final = "presence360"
_MOST: Final = 50
"""Traces in the list: the last ones."""


def render_traces(plan: DashboardsPlan) -> str:
    """Return its JSON, as a file of Grafana's."""
    return json.dumps(_dashboard(plan), separators=(",", ":"), sort_keys=True) + "\n"


def _dashboard(plan: DashboardsPlan) -> dict[str, Any]:
    return {
        "title": f"{TRACES.title}, {plan.environment}",
        "uid": TRACES.uid,
        "description": TRACES.about,
        "tags": [_TAG],
        "editable": False,
        "timezone": "utc",
        "refresh": "",
        "schemaVersion": 39,
        "time": {"from": "now-1h", "to": "now"},
        "links": [
            {
                "type": "dashboards", "title": "Dashboards", "tags": [_TAG], "asDropdown": True, "keepTime": True,
                "icon": "", "tooltip": "", "url": "", "targetBlank": False, "includeVars": False,
            }
        ],
        "annotations": {"list": []},
        "templating": {
            "list": [
                _choice("service", "Service", list(CATALOGUE)),
                _choice("slower", "Slower than", ["0ms", "100ms", "500ms", "1s", "2s", "10s"]),
                _text("trace", "Id of the request"),
            ]
        },
        "panels": [
            _panel(
                1, "table", "Traces",
                "The traces of the service in this time. A click on an id shows the trace below.",
                {"queryType": "search", "service": "$service", "minDuration": "$slower", "limit": _MOST},
                top=0, height=10, overrides=[_opens()],
            ),
            _panel(
                2, "traces", "One trace",
                "Each line is a span: a request, a job, or what it asked of a provider. The id is that of "
                "`X-Request-ID`, and of `request_id` in log lines.",
                {"query": "$trace"},
                top=10, height=20,
            ),
        ],
    }  # fmt: skip


def _panel(
    number: int,
    kind: str,
    title: str,
    about: str,
    query: dict[str, Any],
    *,
    top: int,
    height: int,
    overrides: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    return {
        "id": number,
        "type": kind,
        "title": title,
        "description": about,
        "datasource": TRACES_SOURCE,
        "gridPos": {"x": 0, "y": top, "w": 24, "h": height},
        "targets": [{"refId": "A", "datasource": TRACES_SOURCE, **query}],
        "fieldConfig": {"defaults": {}, "overrides": overrides or []},
        "options": {},
    }


def _opens() -> dict[str, Any]:
    """Let an id open its trace here: the plug-in's own link leads to Explore, which a viewer may not see."""
    url = f"{TRACES.path}?${{service:queryparam}}&${{slower:queryparam}}&${{__url_time_range}}"
    link = {"title": "Show it below", "url": f"{url}&var-trace=${{__value.raw}}"}
    return {
        "matcher": {"id": "byName", "options": "Trace ID"},
        "properties": [{"id": "links", "value": [link]}],
    }


def _choice(name: str, label: str, values: list[str]) -> dict[str, Any]:
    first, *_ = values
    return {
        "type": "custom",
        "name": name,
        "label": label,
        "query": ",".join(values),
        "current": {"text": first, "value": first},
        "options": [{"text": value, "value": value, "selected": value == first} for value in values],
        "multi": False,
        "includeAll": False,
    }


def _text(name: str, label: str) -> dict[str, Any]:
    return {
        "type": "textbox",
        "name": name,
        "label": label,
        "query": "",
        "current": {"text": "", "value": ""},
    }
