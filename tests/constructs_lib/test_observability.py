"""The volume, the backups and DigitalOcean's own alerts, as Terraform gets them."""

import re
from collections.abc import Callable

from model.outside_alerts import RESOURCE_ALERTS, Kind
from tests.support import Resource, Stack


def test_the_volume_is_kept_and_attached_to_the_groups_one_droplet(production: Stack) -> None:
    volume, attachment = production.only("volume"), production.only("volume_attachment")
    assert (volume["name"], volume["size"], volume["region"]) == ("production-metrics", 50, "fra1")
    assert volume["lifecycle"] == {"prevent_destroy": True}
    # A file system that DigitalOcean makes is mounted by its image, elsewhere.
    assert "initial_filesystem_type" not in volume
    assert production.follow(attachment["volume_id"]) == volume
    droplet = production.follow(attachment["droplet_id"])
    assert droplet["name"].startswith("production-observability-1-")


def test_a_droplet_that_is_replaced_loses_the_volume_before_its_successor_gets_it(production: Stack) -> None:
    """Terraform destroys an attachment before it makes the next one, unless that or a dependent says otherwise."""
    ((address, attachment),) = production.all("volume_attachment").items()
    assert "lifecycle" not in attachment
    others = str(
        {name: blocks for name, blocks in production.json["resource"].items() if "attachment" not in name}
    )
    assert others.count(address) == 0


def test_a_group_without_a_volume_has_none(staging: Stack) -> None:
    assert staging.all("volume") == {}
    assert staging.all("volume_attachment") == {}


def test_backups_have_a_bucket_and_a_key_of_their_own(production: Stack) -> None:
    bucket = production.named("spaces_bucket", "presence360-production-metrics")
    assert bucket["lifecycle"] == {"prevent_destroy": True}
    key = production.named("spaces_key", "presence360-production-metrics")
    assert [(production.follow(grant["bucket"]), grant["permission"]) for grant in key["grant"]] == [
        (bucket, "readwrite")
    ]


def test_every_alert_is_bound_to_what_it_watches(production: Stack) -> None:
    alerts = production.all("monitor_alert").values()
    assert len(alerts) == len(RESOURCE_ALERTS)

    def bound(kind: Kind) -> list[Resource]:
        measures = {one.measure for one in RESOURCE_ALERTS if one.kind is kind}
        return [alert for alert in alerts if alert["type"] in measures]

    for alert in bound(Kind.DROPLETS):
        assert production.names(alert["tags"]) == ["production"]
        assert "entities" not in alert
    for alert in bound(Kind.LOAD_BALANCERS):
        assert sorted(production.names(alert["entities"])) == ["production-control", "production-tenant"]
    for alert in bound(Kind.DATABASES):
        assert sorted(production.names(alert["entities"])) == ["production-pg-shared", "production-valkey"]
    for alert in alerts:
        assert alert["enabled"] is True
        assert alert["alerts"]["email"] == ["operations@presence360.app"]
        assert alert["alerts"]["slack"] == [
            {"channel": "#operations", "url": "${var.production_alert_slack_url}"}
        ]


def test_a_cells_cluster_and_tenants_own_ones_are_watched_too(
    staging_lives: Stack, staging_cell_2: Stack
) -> None:
    measures = {one.measure for one in RESOURCE_ALERTS if one.kind is Kind.DATABASES}
    alerts = list(staging_cell_2.all("monitor_alert").values())
    assert {alert["type"] for alert in alerts} == measures
    for alert in alerts:
        assert staging_cell_2.names(alert["entities"]) == ["staging-pg-cell-2"]
    for alert in staging_lives.all("monitor_alert").values():
        if alert["type"] in measures:
            assert (
                alert["entities"].count("for cluster in digitalocean_database_cluster.tenant-plane_dedicated")
                == 1
            )


def test_names_are_asked_from_three_regions_for_three_things(edited: Callable[..., Stack]) -> None:
    stack = edited(("  retention_days: 14\n", "  retention_days: 14\n  canary: grace\n"))
    checks = {check["name"]: check for check in stack.all("uptime_check").values()}
    assert {name: check["target"] for name, check in checks.items()} == {
        "staging-uptime-apex": "https://staging.presence360.app/healthz",
        "staging-uptime-canary": "https://grace.staging.presence360.app/healthz",
        "staging-uptime-name-admin": "https://admin.staging.presence360.app/healthz",
        "staging-uptime-name-api": "https://api.staging.presence360.app/healthz",
        "staging-uptime-name-app": "https://app.staging.presence360.app/healthz",
        "staging-uptime-name-cp": "https://cp.staging.presence360.app/healthz",
        "staging-uptime-watchdog": "https://cp.staging.presence360.app/watchdog",
    }
    for check in checks.values():
        assert (check["type"], check["regions"]) == ("https", ["us_east", "eu_west", "se_asia"])
    alerts: dict[str, set[str]] = {}
    for alert in stack.all("uptime_alert").values():
        alerts.setdefault(stack.follow(alert["check_id"])["name"], set()).add(alert["type"])
        # No Slack in staging's file.
        assert alert["notifications"] == [{"email": ["operations@presence360.app"]}]
        # Without them the provider sends an empty comparison, which the API does not know.
        assert alert["threshold"] > 0
        assert alert["comparison"] in {"less_than", "greater_than"}
    assert alerts.pop("staging-uptime-watchdog") == {"down"}
    assert set(map(frozenset, alerts.values())) == {frozenset({"down", "latency", "ssl_expiry"})}
    assert len(alerts) == len(checks) - 1


def test_the_watchdogs_path_is_at_one_name_and_passed_to_its_program(
    staging: Stack, production: Stack
) -> None:
    for stack, group in ((staging, "app"), (production, "control")):
        text = stack.at(f"config-{group}/nginx-conf")["content"]
        (place,) = re.findall(
            r"server_name (\S+);(?:(?!server_name).)*?location = /watchdog", text, re.DOTALL
        )
        assert place == f"cp.{'staging.' if group == 'app' else ''}presence360.app"
    assert production.at("config-tenant/nginx-conf")["content"].count("/watchdog") == 0
