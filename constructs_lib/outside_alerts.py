"""DigitalOcean's own alerts and uptime checks, each bound to what it watches."""

from collections.abc import Sequence
from dataclasses import dataclass

from cdktf import Token
from cdktf_cdktf_provider_digitalocean.monitor_alert import (
    MonitorAlert,
    MonitorAlertAlerts,
    MonitorAlertAlertsSlack,
)
from cdktf_cdktf_provider_digitalocean.uptime_alert import (
    UptimeAlert,
    UptimeAlertNotifications,
    UptimeAlertNotificationsSlack,
)
from cdktf_cdktf_provider_digitalocean.uptime_check import UptimeCheck
from constructs import Construct

from constructs_lib.data_layer import DataLayer
from constructs_lib.edge import Edge
from constructs_lib.network import Network
from constructs_lib.operator_secrets import OperatorSecrets
from constructs_lib.postgres import PostgresCluster
from constructs_lib.tenant_plane import TenantPlane
from model.access import HEALTH_PATH
from model.observability import SLACK_URL, ObservabilityPlan
from model.outside_alerts import CHECK_REGIONS, DOWN, RESOURCE_ALERTS, UPTIME_ALERTS, Kind
from model.outside_alerts import UptimeAlert as UptimeRule
from model.services import WATCHDOG_PATH


@dataclass(frozen=True)
class Told:
    """Who gets DigitalOcean's own messages.

    Attributes:
        environment: begins each message.
        emails: verified addresses.
        channel: of Slack; empty for none.
        url: an expression, with `${}`, for the address of Slack's webhook; sensitive.
    """

    environment: str
    emails: Sequence[str]
    channel: str = ""
    url: str = ""


class OutsideAlerts(Construct):
    """Alerts that DigitalOcean sends by itself, to the addresses and the channel of the operators' file."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        plan: ObservabilityPlan,
        secrets: OperatorSecrets,
        network: Network,
        edge: Edge,
        data: DataLayer,
        tenant_plane: TenantPlane,
    ) -> None:
        super().__init__(scope, construct_id)
        email, slack = plan.notify.email, plan.notify.slack
        self._told = Told(
            environment=plan.environment,
            emails=email.to if email else (),
            channel=slack.channel if slack else "",
            url=f"${{{secrets.expression(plan.secrets[SLACK_URL])}}}" if slack else "",
        )
        _alert_on(self, Kind.DROPLETS, self._told, tags=[network.environment_tag])
        _alert_on(self, Kind.LOAD_BALANCERS, self._told, entities=list(edge.load_balancer_ids.values()))
        clusters = [*(cluster.fqn for cluster in data.postgres.values()), data.valkey.fqn]
        _alert_on(self, Kind.DATABASES, self._told, entities=_ids(clusters, tenant_plane.own_clusters))
        for key, (name, host) in plan.uptime.items():
            self._uptime(key, name, f"https://{host}{HEALTH_PATH}", UPTIME_ALERTS)
        name, host = plan.watchdog
        self._uptime("watchdog", name, f"https://{host}{WATCHDOG_PATH}", (DOWN,))

    def _uptime(self, key: str, name: str, target: str, alerts: Sequence[UptimeRule]) -> None:
        check = UptimeCheck(
            self, key, name=name, type="https", target=target, regions=list(CHECK_REGIONS), enabled=True
        )
        for alert in alerts:
            UptimeAlert(
                self,
                f"{key}-{alert.key}",
                check_id=check.id,
                name=f"{name}-{alert.key}",
                type=alert.type,
                period=alert.period,
                threshold=alert.threshold,
                comparison=alert.comparison,
                notifications=[
                    UptimeAlertNotifications(
                        email=list(self._told.emails) or None,
                        slack=[UptimeAlertNotificationsSlack(channel=self._told.channel, url=self._told.url)]
                        if self._told.channel
                        else None,
                    )
                ],
            )


class ClusterAlerts(Construct):
    """The same for the Postgres clusters of a further cell, by e-mail alone: its stack has no secrets."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: str,
        emails: Sequence[str],
        cluster: PostgresCluster,
        tenant_plane: TenantPlane,
    ) -> None:
        super().__init__(scope, construct_id)
        told = Told(environment=environment, emails=emails)
        _alert_on(self, Kind.DATABASES, told, entities=_ids([cluster.fqn], tenant_plane.own_clusters))


def _ids(addresses: Sequence[str], lists: Sequence[str]) -> list[str]:
    """Return the ids of clusters by their addresses in Terraform, and those of lists that only Terraform knows."""
    if not lists:
        return [f"${{{one}.id}}" for one in addresses]
    known = ", ".join(f"{one}.id" for one in addresses)
    return Token.as_list(f"${{concat([{known}], {', '.join(lists)})}}")


def _alert_on(
    scope: Construct,
    kind: Kind,
    told: Told,
    *,
    tags: list[str] | None = None,
    entities: list[str] | None = None,
) -> None:
    for alert in RESOURCE_ALERTS:
        if alert.kind is kind:
            MonitorAlert(
                scope,
                alert.key,
                type=alert.measure,
                description=f"{told.environment}: {alert.words}",
                compare="GreaterThan",
                value=alert.above,
                window=alert.window,
                tags=tags,
                entities=entities,
                enabled=True,
                alerts=MonitorAlertAlerts(
                    email=list(told.emails) or None,
                    slack=[MonitorAlertAlertsSlack(channel=told.channel, url=told.url)]
                    if told.channel
                    else None,
                ),
            )
