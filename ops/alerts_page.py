"""Write docs/runbooks/alerts.md from the table of alerts: `make schemas`. A test fails while it is out of date."""

from model.alerts import GROUPS, Alert, Severity
from model.alerts.alert import RUNBOOK
from ops.paths import ROOT

PAGE = ROOT / RUNBOOK

_HEAD = """\
# Alerts

What each alert means, and what to do first. This page is made from `model/alerts` (`make schemas`): edit it there.
[How alerts reach you](../observability.md) says who is told, and how to try it.

| Severity | Means |
|---|---|
| critical | Churches are affected, or will be within the hour: act now. |
| warning | Somebody has to look during the working day. |
"""

_SEVERITIES = {Severity.WATCHDOG: "it always fires", Severity.TEST: "somebody asks for it"}


def render() -> str:
    """Return the page."""
    parts = [_HEAD]
    for heading, alerts in GROUPS.items():
        parts.append(f"\n## {heading}\n")
        parts += [_section(alert) for alert in alerts]
    return "".join(parts)


def _section(alert: Alert) -> str:
    held = "at once" if alert.hold == "0m" else f"after {alert.hold}"
    severity = _SEVERITIES.get(alert.severity, alert.severity.value)
    return (
        f"\n### {alert.name}\n\n"
        f"{_plain(alert.sentence)} *({severity}, {held})*\n\n"
        f"**First:** {alert.first}\n\n"
        f"```promql\n{alert.expression}\n```\n"
    )


def _plain(sentence: str) -> str:
    """Write labels as a reader of a page does: `<instance>`."""
    return sentence.replace("{{ $labels.", "`<").replace(" }}", ">`")


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
