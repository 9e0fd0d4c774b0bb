"""Render Alertmanager's configuration: who is told of which alert, and in which words. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from cloud_init.observability_files import SECRETS
from model.alert_receipt import TEST_ALERT, TEST_RECEIVER
from model.observability import EMAIL_PASSWORD, SLACK_URL, WEBHOOK_URL
from model.observability_file import Notify
from model.services import WATCHDOG_RECEIVER_PORT

# One line says what is wrong: it is what a telephone shows of a message.
_FIRST: Final = (
    "{{ with .Alerts.Firing }}{{ (index . 0).Annotations.summary }}"
    "{{ if gt (len .) 1 }} ({{ len . }} alerts){{ end }}"
    "{{ else }}{{ (index .Alerts 0).Annotations.summary }}{{ end }}"
)
_TITLE: Final = (
    "[{{ .CommonLabels.environment }}] "
    '{{ if eq .Status "resolved" }}over{{ else }}{{ .CommonLabels.severity }}{{ end }}: ' + _FIRST
)
_CLOCK: Final = "2 January 15:04"
# A message about several alerts has those that go on first. Times of vmalert are in UTC, as are all of ours.
_TEXT: Final = (
    "{{ range .Alerts.Firing }}{{ .Annotations.summary }}\n"
    "First: {{ .Annotations.first }}\n"
    f'Since {{{{ .StartsAt.UTC.Format "{_CLOCK}" }}}} UTC. '
    "{{ .Labels.alertname }}: {{ .Annotations.runbook }}\n"
    "{{ with .Annotations.dashboard }}Dashboard, through the tunnel: {{ . }}\n{{ end }}\n{{ end }}"
    "{{ range .Alerts.Resolved }}Over: {{ .Annotations.summary }}\n"
    f'From {{{{ .StartsAt.UTC.Format "{_CLOCK}" }}}} to {{{{ .EndsAt.UTC.Format "{_CLOCK}" }}}} UTC. '
    "Nothing has to be done now. {{ .Labels.alertname }}: {{ .Annotations.runbook }}\n\n{{ end }}"
)


def _for_slack(template: str) -> str:
    """Escape what a template's annotations may hold (Slack API, "Formatting text": these three, and no others)."""
    escape = "".join(
        f' | reReplaceAll "{character}" "{entity}"'
        for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
    )
    for name in ("summary", "first"):
        template = template.replace(f".Annotations.{name} }}}}", f".Annotations.{name}{escape} }}}}")
    return template


_WORSE: Final[Mapping[str, str]] = {
    "CertificateEnds": "CertificateNotRenewed",
    "ConnectionsUsedUp": "ConnectionsNearLimit",
    "DiskFull": "DiskNearlyFull",
    "ErrorsBurn": "ErrorsBurnSlowly",
    "ErrorsBurnFast": "ErrorsBurn",
    "MnotifyFails": "MnotifyErrors",
    "RekognitionFails": "RekognitionErrors",
    "ValkeyMemoryUsedUp": "ValkeyMemoryNearlyUsedUp",
}
"""Alerts that say the same as another one, and worse."""


def alertmanager(notify: Notify) -> dict[str, Any]:
    """Routes by severity. A droplet that is silent, or a thing that is used up, hides what follows from it."""
    return {
        "route": {
            "receiver": "warning",
            "group_by": ["alertname", "group", "cluster", "service"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "1d",
            "routes": [
                {
                    "matchers": ['severity="watchdog"'],
                    "receiver": "watchdog",
                    "group_wait": "0s",
                    "group_interval": "1m",
                    "repeat_interval": "1m",
                },
                # A group for each test, or the second one within a day would say nothing.
                {
                    "matchers": [f'alertname="{TEST_ALERT}"'],
                    "receiver": TEST_RECEIVER,
                    "group_by": ["alertname", "test"],
                    "group_wait": "0s",
                },
                {"matchers": ['severity="critical"'], "receiver": "critical", "repeat_interval": "1h"},
            ],
        },
        "inhibit_rules": [
            {
                "source_matchers": ['alertname="DropletSilent"'],
                "target_matchers": ['alertname!="DropletSilent"', 'instance!=""'],
                "equal": ["instance"],
            },
            *(
                {
                    "source_matchers": [f'alertname="{worse}"'],
                    "target_matchers": [f'alertname="{than}"'],
                    "equal": ["instance", "mountpoint", "cluster", "service", "target"],
                }
                for worse, than in _WORSE.items()
            ),
        ],
        "receivers": [
            {"name": "critical", **_ways(notify, notify.critical)},
            {"name": "warning", **_ways(notify, notify.warning)},
            # Every way that somebody is told by, once.
            {
                "name": TEST_RECEIVER,
                **_ways(notify, (*notify.critical, *notify.warning), send_resolved=False),
            },
            {
                "name": "watchdog",
                "webhook_configs": [
                    {"url": f"http://127.0.0.1:{WATCHDOG_RECEIVER_PORT}/", "send_resolved": False}
                ],
            },
        ],
    }


def _ways(notify: Notify, ways: tuple[str, ...], *, send_resolved: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if notify.email and "email" in ways:
        login = (
            {
                "auth_username": notify.email.username,
                "auth_password_file": f"{SECRETS}/{EMAIL_PASSWORD.lower()}",
            }
            if notify.email.username
            else {}
        )
        found["email_configs"] = [
            {
                "to": ", ".join(notify.email.to),
                "from": notify.email.sender,
                "smarthost": notify.email.relay,
                "require_tls": True,
                "send_resolved": send_resolved,
                "headers": {"Subject": _TITLE},
                "text": _TEXT,
                "html": "",
                **login,
            }
        ]
    if notify.slack and "slack" in ways:
        title = _for_slack(_TITLE)
        found["slack_configs"] = [
            {
                "api_url_file": f"{SECRETS}/{SLACK_URL.lower()}",
                "channel": notify.slack.channel,
                "send_resolved": send_resolved,
                "title": title,
                # Alertmanager's own would be a link to the droplet's loopback address.
                "title_link": "",
                "fallback": title,
                "text": _for_slack(_TEXT),
            }
        ]
    if "webhook" in ways:
        found["webhook_configs"] = [
            {"url_file": f"{SECRETS}/{WEBHOOK_URL.lower()}", "send_resolved": send_resolved}
        ]
    return found
