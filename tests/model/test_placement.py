"""A service that is not required runs where a group lists it; those that are, everywhere."""

from dataclasses import replace

import pytest

from model.services import CATALOGUE
from tests.model.test_bad_files import Row, check, env
from tests.model.workspace import STAGING, Workspace

TRIED = replace(CATALOGUE["worker"], name="tried", image="tried", required=False)
NO_GROUP = "no group runs 'tried'"


@pytest.fixture(autouse=True)
def tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue with a service that is new."""
    monkeypatch.setitem(CATALOGUE, "tried", TRIED)


def test_an_environment_goes_without_it(staging: Workspace) -> None:
    (environment,) = staging.load()
    assert all("tried" not in group.services for group in environment.file.groups.values())


def test_a_group_that_lists_it_runs_it(staging: Workspace) -> None:
    staging.replace(
        STAGING,
        "services: [worker]\n    size: s-2vcpu-2gb",
        "services: [worker, tried]\n    size: s-2vcpu-4gb",
    )
    staging.replace(STAGING, "releases:\n", 'releases:\n  tried: "0.1.0"\n')
    staging.replace(STAGING, "MNOTIFY_API_KEY: [worker]", "MNOTIFY_API_KEY: [worker, tried]")
    (environment,) = staging.load()
    assert environment.file.releases["tried"] == "0.1.0"


@pytest.mark.parametrize(
    "row",
    [
        env(
            "a release of what nothing runs",
            "releases:\n",
            'releases:\n  tried: "0.1.0"\n',
            (
                "  tried:",
                f"releases.tried: {NO_GROUP}, so nothing would be released\n    Add tried to the `services` of one "
                "group, or remove this line.",
            ),
        ),
        env(
            "a secret of what nothing runs",
            "MNOTIFY_API_KEY: [worker]",
            "MNOTIFY_API_KEY: [worker, tried]",
            (
                "MNOTIFY",
                f"secrets.MNOTIFY_API_KEY[1]: {NO_GROUP}\n    Add tried to the `services` of one group, or remove it "
                "here.",
            ),
        ),
        env(
            "a service without a release",
            "services: [worker]\n    size: s-2vcpu-2gb",
            "services: [worker, tried]\n    size: s-2vcpu-4gb",
            (
                "releases:",
                "releases: there is no release of 'tried'\n    Add a line such as `tried: \"1.4.2\"`: every service "
                "needs a release.",
            ),
        ),
    ],
    ids=lambda row: row.name,
)
def test_what_needs_it_to_run_says_so(staging: Workspace, row: Row) -> None:
    check(staging, row)


def test_every_service_that_there_was_is_required() -> None:
    assert {service.name for service in CATALOGUE.values() if service.required} == {
        "tenant-api",
        "worker",
        "web-tenant",
        "control-plane-api",
        "web-control-plane",
    }
