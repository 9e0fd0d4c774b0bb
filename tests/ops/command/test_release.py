"""Releases: one edit of `releases:`, and nothing else of the file."""

import json

import pytest

from tests.model.workspace import PRODUCTION, STAGING
from tests.ops.command.conftest import Command


def releases(command: Command, environment: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(command("release", "show", environment, "--json").out)[environment]
    return found


def test_one_service_is_released(command: Command) -> None:
    before = command.files.text(STAGING)
    said = command("release", "set", "staging", "tenant-api", "1.4.3").out
    assert command.files.text(STAGING) == before.replace('tenant-api: "1.4.2"', 'tenant-api: "1.4.3"')
    assert said.splitlines()[:2] == [
        "wrote environments/staging/environment.yaml",
        "staging: tenant-api 1.4.2 -> 1.4.3",
    ]
    assert "no droplet is replaced" in said


def test_all_services_are_released(command: Command) -> None:
    digest = f"sha256:{'0a' * 32}"
    command("release", "set", "staging", "all", digest)
    assert set(releases(command, "staging").values()) == {digest}


def test_what_was_tried_is_promoted(command: Command) -> None:
    command("release", "set", "staging", "tenant-api", "1.4.3")
    said = command("release", "promote", "staging", "production", "--service", "worker").out
    assert releases(command, "production") == {
        **dict.fromkeys(releases(command, "staging"), "1.4.1"),
        "worker": "1.4.2",
    }
    assert "production: worker 1.4.1 -> 1.4.2" in said
    command("release", "promote", "staging", "production")
    assert releases(command, "production") == releases(command, "staging")
    before = command.snapshot()
    said = command("release", "promote", "staging", "production").out
    assert said == "production: these releases are written there already; nothing was changed.\n"
    assert command.snapshot() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("set", "staging", "tenant-ap", "1"),
            "there is no service 'tenant-ap'\n    Did you mean 'tenant-api'?",
        ),
        (("set", "staging", "worker", "latest"), "releases.worker: 'latest' is a tag that moves"),
        (("set", "staging", "worker", "1 4"), "releases.worker: '1 4' is not allowed"),
        (
            ("promote", "staging", "productio"),
            "there is no environment 'productio'\n    Did you mean 'production'?",
        ),
        (("promote", "staging", "production", "--service", "web"), "there is no service 'web'"),
    ],
)
def test_what_would_not_be_valid_is_never_written(
    command: Command, arguments: tuple[str, ...], told: str
) -> None:
    assert told in command.refused("release", *arguments)


def test_the_table(command: Command) -> None:
    lines = command("release", "show").out.splitlines()
    assert lines[0].split() == ["service", "production", "staging"]
    assert lines[1].split() == ["tenant-api", "1.4.1", "1.4.2"]
    assert command("release", "show", "staging").out.splitlines()[0].split() == ["service", "staging"]


def test_a_file_whose_releases_are_on_one_line(command: Command) -> None:
    text = command.files.text(PRODUCTION)
    start, end = text.index("releases:\n"), text.index("# Environment variables of every service.")
    services = ("tenant-api", "worker", "web-tenant", "control-plane-api", "web-control-plane")
    one_line = ", ".join(f"{service}: '1.4.1'" for service in services)
    command.files.write(PRODUCTION, f"{text[:start]}releases: {{{one_line}}}  # by hand\n{text[end:]}")
    command("release", "set", "production", "worker", "1.4.9")
    edited = one_line.replace("worker: '1.4.1'", "worker: '1.4.9'")
    assert f"releases: {{{edited}}}  # by hand\n" in command.files.text(PRODUCTION)
