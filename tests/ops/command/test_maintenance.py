"""Maintenance: one edit closes an environment or a church, and one serves it again."""

import pytest

from tests.model.workspace import STAGING, STAGING_TENANTS
from tests.ops.command.conftest import Command


def test_an_environment_is_closed_and_served_again(command: Command) -> None:
    before = command.files.text(STAGING)
    said = command("maintenance", "staging", "on").out.splitlines()
    assert command.files.text(STAGING) == f"{before}maintenance: true\n"
    assert said == [
        "wrote environments/staging/environment.yaml",
        "staging: in maintenance.",
        "At the deploy, within a minute: every name of staging.presence360.app answers 503, workers take no tasks, and "
        "no scheduled job starts. Addresses in network.admin_cidrs are still served.",
        "Next: commit the files and open a pull request; or presence360 plan staging, then presence360 apply staging",
        "To serve it again: presence360 maintenance staging off",
    ]
    command("maintenance", "staging", "off")
    assert command.files.text(STAGING) == before


def test_churches_that_stay_closed_are_named(command: Command) -> None:
    command("maintenance", "staging", "on")
    command("maintenance", "staging", "on", "--tenant", "grace")
    command("tenant", "suspend", "staging", "hope")
    said = command("maintenance", "staging", "off").out
    assert "everything is served but grace and hope (suspended)." in said
    assert "presence360 maintenance staging off --tenant grace" in said
    command("maintenance", "staging", "on")
    command("maintenance", "staging", "off", "--tenant", "grace")
    command("tenant", "resume", "staging", "hope")
    assert (
        "At the deploy, within a minute: everything is served.\n"
        in command("maintenance", "staging", "off").out
    )


def test_a_church_is_not_served_before_its_environment_is(command: Command) -> None:
    command("maintenance", "staging", "on")
    command("maintenance", "staging", "on", "--tenant", "grace")
    command("tenant", "suspend", "staging", "hope")
    waits = "is served once staging is no longer in maintenance (presence360 maintenance staging off)"
    assert waits in command("maintenance", "staging", "off", "--tenant", "grace").out
    assert waits in command("tenant", "resume", "staging", "hope").out
    assert waits in command("tenant", "add", "staging", "--name", "Zion", "--slug", "zion").out


def test_only_files_that_changed_are_said_to_be_written(command: Command) -> None:
    said = command("maintenance", "staging", "on", "--tenant", "grace").out
    assert [line for line in said.splitlines() if line.startswith("wrote")] == [
        f"wrote environments/{STAGING_TENANTS}"
    ]


@pytest.mark.parametrize("file", [STAGING, STAGING_TENANTS])
def test_a_comment_behind_the_value_stays(command: Command, file: str) -> None:
    option = [] if file == STAGING else ["--tenant", "grace"]
    indent, after = ("", "\nvalkey:\n") if file == STAGING else ("    ", "    slug: grace\n")
    line = f"{indent}maintenance: false   # off for now\n"
    command.files.replace(file, after, f"\n{line}{after}" if file == STAGING else f"{line}{after}")
    before = command.files.text(file)
    command("maintenance", "staging", "on", *option)
    assert "maintenance: true   # off for now" in command.files.text(file)
    command("maintenance", "staging", "off", *option)
    assert command.files.text(file) == before


def test_so_does_one_behind_a_status(command: Command) -> None:
    command.files.replace(
        STAGING_TENANTS, "    slug: grace\n", "    slug: grace\n    status: suspended  # since May\n"
    )
    command("tenant", "lock")
    command("tenant", "resume", "staging", "grace")
    assert "    status: active  # since May\n" in command.files.text(STAGING_TENANTS)


def test_a_church_is_closed_and_served_again(command: Command) -> None:
    before = command.files.text(STAGING_TENANTS)
    said = command("maintenance", "staging", "on", "--tenant", "grace").out
    assert command.files.text(STAGING_TENANTS) == before.replace(
        "    name: Grace Chapel\n", "    name: Grace Chapel\n    maintenance: true\n"
    )
    assert "https://grace.staging.presence360.app answers 503, and its tasks wait" in said
    assert "presence360 maintenance staging off --tenant grace" in said
    command("maintenance", "staging", "off", "--tenant", "grace")
    assert command.files.text(STAGING_TENANTS) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("staging", "off"),
            "environments/staging/environment.yaml:3: maintenance: staging is not in maintenance",
        ),
        (("stagin", "on"), "there is no environment 'stagin'\n    Did you mean 'staging'?"),
        (("staging", "off", "--tenant", "grace"), "tenants[0]: grace is not in maintenance"),
        (("staging", "on", "--tenant", "grac"), "there is no tenant with the slug 'grac'"),
    ],
)
def test_what_makes_no_difference_is_refused(command: Command, arguments: tuple[str, ...], told: str) -> None:
    assert told in command.refused("maintenance", *arguments)


def test_a_second_time_is_refused(command: Command) -> None:
    command("maintenance", "staging", "on")
    assert "maintenance: staging is in maintenance already" in command.refused("maintenance", "staging", "on")


def test_a_church_that_is_closed_anyway_is_refused(command: Command) -> None:
    command("tenant", "suspend", "staging", "grace")
    refused = command.refused("maintenance", "staging", "on", "--tenant", "grace")
    assert (
        "grace is suspended: it is closed\n    Serve it first: presence360 tenant resume staging grace"
        in refused
    )


def test_neither_on_nor_off_is_told(command: Command) -> None:
    assert "'of' is not one of 'on', 'off'" in command.ended("maintenance", "staging", "of")
