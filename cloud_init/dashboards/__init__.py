"""Draw the dashboards: one file for each, made with Grafana's own library. Pure.

A dashboard is JSON as Grafana's files and its import take it. The same plan gives the same bytes.
"""

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from cloud_init.dashboards import (
    church,
    control_plane,
    data,
    droplets,
    overview,
    releases,
    safety,
    tenant_plane,
)
from cloud_init.dashboards.churches import name_churches
from cloud_init.dashboards.parts import Content, Panel, Shown
from cloud_init.dashboards.variables import SOURCE
from model.alerts import ALERTS
from model.alerts.alert import RUNBOOK
from model.dashboards import (
    CHURCH,
    CONTROL_PLANE,
    DASHBOARDS,
    DATA,
    DROPLETS,
    OVERVIEW,
    RELEASES,
    SAFETY,
    TENANT_PLANE,
    Dashboard,
    DashboardsPlan,
)

_CONTENTS: Final[Mapping[Dashboard, Callable[[DashboardsPlan], Content]]] = {
    OVERVIEW: overview.content,
    TENANT_PLANE: tenant_plane.content,
    CONTROL_PLANE: control_plane.content,
    CHURCH: church.content,
    DROPLETS: droplets.content,
    DATA: data.content,
    RELEASES: releases.content,
    SAFETY: safety.content,
}

_TAG: Final = "presence360"

# A digest that a group did not run two minutes ago. Offset by more than one collection, so that each is seen.
RELEASED: Final = (
    "count by (group, digest) (presence360_release_info)"
    " unless count by (group, digest) (presence360_release_info offset 2m)"
)


def render_dashboards(plan: DashboardsPlan) -> dict[str, str]:
    """Return every dashboard's JSON, by the name of its file."""
    return {f"{one.name}.json": _render(one, plan) for one in DASHBOARDS}


def _render(dashboard: Dashboard, plan: DashboardsPlan) -> str:
    content = _CONTENTS[dashboard](plan)
    builder = (
        builders.Dashboard(f"{dashboard.title}, {plan.environment}")
        .uid(dashboard.uid)
        .description(dashboard.about)
        .tags([_TAG])
        .readonly()
        .timezone("utc")
        .refresh("1m")
        .time("now-3h", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .links(_links(plan))
        .annotations([_releases()])
        .variables(list(content.variables))
    )
    number = 0
    for section in content.sections:
        number += 1
        builder.with_row(builders.Row(section.title).id(number))
        for shown in section.panels:
            number += 1
            builder.with_panel(_explained(shown, plan).id(number))
    drawn: dict[str, Any] = json.loads(json.dumps(builder.build(), cls=JSONEncoder))
    # The library has no names for these of the Prometheus source (packages/grafana-prometheus/src/annotations.ts).
    for annotation in drawn["annotations"]["list"]:
        annotation |= {"titleFormat": "Release {{digest}}", "textFormat": "{{group}}", "step": "60s"}
    for panel in drawn["panels"]:
        name_churches(panel, plan.churches)
    return json.dumps(drawn, separators=(",", ":"), sort_keys=True) + "\n"


def _links(plan: DashboardsPlan) -> list[Builder[models.DashboardLink]]:
    all_of_them = (
        builders.DashboardLink("Dashboards")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([_TAG])
        .as_dropdown(True)
        .keep_time(True)
    )
    if not plan.pages:
        return [all_of_them]
    runbook = builders.DashboardLink("Runbook").type(models.DashboardLinkType.LINK).icon("doc")
    return [all_of_them, runbook.url(f"{plan.pages}/{RUNBOOK}").target_blank(True)]


def _releases() -> builders.AnnotationQuery:
    """Mark when a group began to run a release: with the droplet that runs it first."""
    query = builders.AnnotationQuery().name("Releases").datasource(SOURCE).enable(True).icon_color("blue")
    return query.expr(RELEASED)


def _explained(shown: Shown, plan: DashboardsPlan) -> Panel:
    """Let a panel link to where the alerts are explained that are about the same."""
    panel = copy.deepcopy(shown.panel)
    if plan.pages:
        panel.links(
            [
                builders.DashboardLink(f"Runbook: {name}")
                .type(models.DashboardLinkType.LINK)
                .url(f"{plan.pages}/{ALERTS[name].runbook}")
                .target_blank(True)
                for name in shown.alerts
            ]
        )
    return panel


__all__ = ["RELEASED", "render_dashboards"]
