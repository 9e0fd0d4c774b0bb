"""What people get by e-mail, Slack and a webhook, from Debian's Alertmanager with the rendered configuration."""

import dataclasses
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cloud_init.alert_rules import render_rules
from lab.metrics_programs import MissingError, metrics_programs
from model.loader import load_environments
from model.observability import ObservabilityPlan
from model.observability_file import Email, Slack
from model.plan import plan_environment
from tests.observability import receivers
from tests.observability.loop import Loop, eventually
from tests.support import ENVIRONMENTS

PASSWORD = 'of the relay, $HOME "quoted"'
BEGAN = "2026-11-26T03:12:00Z"


@dataclass
class Told:
    """Alertmanager, and all that it hands messages to."""

    loop: Loop
    relay: receivers.Relay
    slack: receivers.Slack

    def mail(self, subject: str) -> tuple[str, str]:
        """Wait for a mail with this in its subject; return subject and text."""

        def find() -> tuple[str, str] | None:
            for mail in reversed(self.relay.mails):
                if subject in mail["Subject"]:
                    # Nothing beside it: an HTML part would be what a telephone shows.
                    assert mail.get_content_type() == "text/plain" or [
                        part.get_content_type() for part in mail.iter_parts()
                    ] == ["text/plain"]
                    body = mail.get_body()
                    assert body
                    return mail["Subject"], body.get_content().replace("\r\n", "\n")
            return None

        return eventually(f"a mail {subject}", find)

    def in_slack(self, title: str) -> tuple[str, str]:
        def find() -> tuple[str, str] | None:
            return next((one for one in reversed(self.slack.shown) if title in one[0]), None)

        return eventually(f"a message {title}", find)


def plan(relay: receivers.Relay) -> ObservabilityPlan:
    """Staging's, told by all three ways of what is critical, and by e-mail of the rest."""
    environments = {one.file.environment: one for one in load_environments(ENVIRONMENTS)}
    plan = plan_environment(environments["staging"]).observability
    assert plan
    email = Email(
        to=("operations@example.org", "ada@example.org"),
        sender="alerts@example.org",
        relay="relay.example.org:2525",
        username=relay.user,
    ).model_copy(update={"relay": f"{receivers.ADDRESS}:{relay.port}"})
    told = {
        "email": email,
        "slack": Slack(channel="#operations"),
        "webhook": True,
        "critical": ("email", "slack", "webhook"),
        "warning": ("email",),
    }
    return dataclasses.replace(plan, notify=plan.notify.model_copy(update=told))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    try:
        programs = metrics_programs()
    except MissingError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("messages")
    relay, slack = receivers.Relay(folder / "relay", "alerts", PASSWORD), receivers.Slack()
    loop = Loop(folder / "loop", programs, plan(relay), environment={"SSL_CERT_FILE": str(relay.authorities)})
    # As droplet/observability writes them: each in a file that nobody else reads.
    (loop.secrets / "alert_email_password").write_text(PASSWORD)
    (loop.secrets / "alert_slack_url").write_text(slack.url)
    try:
        loop.start_alertmanager()
        yield Told(loop, relay, slack)
    finally:
        loop.end()
        relay.stop()
        slack.stop()


PAGES = "https://git.example.org/infrastructure/blob/main"
RULES = json.loads(render_rules(environment="staging", base_domain="staging.presence360.app", pages=PAGES))


def alert(name: str, *, over: str | None = None, more: str = "", **labels: str) -> dict[str, Any]:
    """What vmalert hands over, by the rendered rules; ``more`` is an address of a dashboard."""
    (rule,) = (rule for group in RULES["groups"] for rule in group["rules"] if rule["alert"] == name)
    known = {"alertname": name, "environment": "staging", **rule["labels"], **labels}
    texts = {**rule["annotations"], **({"dashboard": more} if more else {})}
    for label, value in labels.items():
        texts = {key: text.replace(f"{{{{ $labels.{label} }}}}", value) for key, text in texts.items()}
    ends = over or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 300))
    return {"labels": known, "annotations": texts, "startsAt": BEGAN, "endsAt": ends}


FIRST = (
    "Do workers run (WorkerHangs)? If they do, and one church has sent much, it passes; more `replicas` of the "
    "worker's group help."
)


def test_a_critical_alert_arrives_every_way_and_that_it_is_over(told: Told) -> None:
    told.loop.post(alert("QueueLag"))
    sentence = "One job in 10 waits longer than 5 minutes before a worker takes it."
    text = (
        f"{sentence}\nFirst: {FIRST}\n"
        f"Since 26 November 03:12 UTC. QueueLag: {PAGES}/docs/runbooks/alerts.md#queuelag\n"
    )
    subject, body = told.mail("One job in 10")
    assert (subject, body.strip()) == (f"[staging] critical: {sentence}", text.strip())
    assert told.relay.recipients[-1] == ["operations@example.org", "ada@example.org"]
    title, shown = told.in_slack("One job in 10")
    assert (title, shown.strip()) == (subject, text.strip())
    assert told.slack.channels[-1] == "#operations"
    assert eventually("a post", lambda: told.loop.told("QueueLag", "firing"))

    told.loop.post(alert("QueueLag", over="2026-11-26T03:40:00Z"))
    subject, body = told.mail("over:")
    assert subject == f"[staging] over: {sentence}"
    assert body.strip() == (
        f"Over: {sentence}\nFrom 26 November 03:12 to 26 November 03:40 UTC. Nothing has to be done now. "
        f"QueueLag: {PAGES}/docs/runbooks/alerts.md#queuelag"
    )
    assert told.in_slack("over:")[1].strip() == body.strip()
    assert told.slack.colours[-2:] == ["danger", "good"]
    assert eventually("a post", lambda: told.loop.told("QueueLag", "resolved"))


def test_a_message_leads_to_a_dashboard_where_there_is_a_grafana(told: Told) -> None:
    address = "http://127.0.0.1:3000/d/presence360-droplets?var-droplet=staging-app-7"
    told.loop.post(alert("DropletUnhealthy", more=address, instance="staging-app-7"))
    _, body = told.mail("staging-app-7 fails")
    assert body.strip().splitlines()[-1] == f"Dashboard, through the tunnel: {address}"
    # Nothing has to be looked at when it is over.
    told.loop.post(
        alert("DropletUnhealthy", more=address, over="2026-11-26T03:40:00Z", instance="staging-app-7")
    )
    assert told.mail("over: staging-app-7 fails")[1].count("Dashboard") == 0


def test_a_warning_goes_its_own_ways(told: Told) -> None:
    before = len(told.slack.shown)
    told.loop.post(alert("ReleaseHeld", instance="staging-app-1-3fa9c2"))
    subject, body = told.mail("warning:")
    assert subject.count("staging-app-1-3fa9c2") == 1
    # The command can be copied.
    assert body.count("`presence360 status staging`") == 1
    assert len(told.slack.shown) == before


def test_what_a_text_has_in_angle_brackets_is_seen_in_slack(told: Told) -> None:
    told.loop.post(alert("ServiceDown", instance="staging-app-1-3fa9c2", service="tenant-api"))
    _, shown = told.in_slack("tenant-api on staging-app-1-3fa9c2")
    assert shown.count("`docker logs <container>`") == 1
    assert shown.count("[link to") == 0


def test_several_alerts_of_a_kind_are_one_message(told: Told) -> None:
    names = [f"staging-app-{number}" for number in (1, 2, 3)]
    told.loop.post(*(alert("DropletSilent", instance=name, group="app") for name in names))
    subject, body = told.mail("(3 alerts)")
    assert subject.startswith("[staging] critical: staging-app-1 has not answered")
    for name in names:
        assert body.count(f"{name} has not answered") == 1
    # One of them is over: what goes on comes first, and what is over is called so.
    told.loop.post(
        *(alert("DropletSilent", instance=name, group="app") for name in names[1:]),
        alert("DropletSilent", instance=names[0], group="app", over="2026-11-26T03:40:00Z"),
    )
    subject, body = told.mail("(2 alerts)")
    assert subject.startswith("[staging] critical: staging-app-2 has not answered")
    assert body.index("staging-app-3") < body.index("Over: staging-app-1")


def test_no_message_and_no_log_has_a_secret(told: Told) -> None:
    log = (told.loop.folder / "prometheus-alertmanager.log").read_text(encoding="utf-8")
    configuration = (told.loop.folder / "alertmanager.yaml").read_text(encoding="utf-8")
    for secret in (PASSWORD, "/services/T0/B0/secret"):
        assert (log.count(secret), configuration.count(secret)) == (0, 0)
