"""Render the alerts for vmalert: a rules file in Prometheus's form. Pure."""

import json
from collections.abc import Callable
from typing import Any

from model.alerts import GROUPS, Alert
from model.dashboards import ADDRESS, of_alert

INTERVAL = "30s"
"""How often rules are evaluated: as often as droplets are asked (cloud_init/observability.py)."""


def render_rules(
    *, environment: str, base_domain: str, pages: str | None = None, dashboards: bool = False
) -> str:
    """Return the rules file, as JSON, which is YAML too.

    What an alert's texts call `<environment>` and `<base domain>` has its value, so that a command can be copied out of
    a message.

    Args:
        environment: its name.
        base_domain: its base domain.
        pages: where people read this repository's pages: the runbook is linked there.
        dashboards: whether there is a Grafana to link to.
    """
    known = {
        "TF_VAR_<environment>": f"TF_VAR_{environment.replace('-', '_')}",
        "<environment>": environment,
        "<base domain>": base_domain,
    }

    def filled(text: str) -> str:
        for placeholder, value in known.items():
            text = text.replace(placeholder, value)
        return text

    groups = [
        {
            "name": heading,
            "interval": INTERVAL,
            "rules": [_rule(alert, filled, pages, dashboards=dashboards) for alert in alerts],
        }
        for heading, alerts in GROUPS.items()
    ]
    return json.dumps({"groups": groups}, indent=1) + "\n"


def _rule(
    alert: Alert, filled: Callable[[str], str], pages: str | None, *, dashboards: bool
) -> dict[str, Any]:
    linked = {"dashboard": link_of(alert.name)} if dashboards else {}
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.hold,
        "labels": {"severity": alert.severity.value},
        "annotations": {
            "summary": filled(alert.sentence),
            "first": filled(alert.first),
            "runbook": f"{pages}/{alert.runbook}" if pages else alert.runbook,
            **linked,
        },
    }


def link_of(alert: str) -> str:
    """Return the address of the dashboard that an alert leads to: a template of Prometheus, with what it is about."""
    dashboard = of_alert(alert)
    if dashboard.choice is None:
        return f"{ADDRESS}{dashboard.path}"
    variable, label = dashboard.choice
    known = f"$labels.{label}"
    return f"{ADDRESS}{dashboard.path}{{{{ if {known} }}}}?var-{variable}={{{{ {known} }}}}{{{{ end }}}}"
