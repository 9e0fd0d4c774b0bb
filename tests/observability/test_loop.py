"""From a fault to a message with the right words, and to the message that it is over: the real programs."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_init.observability import render_configuration
from droplet.converge.errors import CommandError
from droplet.converge.processes import run_program
from droplet.observability.files import CONFIGURATION
from lab.metrics_programs import MissingError, metrics_programs
from model.loader import load_environments
from model.observability import WEBHOOK_URL, ObservabilityPlan
from model.plan import plan_environment
from tests.observability.loop import Loop, eventually
from tests.support import ENVIRONMENTS

GOOD = """\
presence360_healthy 1
presence360_draining 0
presence360_converge_phase{phase="serving"} 1
presence360_isolation_success{cluster="shared"} 1
presence360_postgres_connections{cluster="shared",role="tenant_1",state="active"} 20
presence360_postgres_connections_limit{cluster="shared"} 100
"""


@pytest.fixture(scope="module")
def programs() -> Path:
    try:
        return metrics_programs()
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def plan() -> ObservabilityPlan:
    """Staging's, with messages to a webhook alone."""
    environments = {one.file.environment: one for one in load_environments(ENVIRONMENTS)}
    plan = plan_environment(environments["staging"]).observability
    assert plan
    ways = ("webhook",)
    notify = plan.notify.model_copy(
        update={"email": None, "webhook": True, "critical": ways, "warning": ways}
    )
    return dataclasses.replace(plan, notify=notify, secrets={**plan.secrets, WEBHOOK_URL: "x"})


@pytest.fixture(scope="module")
def loop(programs: Path, plan: ObservabilityPlan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    loop = Loop(tmp_path_factory.mktemp("loop"), programs, plan)
    for path in ("/metrics", "/metrics/node", "/metrics/requests"):
        loop.droplet.pages[path] = GOOD if path == "/metrics" else ""
    try:
        loop.start()
        eventually(
            "the droplet was asked",
            lambda: loop.query('presence360_healthy{instance="staging-app-1-3fa9c2"}'),
        )
        yield loop
    finally:
        loop.end()


def test_droplets_are_found_by_their_tag(loop: Loop) -> None:
    found = loop.query('up{job="droplet"}')
    assert [(one["metric"]["instance"], one["metric"]["group"]) for one in found] == [
        ("staging-app-1-3fa9c2", "app")
    ]
    assert set(loop.cloud.tokens) == {"Bearer reads-droplets"}


def test_a_services_own_metrics_are_no_droplets(loop: Loop) -> None:
    """A container answers there itself: it may name only what services measure, and nobody else."""
    loop.droplet.pages["/metrics/services/tenant-api"] = (
        'presence360_maintenance 1\nup{job="droplet"} 0\npresence360_alert_test{by="somebody"} 1\n'
        'presence360_jobs_total{job="droplet",instance="staging-app-9",group="control"} 1\n'
    )
    found = eventually("it is collected", lambda: loop.query("presence360_jobs_total"))
    names = ("job", "instance", "group")
    assert [[one["metric"][name] for name in names] for one in found] == [
        ["service-tenant-api", "staging-app-1-3fa9c2", "app"]
    ]
    # The others are the store's own and vmalert's.
    kept = loop.query('{job="service-tenant-api",__name__!~"scrape_.+|ALERTS.*"}')
    assert {one["metric"]["__name__"] for one in kept} == {"presence360_jobs_total", "up"}
    assert [one["value"][1] for one in kept if one["metric"]["__name__"] == "up"] == ["1"]
    assert [one["value"][1] for one in loop.query('up{job="droplet"}')] == ["1"]


def test_connections_near_the_limit_are_told_and_that_it_is_over(loop: Loop) -> None:
    loop.droplet.pages["/metrics"] = GOOD.replace('state="active"} 20', 'state="active"} 96')
    told = eventually("a message", lambda: loop.told("ConnectionsUsedUp", "firing"))
    assert told["labels"]["cluster"] == "shared"
    assert told["labels"]["severity"] == "critical"
    assert told["labels"]["environment"] == "staging"
    assert told["annotations"]["summary"] == (
        "The cluster shared has more than 95 percent of its connections in use: soon queries are refused."
    )
    assert told["annotations"]["runbook"] == "docs/runbooks/alerts.md#connectionsusedup"
    # The worse of two says enough.
    eventually("the other one is held back", lambda: loop.state("ConnectionsNearLimit") == "suppressed")
    loop.droplet.pages["/metrics"] = GOOD
    eventually("that it is over", lambda: loop.told("ConnectionsUsedUp", "resolved"))


def test_alerts_that_fire_are_in_the_store_for_dashboards(loop: Loop) -> None:
    """The list of the overview (cloud_init/dashboards/overview.py)."""
    watchdog = 'ALERTS{alertstate="firing",severity="watchdog"}'
    (found,) = eventually("vmalert writes it", lambda: loop.query(watchdog))
    assert found["metric"]["alertname"] == "Watchdog"
    assert found["metric"]["environment"] == "staging"


def test_a_droplet_that_is_silent_is_told_and_that_it_is_back(loop: Loop) -> None:
    pages, loop.droplet.pages = loop.droplet.pages, {}
    try:
        told = eventually("a message", lambda: loop.told("DropletSilent", "firing"))
        assert told["annotations"]["summary"] == "staging-app-1-3fa9c2 has not answered for 5 minutes."
    finally:
        loop.droplet.pages = pages
    eventually("that it is over", lambda: loop.told("DropletSilent", "resolved"))


def test_each_program_takes_its_own_files_and_refuses_a_mistake(
    programs: Path, plan: ObservabilityPlan, tmp_path: Path
) -> None:
    """With the commands that droplets check them with (droplet/observability/files.py)."""
    for name, text in json.loads(render_configuration(plan))["files"].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / f"wrong-{name}").write_text(
            '{"groups": [{"nonsense": 1}], "modules": 1, "route": 1}', encoding="utf-8"
        )

    def check(name: str, file: Path) -> None:
        program, *options = CONFIGURATION[name].check
        run_program(
            [str(programs / Path(program).name), *(one.replace("{}", str(file)) for one in options)], {}, 30
        )

    for name in CONFIGURATION:
        check(name, tmp_path / name)
        with pytest.raises(CommandError, match=r"exit \d"):
            check(name, tmp_path / f"wrong-{name}")


def test_the_watchdog_arrives_again_and_again_and_nowhere_else(loop: Loop) -> None:
    before = len(loop.watchdog.posted)
    eventually("more of them", lambda: len(loop.watchdog.posted) > before + 1)
    assert {one["labels"]["alertname"] for post in loop.watchdog.posted for one in post["alerts"]} == {
        "Watchdog"
    }
    assert loop.told("Watchdog", "firing") is None


def test_a_token_that_no_longer_works_is_told(loop: Loop) -> None:
    """Without droplets there is nothing to ask, so nothing else would say that anything is wrong."""
    page = loop.cloud.pages.pop("/v2/droplets")
    loop.droplets()
    try:
        eventually("a message", lambda: loop.told("NoDropletFound", "firing"), 90)
    finally:
        loop.cloud.pages["/v2/droplets"] = page
