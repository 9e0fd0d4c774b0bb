"""The alerts: one table, like the catalogue of services. A new alert is one entry here.

cloud_init/alert_rules.py renders them for vmalert, ops/alerts_page.py writes docs/runbooks/alerts.md, and
tests/model/alerts has for each a case in which it fires and one in which it does not.
"""

from model.alerts.alert import Alert, Severity
from model.alerts.data import BACKUPS, CONNECTIONS, DRILLS, ISOLATION, MIGRATIONS, VALKEY
from model.alerts.droplets import MACHINE, PROGRAMS
from model.alerts.platform import EDGE, ITSELF
from model.alerts.services import JOBS, PROVIDERS, REQUESTS, SCHEDULED

GROUPS: dict[str, tuple[Alert, ...]] = {
    "Droplets": MACHINE,
    "Programs and releases": PROGRAMS,
    "Requests": REQUESTS,
    "Jobs": JOBS,
    "Scheduled jobs and maintenance": SCHEDULED,
    "Providers": PROVIDERS,
    "Connections": CONNECTIONS,
    "Isolation": ISOLATION,
    "Migrations": MIGRATIONS,
    "Dumps": BACKUPS,
    "Restore drill": DRILLS,
    "Valkey": VALKEY,
    "Names and certificates": EDGE,
    "Observability itself": ITSELF,
}
"""By heading, as the runbook has them."""

ALERTS: dict[str, Alert] = {alert.name: alert for group in GROUPS.values() for alert in group}

__all__ = ["ALERTS", "GROUPS", "Alert", "Severity"]
