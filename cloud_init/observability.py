"""Render what the observability group's programs are configured with. Pure.

JSON is YAML, which all of them read. Secrets are in files of their own on the droplet, which droplet/observability
writes: none is in here.
"""

import json
from typing import Any, Final

from cloud_init.alert_messages import alertmanager
from cloud_init.alert_rules import INTERVAL, render_rules
from cloud_init.observability_files import SECRETS
from model.access import HEALTH_PATH
from model.observability import DISCOVERY_TOKEN, ObservabilityPlan
from model.services import METRICS_PORT
from model.telemetry import (
    METRICS_PATH,
    NODE_PATH,
    REQUESTS_PATH,
    SERVICE_HISTOGRAMS,
    SERVICE_METRICS,
    services_path,
)

# Of each program, on loopback: the ports that it has by itself.
STORE_PORT, RULES_PORT, MESSAGES_PORT, NAMES_PORT, VALKEY_PORT = 8428, 8880, 9093, 9115, 9121

PATHS: Final = {"droplet": METRICS_PATH, "node": NODE_PATH, "requests": REQUESTS_PATH}
"""By job, what every droplet serves on its private port."""

# Kombu's Redis transport keeps a queue as a list under the queue's own name: the church's prefix and one of these words
# (docs/services-data.md, "Queues"). TYPE and LLEN of each are asked, no EVAL.
QUEUE_KEYS: Final = "db0=*:tasks,db0=*:urgent"


def render_configuration(plan: ObservabilityPlan) -> str:
    """Return observability.json: ``{"files": {name: text}}``, which droplet/observability checks and installs."""
    files = {
        "scrape.yaml": _json(_scrape(plan)),
        "relabel.yaml": _json(_RELABEL),
        "rules.yaml": render_rules(
            environment=plan.environment,
            base_domain=plan.base_domain,
            pages=plan.notify.pages,
            dashboards=plan.grafana is not None,
        ),
        "alertmanager.yaml": _json(alertmanager(plan.notify)),
        "blackbox.yaml": _json(_BLACKBOX),
    }
    return json.dumps({"files": files}, indent=1, sort_keys=True) + "\n"


_SERVICE_NAMES: Final = "|".join((*SERVICE_METRICS, f"({'|'.join(SERVICE_HISTOGRAMS)})_(bucket|sum|count)"))

# The receiver writes `origin` over what a message says (droplet/telemetry/nginx.py). A series for each process of a
# service and each start of it would be new series without end.
_RELABEL: Final = [
    {"action": "drop", "if": f'{{origin="otlp",__name__!~"{_SERVICE_NAMES}"}}'},
    {"action": "labeldrop", "if": '{origin="otlp"}', "regex": "job|instance"},
    {"action": "labeldrop", "regex": "origin|telemetry_sdk_.*|process_.*"},
]

_BLACKBOX: Final = {
    "modules": {
        "healthz": {
            "prober": "http",
            "timeout": "5s",
            "http": {
                "method": "GET",
                "fail_if_not_ssl": True,
                "valid_status_codes": [200],
                "preferred_ip_protocol": "ip4",
            },
        }
    }
}


def _scrape(plan: ObservabilityPlan) -> dict[str, Any]:
    own = {"instance": "observability", "group": plan.group}
    local = {
        "victoria-metrics": STORE_PORT,
        "vmalert": RULES_PORT,
        "alertmanager": MESSAGES_PORT,
        "blackbox": NAMES_PORT,
        "valkey": VALKEY_PORT,
    }
    jobs = [_droplets(plan, job, path, plan.environment_tag) for job, path in PATHS.items()]
    jobs += [
        {
            **_droplets(plan, f"service-{service}", services_path(service), tag),
            # A forged `job`, `instance` or `group` becomes `exported_...`: honor_labels is off.
            "metric_relabel_configs": [
                {"action": "keep", "source_labels": ["__name__"], "regex": _SERVICE_NAMES}
            ],
        }
        for service, tag in sorted(plan.service_tags.items())
    ]
    jobs += [
        {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": own}]}
        for job, port in local.items()
    ]
    jobs.append(_names(plan))
    return {
        "global": {
            "scrape_interval": INTERVAL,
            "scrape_timeout": "10s",
        },
        "scrape_configs": jobs,
    }


def _droplets(plan: ObservabilityPlan, job: str, path: str, tag: str) -> dict[str, Any]:
    """Every droplet with a tag, also one that is switched off: it does not answer, and that is an alert."""
    tags = "__meta_digitalocean_tags"
    return {
        "job_name": job,
        "metrics_path": path,
        "digitalocean_sd_configs": [
            {"authorization": {"credentials_file": f"{SECRETS}/{DISCOVERY_TOKEN.lower()}"}}
        ],
        "relabel_configs": [
            # The list of tags begins and ends with a comma, too.
            {"action": "keep", "source_labels": [tags], "regex": f".*,{tag},.*"},
            {
                "source_labels": ["__meta_digitalocean_private_ipv4"],
                "target_label": "__address__",
                "replacement": f"$1:{METRICS_PORT}",
            },
            {"source_labels": ["__meta_digitalocean_droplet_name"], "target_label": "instance"},
            *(
                {
                    "source_labels": [tags],
                    "regex": f".*,{own},.*",
                    "target_label": "group",
                    "replacement": group,
                }
                for group, own in sorted(plan.group_tags.items())
            ),
        ],
    }


def _names(plan: ObservabilityPlan) -> dict[str, Any]:
    return {
        "job_name": "names",
        "metrics_path": "/probe",
        "params": {"module": ["healthz"]},
        "static_configs": [{"targets": list(plan.names)}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "target"},
            {
                "source_labels": ["target"],
                "target_label": "__param_target",
                "replacement": f"https://$1{HEALTH_PATH}",
            },
            {"target_label": "instance", "replacement": "observability"},
            {"target_label": "__address__", "replacement": f"127.0.0.1:{NAMES_PORT}"},
        ],
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"
