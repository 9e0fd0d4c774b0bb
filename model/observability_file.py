"""`observability:` of environment.yaml: where metrics are kept, and who is told of what is wrong."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from model.schema import Label, Schema, Text

# RFC 5321, section 4.5.3.1: 64 octets before the @. What mail relays take is narrower than what the RFC allows.
EmailAddress = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9._%+-]{1,64}@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$", max_length=254
    ),
]
Relay = Annotated[
    str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}:[0-9]{2,5}$")
]
# Slack API documentation, "Conversations": at most 80 of these characters.
Channel = Annotated[str, StringConstraints(pattern=r"^#[a-z0-9_-]{1,80}$")]

# What a link in a message may have without being escaped, and no slash at its end.
Pages = Annotated[
    str, StringConstraints(pattern=r"^https://[a-z0-9.-]+(/[A-Za-z0-9._~-]+)*$", max_length=200)
]

Way = Literal["email", "slack", "webhook"]


class Email(Schema):
    """Messages by e-mail."""

    to: tuple[EmailAddress, ...] = Field(
        min_length=1,
        description="Who gets messages. DigitalOcean's own alerts go there too, so each address has to be verified: "
        "in the control panel, as a member of the team.",
    )
    sender: EmailAddress = Field(
        description="The address that messages come from; the relay has to allow it."
    )
    relay: Relay = Field(
        description="The mail relay as host:port, such as smtp.mailprovider.com:2525. DigitalOcean blocks 25, "
        "465 and 587."
    )
    username: Text | None = Field(
        default=None,
        description="The user that logs in to the relay, with TF_VAR_<environment>_alert_email_password. Without it "
        "nobody logs in.",
    )


class Slack(Schema):
    """Messages to a Slack channel, through the incoming webhook TF_VAR_<environment>_alert_slack_url."""

    channel: Channel = Field(description='The channel, in quotes: "#operations".')


class Notify(Schema):
    """Who is told of what is wrong, and how."""

    email: Email | None = Field(default=None, description="Messages by e-mail.")
    slack: Slack | None = Field(default=None, description="Messages to a Slack channel.")
    webhook: bool = Field(
        default=False,
        description="Whether messages are posted to TF_VAR_<environment>_alert_webhook_url, as Alertmanager's JSON.",
    )
    pages: Pages | None = Field(
        default=None,
        description="Where people read the pages of this repository, such as "
        "https://github.com/example/infrastructure/blob/main: messages link to the runbook there. Without it they name "
        "the file. No slash at its end.",
    )
    critical: tuple[Way, ...] = Field(
        min_length=1,
        description="The ways of alerts that cannot wait: email, slack, webhook. What is listed has to be set up here.",
    )
    warning: tuple[Way, ...] = Field(min_length=1, description="The ways of all other alerts.")


class Logs(Schema):
    """How long logs are kept, and how much of them."""

    days: int = Field(default=30, ge=1, le=365, description="How long log lines are kept.")
    # systemd keeps whole files of 32 MiB (cloud_init/programs.py); each group needs room for a few.
    size_gib: int = Field(
        default=4,
        ge=1,
        le=1024,
        description="How much disk they may take, in GiB. Each group has an equal part of it: one that writes too much "
        "loses its own oldest lines, and no other group's.",
    )


# As Docker writes it (distribution/reference, "Grammar"): a repository below the registry's, and what no push changes.
DigestedImage = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*@sha256:[0-9a-f]{64}$", max_length=200)
]


def image_reference(registry: str, image: str) -> str:
    """Return an image as Docker pulls it; the registry's name may stand before it, as `docker push` prints it."""
    return image if image.startswith(f"{registry}/") else f"{registry}/{image}"


class Dashboards(Schema):
    """Grafana, which shows the dashboards."""

    image: DigestedImage = Field(
        description="Grafana's image in the registry of `registry.url`, by digest: grafana@sha256:... "
        "(docs/dashboards.md says how it comes there)."
    )


class Traces(Schema):
    """Whether traces are kept, and which."""

    image: DigestedImage = Field(
        description="VictoriaTraces' image in the registry of `registry.url`, by digest: "
        "victoria-traces@sha256:... (docs/traces.md says how it comes there, and which version)."
    )
    # Two digits behind the point, as nginx has them (ngx_http_split_clients_module).
    sample_percent: float = Field(
        default=5, ge=0.01, le=100, description="Of how many requests in a hundred the trace is kept."
    )
    days: int = Field(default=7, ge=1, le=90, description="How long traces are kept.")
    size_gib: int = Field(
        default=2, ge=1, le=1024, description="How much disk they may take, in GiB; the oldest days go first."
    )


class Observability(Schema):
    """Metrics and alerts."""

    group: Label = Field(
        description="The group whose one droplet keeps the metrics and sends the alerts: one of its own with "
        "`services: []` and `replicas: 1`, or another group that has one replica."
    )
    # DigitalOcean API, volumes: 1 GiB to 16 TiB.
    volume_gib: int | None = Field(
        default=None,
        ge=1,
        le=16_384,
        description="The size of a volume for the metrics, in GiB, which outlives the droplet; it can only grow. "
        "Without it they are on the droplet's disk, and come from the last backup after it was replaced.",
    )
    retention_days: int = Field(default=30, ge=1, le=730, description="How long metrics are kept.")
    # 20,000 are 10 droplets and 250 churches twice over (docs/observability.md, "How much").
    series: int = Field(
        default=100_000,
        ge=1_000,
        le=10_000_000,
        description="How many different series the store takes in a day; more are dropped, and an alert comes before.",
    )
    dashboards: Dashboards | None = Field(
        default=None,
        description="Grafana on the observability droplet, reached by an SSH tunnel: docs/dashboards.md. Without it "
        "`presence360 dashboards` writes the dashboards for another one.",
    )
    logs: Logs = Field(
        default_factory=Logs,
        description="What is kept of the logs of all droplets and services, beside the metrics: docs/logs.md.",
    )
    traces: Traces | None = Field(
        default=None, description="The traces of requests and jobs: docs/traces.md. Without it none are kept."
    )
    canary: str | None = Field(
        default=None,
        description="The slug of an active church whose address is asked from outside, as one for all.",
    )
    notify: Notify
