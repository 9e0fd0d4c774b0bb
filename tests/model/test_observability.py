"""`observability:` of environment.yaml: what cannot work is refused, with the exact words."""

import pytest

from model.plan import plan_environment
from tests.model.workspace import Workspace

STAGING = "staging/environment.yaml"
NOTIFY = "    critical: [email]\n    warning: [email]\n"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        (
            "  group: app\n",
            "  group: apps\n",
            "  group: apps",
            "observability.group: there is no group 'apps'\n"
            "    Did you mean 'app'? Name one of: app, worker. Or add one with `services: []`.",
        ),
        (
            "    size: s-2vcpu-4gb\n    replicas: 1",
            "    size: s-2vcpu-4gb\n    replicas: 2",
            "  group: app",
            "observability.group: the group 'app' has more than one droplet, and each would send every message\n"
            "    Add a group with `services: []` and `replicas: 1`, and name it here.",
        ),
        (
            NOTIFY,
            "    critical: [email, slack]\n    warning: [email]\n",
            "critical: [email, slack]",
            "observability.notify.critical[1]: slack is not set up\n"
            "    Add `slack:` below `notify`, or choose one of: email.",
        ),
        (
            NOTIFY,
            f'    slack: {{channel: "#ops"}}\n{NOTIFY}',
            "    slack:",
            "observability.notify.slack: nothing is sent this way\n"
            "    List it under `critical` or `warning`, or remove it.",
        ),
        (
            "presence360.app:2525",
            "presence360.app:587",
            "relay:",
            "observability.notify.email.relay: port 587 is blocked: DigitalOcean lets no mail out of a droplet on "
            "25, 465 and 587\n    Write a port that your relay offers beside it: most have 2525.",
        ),
        (
            NOTIFY,
            f"    pages: https://git.example.org/infrastructure/\n{NOTIFY}",
            "    pages:",
            "observability.notify.pages: 'https://git.example.org/infrastructure/' is not allowed\n"
            "    Where people read the pages of this repository,",
        ),
        (
            "  logs: {days: 7, size_gib: 2}\n",
            "  logs: {days: 0, size_gib: 2}\n",
            "  logs:",
            "observability.logs.days: 0 is out of range\n    Write at least 1. How long log lines are kept.",
        ),
        (
            "  logs: {days: 7, size_gib: 2}\n",
            "  traces: {image: victoria-traces:v0.1.0}\n",
            "  traces:",
            "observability.traces.image: 'victoria-traces:v0.1.0' is not allowed\n"
            "    VictoriaTraces' image in the registry of `registry.url`, by digest:",
        ),
        (
            "  logs: {days: 7, size_gib: 2}\n",
            f"  traces: {{image: 'victoria-traces@sha256:{64 * '0'}', sample_percent: 0}}\n",
            "  traces:",
            "observability.traces.sample_percent: 0 is out of range\n    Write at least 0.01. Of how many requests",
        ),
        (
            "  server: logs.presence360.example\n",
            "  server: 192.0.2.7\n",
            "  server: 192.0.2.7",
            "database_logs.server: '192.0.2.7' is not allowed\n    The server's name, such as logs.example.org, for",
        ),
        (
            "  server: logs.presence360.example\n",
            "  server: logs.presence360.example:6514\n",
            "  server: logs.presence360.example:6514",
            "database_logs.server: 'logs.presence360.example:6514' is not allowed\n"
            "    The server's name, such as logs.example.org, for which its certificate is: the name alone, and "
            "the port in `port:`.",
        ),
        (
            "  logs: {days: 7, size_gib: 2}\n",
            f"  logs: {{days: 7, size_gib: 2}}\n  traces:\n    image: victoria-traces@sha256:{64 * '0'}\n"
            "    size_gib: 400\n",
            "    size_gib: 400",
            "observability.traces.size_gib: logs and traces may take 402 GiB, and a droplet of the size s-2vcpu-4gb "
            "has a disk of 80, of which Debian, Docker and the metrics need half\n"
            "    Write at most 40 for `logs.size_gib` and `traces.size_gib` together, or a volume: `volume_gib: 804`.",
        ),
        (
            "  logs: {days: 7, size_gib: 2}\n",
            f"  traces:\n    image: ghcr.io/example/victoria-traces@sha256:{64 * '0'}\n",
            "    image: ghcr.io",
            f"observability.traces.image: 'ghcr.io/example/victoria-traces@sha256:{17 * '0'}... is in another "
            "registry than `registry.url`, registry.digitalocean.com/presence360: droplets cannot pull it\n"
            f"    Push it there, and write what is behind the registry's name: victoria-traces@sha256:{64 * '0'}.",
        ),
        (
            "  server: logs.presence360.example\n",
            "  server: logs.presence360.example\n  tls: false\n",
            "  tls: false",
            "database_logs.tls: the key 'tls' is unknown\n    Allowed here: authority, port, server.",
        ),
        (
            "  logs: {days: 7, size_gib: 2}\n",
            f"  volume_gib: 10\n  traces: {{image: 'victoria-traces@sha256:{64 * '0'}'}}\n",
            "  volume_gib: 10",
            "observability.volume_gib: 10 GiB are too few: logs and traces may take 6 of them, and metrics need half\n"
            "    Write at least 12, or less for `logs.size_gib` and `traces.size_gib`.",
        ),
        (
            "  retention_days: 14\n",
            "  retention_days: 14\n  canary: gracie\n",
            "canary:",
            "observability.canary: there is no active church 'gracie'\n"
            "    Did you mean 'grace'? Write the slug of a church that is active, or remove the line.",
        ),
    ],
)
def test_what_cannot_work_is_refused(staging: Workspace, old: str, new: str, line: str, words: str) -> None:
    staging.replace(STAGING, old, new)
    assert f"environments/{STAGING}:{staging.line(STAGING, line)}: {words}" in staging.error()


def test_a_webhook_alone_leaves_digitaloceans_own_alerts_without_a_way(staging: Workspace) -> None:
    text = staging.text(STAGING)
    begin, end = text.index("    email:\n"), text.index(NOTIFY)
    ways = NOTIFY.replace("[email]", "[webhook]")
    staging.write(STAGING, f"{text[:begin]}    webhook: true\n{ways}{text[end + len(NOTIFY) :]}")
    assert (
        "observability.notify: neither `email` nor `slack` is set up, and DigitalOcean's own alerts know no other way\n"
        "    Add `email:` with an address that is verified in the account, or `slack:`."
    ) in staging.error()


def test_examples_are_warned_about(staging: Workspace) -> None:
    staging.replace(STAGING, "operations@presence360.app", "operations@mailprovider.example")
    (environment,) = staging.load()
    assert any(
        "operations@mailprovider.example is an example: no message arrives there" in str(warning)
        for warning in environment.warnings
    )


def test_without_the_section_nothing_is_made(staging: Workspace) -> None:
    text = staging.text(STAGING)
    begin, end = text.index("# Metrics and alerts"), text.index("dns:\n")
    staging.write(STAGING, text[:begin] + text[end:])
    (environment,) = staging.load()
    assert environment.file.observability is None


@pytest.mark.parametrize("before", ["", "registry.digitalocean.com/presence360/"])
def test_an_image_may_have_the_registrys_name_before_it(staging: Workspace, before: str) -> None:
    """`docker push` prints it so; twice the registry would be pulled from nowhere."""
    digest = f"sha256:{64 * '0'}"
    staging.replace(
        STAGING,
        "  logs: {days: 7, size_gib: 2}\n",
        f"  traces:\n    image: {before}victoria-traces@{digest}\n"
        f"  dashboards:\n    image: {before}grafana@{digest}\n",
    )
    (loaded,) = staging.load()
    plan = plan_environment(loaded)
    (group,) = (one for one in plan.groups if one.observability)
    registry = "registry.digitalocean.com/presence360"
    assert group.telemetry
    assert group.telemetry.traces
    assert group.telemetry.traces.image == f"{registry}/victoria-traces@{digest}"
    assert group.observability
    assert group.observability.grafana
    assert group.observability.grafana.image == f"{registry}/grafana@{digest}"
