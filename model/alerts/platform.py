"""Alerts on names and certificates as the world sees them, and on the way from metrics to messages itself."""

from model.alert_receipt import TEST_ALERT, TEST_METRIC
from model.alerts import limits
from model.alerts.alert import Alert, Severity, is_old

_CRITICAL, _WARNING = Severity.CRITICAL, Severity.WARNING
_DAY = 86_400
_ON_OURS = "Log in to the observability droplet:"

EDGE: tuple[Alert, ...] = (
    Alert(
        "NameDown",
        # In maintenance nginx answers 503 itself, and everybody knows.
        "probe_success == 0 unless on () max(presence360_maintenance) == 1",
        "3m",
        _CRITICAL,
        "https://{{ $labels.target }} does not answer as it has to.",
        "Does DigitalOcean's uptime check say the same? If not, only the way from the observability droplet is "
        "broken. "
        "If it does: `presence360 status <environment>`, then the load balancer in the control panel.",
        frozenset({"digitalocean_record", "digitalocean_domain", "digitalocean_loadbalancer"}),
    ),
    # DigitalOcean renews Let's Encrypt's certificates, valid for 90 days, 30 days before they end (documentation,
    # "Manage SSL Certificates"): with 21 days left a renewal has failed.
    Alert(
        "CertificateNotRenewed",
        f"min by (target) (probe_ssl_earliest_cert_expiry) - time() < {limits.CERTIFICATE_DAYS_LITTLE * _DAY}",
        "1h",
        _WARNING,
        "The certificate of {{ $labels.target }} ends in less than 21 days, and was not renewed.",
        "Look at the certificate in the control panel. Let's Encrypt has to be allowed by the zone's CAA "
        "records, and the "
        "zone has to be DigitalOcean's.",
        frozenset({"digitalocean_certificate"}),
    ),
    Alert(
        "CertificateEnds",
        f"min by (target) (probe_ssl_earliest_cert_expiry) - time() < {limits.CERTIFICATE_DAYS_LEAST * _DAY}",
        "10m",
        _CRITICAL,
        "The certificate of {{ $labels.target }} ends in less than 3 days. Then no browser opens the site.",
        "Ask DigitalOcean's support now, and see CertificateNotRenewed.",
        frozenset({"digitalocean_certificate"}),
    ),
)

SERIES_SHARE = "vm_daily_series_limit_current_series / vm_daily_series_limit_max_series"

ITSELF: tuple[Alert, ...] = (
    Alert(
        "Watchdog",
        # Where messages cannot be delivered, this has to stop, so that the check from outside tells of it.
        "vector(1) unless on () sum(rate(alertmanager_notifications_failed_total[15m])) > 0",
        "0m",
        Severity.WATCHDOG,
        "This alert always fires: that it arrives shows that alerts do.",
        "Nothing, as long as it fires. DigitalOcean's uptime check of https://cp.<base domain>/watchdog tells "
        "when it does "
        "not: then see whether victoria-metrics, vmalert and prometheus-alertmanager run on the observability "
        "droplet.",
        frozenset({"watchdog"}),
    ),
    Alert(
        TEST_ALERT,
        f"{TEST_METRIC} == 1",
        "0m",
        Severity.TEST,
        "This is only a test. {{ $labels.by }} asked for it, and this message shows that alerts arrive here.",
        "Nothing. `presence360 alerts test <environment>` tells the person who asked which ways accepted it.",
        frozenset({"observability"}),
    ),
    Alert(
        "ObservabilityDown",
        'up{job=~"victoria-metrics|vmalert|alertmanager|blackbox"} == 0',
        "5m",
        _CRITICAL,
        "{{ $labels.job }} on the observability droplet does not answer, so alerts may be missing.",
        f"{_ON_OURS} `systemctl --failed`.",
        frozenset({"observability"}),
    ),
    Alert(
        "ObservabilityNotConfigured",
        "presence360_observability_success == 0",
        "10m",
        _WARNING,
        "The observability droplet refuses its new configuration, and goes on with the one before.",
        f"{_ON_OURS} `journalctl -u presence360-observability -n 50` says what is wrong.",
        frozenset({"observability"}),
    ),
    Alert(
        "RulesFail",
        "increase(vmalert_alerting_rules_errors_total[10m]) > 0",
        "5m",
        _CRITICAL,
        "vmalert cannot evaluate an alert, so that it cannot fire.",
        f"{_ON_OURS} `journalctl -u vmalert -n 50` names the rule.",
        frozenset({"observability"}),
    ),
    Alert(
        "MessagesNotDelivered",
        "sum by (integration) (rate(alertmanager_notifications_failed_total[15m])) > 0",
        "10m",
        _CRITICAL,
        "Messages by {{ $labels.integration }} cannot be delivered.",
        f"{_ON_OURS} `journalctl -u prometheus-alertmanager -n 50` has the answer of the mail relay or of Slack.",
        frozenset({"observability"}),
    ),
    Alert(
        "TooManySeries",
        f"{SERIES_SHARE} > {limits.SERIES_NEAR}",
        "15m",
        _WARNING,
        "There are nearly as many series as the store takes in a day. Then new ones are dropped.",
        f"{_ON_OURS} `curl -s localhost:8428/api/v1/status/tsdb` shows the metrics and labels with the most series.",
        frozenset({"observability"}),
    ),
    Alert(
        "LogsStopped",
        # Each droplet writes lines each half minute, so what is sent is never older for long.
        "time() - presence360_logs_sent_timestamp_seconds > 900",
        "10m",
        _WARNING,
        "Log lines of {{ $labels.instance }} have not arrived for a quarter of an hour. They wait on the droplet, and "
        "are lost if it is destroyed.",
        "Log in to the droplet: `journalctl -u presence360-logs -u presence360-otlp -n 50` has the answer. With 503 no "
        "receiver is known yet. With 502 or 504, look at `systemctl status 'presence360-journal-*'` on the "
        "observability droplet.",
        frozenset({"logs"}),
    ),
    Alert(
        "TracesNotKept",
        'sum(rate(presence360_traces_spans_total{outcome="store"}[10m])) > '
        "0.5 * sum(rate(presence360_traces_spans_total[10m]))",
        "30m",
        _WARNING,
        "Most spans of traces are lost on their way to the store.",
        f"{_ON_OURS} `journalctl -u presence360-traces-store -n 50`. Is the image in the registry, by the digest of "
        "`observability.traces.image`?",
        frozenset({"traces"}),
    ),
    Alert(
        "LogsNotRemoved",
        "presence360_logs_kept_success == 0 or time() - presence360_logs_kept_timestamp_seconds > 4 * 3600",
        "10m",
        _WARNING,
        "Log lines that are old enough are not removed.",
        f"{_ON_OURS} `journalctl -u presence360-logs-keep -n 50`.",
        frozenset({"logs"}),
    ),
    Alert(
        "MetricsBackupOld",
        is_old('presence360_backup_timestamp_seconds{what="metrics"}', limits.METRICS_BACKUP_OLD_SECONDS),
        "0m",
        _WARNING,
        "The last backup of the metrics is older than 6 hours.",
        f"{_ON_OURS} `journalctl -u presence360-metrics-backup -n 50`.",
        frozenset({"observability", "digitalocean_spaces_bucket"}),
    ),
)
