"""Render what Grafana on the observability droplet runs with: its settings, its sources of data, its dashboards. Pure.

Nobody logs in: a person who reaches its port has come through SSH as root, and sees what a viewer may see. It keeps
nothing: all of it is in these files. docs/dashboards.md explains it.
"""

import json
from configparser import ConfigParser
from io import StringIO
from typing import Any, Final

from cloud_init.alert_rules import INTERVAL
from cloud_init.dashboards import render_dashboards
from cloud_init.dashboards.traces import TRACES_SOURCE, render_traces
from cloud_init.dashboards.variables import SOURCE
from cloud_init.observability import STORE_PORT
from cloud_init.observability_files import FOLDER
from model.dashboards import ADDRESS, GRAFANA_UID, OVERVIEW, PORT, READER_PORT, TRACES, GrafanaPlan
from model.traces import STORE_PORT as TRACES_PORT

HOME: Final = f"{FOLDER}/grafana"
"""The files on the droplet, and at the same place in the container."""

# Grafana, conf/defaults.ini and its documentation, "Configure Grafana". What calls out, logs somebody in, keeps or
# shares something is off; the firewall below would stop it all the same.
_SETTINGS: Final[dict[str, dict[str, str]]] = {
    "server": {
        "http_addr": "127.0.0.1",
        "http_port": str(PORT),
        "root_url": f"{ADDRESS}/",
        # A page that a browser opens elsewhere reaches this port by another name, and is sent away.
        "domain": "127.0.0.1",
        "enforce_domain": "true",
    },
    "analytics": {
        "reporting_enabled": "false",
        "check_for_updates": "false",
        "check_for_plugin_updates": "false",
        "feedback_links_enabled": "false",
    },
    "news": {"news_feed_enabled": "false"},
    "plugins": {
        "preinstall_disabled": "true",
        "preinstall_auto_update": "false",
        "plugin_admin_enabled": "false",
        "public_key_retrieval_disabled": "true",
    },
    "security": {
        "disable_gravatar": "true",
        "disable_initial_admin_creation": "true",
        "csrf_always_check": "true",
        "content_security_policy": "true",
    },
    "users": {"allow_sign_up": "false", "allow_org_create": "false"},
    "auth": {"disable_login_form": "true", "disable_signout_menu": "true"},
    "auth.basic": {"enabled": "false"},
    "auth.anonymous": {"enabled": "true", "org_role": "Viewer", "hide_version": "true"},
    "snapshots": {"enabled": "false", "external_enabled": "false"},
    "public_dashboards": {"enabled": "false"},
    # vmalert evaluates ours.
    "unified_alerting": {"enabled": "false"},
    "dashboards": {
        "default_home_dashboard_path": f"{HOME}/dashboards/{OVERVIEW.name}.json",
        "min_refresh_interval": INTERVAL,
    },
    "log": {"mode": "console", "level": "warn"},
}

# Grafana documentation, "Provision Grafana". It looks for other files each half minute, so a change needs no restart.
_PROVIDER: Final = {
    "apiVersion": 1,
    "providers": [
        {
            "name": "presence360",
            "type": "file",
            "allowUiUpdates": False,
            "disableDeletion": False,
            "updateIntervalSeconds": 30,
            "options": {"path": f"{HOME}/dashboards"},
        }
    ],
}
_METRICS: Final = {
    "name": "Metrics",
    "uid": SOURCE.uid,
    "type": SOURCE.type_val,
    "access": "proxy",
    "url": f"http://127.0.0.1:{READER_PORT}",
    "isDefault": True,
    "editable": False,
    "jsonData": {"httpMethod": "POST", "timeInterval": INTERVAL, "manageAlerts": False},
}
# Grafana's own plug-in for Jaeger reads VictoriaTraces (VictoriaTraces' documentation, "Grafana"; Grafana
# documentation, "Configure the Jaeger data source").
_TRACES: Final = {
    "name": "Traces",
    **TRACES_SOURCE,
    "access": "proxy",
    "url": f"http://127.0.0.1:{READER_PORT}",
    "isDefault": False,
    "editable": False,
    "jsonData": {"nodeGraph": {"enabled": True}, "traceIdTimeParams": {"enabled": False}},
}

# Victoria Metrics deletes series and makes snapshots when it is asked by GET, and Grafana passes on what its viewers'
# browsers ask. vmauth lets through what reads, and answers 400 to all else (its documentation, "Routing by path").
_READ_METRICS: Final[dict[str, Any]] = {
    "src_paths": [
        "/api/v1/query",
        "/api/v1/query_range",
        "/api/v1/query_exemplars",
        "/api/v1/series",
        "/api/v1/labels",
        "/api/v1/label/[^/]+/values",
        "/api/v1/metadata",
        "/api/v1/status/buildinfo",
    ],
    "url_prefix": f"http://127.0.0.1:{STORE_PORT}",
}
# As Grafana's plug-in asks (pkg/tsdb/jaeger/client.go). A search has this path whatever the source's address has, so
# the way to the store's API is put before it here.
_READ_TRACES: Final[dict[str, Any]] = {
    "src_paths": [
        "/api/services",
        "/api/services/[^/]+/operations",
        "/api/traces",
        "/api/traces/[0-9a-f]+",
    ],
    "url_prefix": f"http://127.0.0.1:{TRACES_PORT}/select/jaeger",
}

# A table of its own, which nothing else changes. Grafana answers those who came to it, and asks vmauth; it reaches
# neither the internet nor the metadata address, and no other program on loopback.
_FIREWALL: Final = f"""\
table inet presence360_grafana
delete table inet presence360_grafana
table inet presence360_grafana {{
  chain output {{
    type filter hook output priority -5; policy accept;
    meta skuid != {GRAFANA_UID} accept
    ct state established,related accept
    oifname "lo" ip daddr 127.0.0.1 tcp dport {READER_PORT} accept
    counter reject
  }}
}}
"""


def render_grafana(plan: GrafanaPlan) -> str:
    """Return dashboards.json: ``{"files": {path: text}}``, which droplet/observability installs."""
    sources = [_METRICS, *([_TRACES] if plan.traces else [])]
    files = {
        "grafana.ini": _ini(),
        "provisioning/dashboards/presence360.yaml": _json(_PROVIDER),
        "provisioning/datasources/sources.yaml": _json(
            {"apiVersion": 1, "prune": True, "datasources": sources}
        ),
        "reader.yaml": _json(reader(traces=plan.traces)),
        "firewall.nft": _FIREWALL,
        **{f"dashboards/{name}": text for name, text in render_dashboards(plan.dashboards).items()},
        **({f"dashboards/{TRACES.name}.json": render_traces(plan.dashboards)} if plan.traces else {}),
    }
    return json.dumps({"files": files}, indent=1, sort_keys=True) + "\n"


def reader(*, traces: bool) -> dict[str, Any]:
    """Return vmauth's configuration: what Grafana may ask of the store of metrics, and of that of traces."""
    return {"unauthorized_user": {"url_map": [_READ_METRICS, *([_READ_TRACES] if traces else [])]}}


def _ini() -> str:
    parser = ConfigParser(interpolation=None)
    parser.read_dict(_SETTINGS)
    text = StringIO()
    parser.write(text)
    return text.getvalue()


def _json(value: object) -> str:
    """JSON is YAML, which both programs read."""
    return json.dumps(value, indent=1) + "\n"
