"""Promises about the files that install and run everything: locks, Makefile, .env.example."""

import json
import re
from pathlib import Path

import pytest

from model import observability
from ops import cdktf_checks, credentials, env_file
from ops.terraform import BINARY_VARIABLE
from ops.waiting import LIMIT_VARIABLE
from tests.support import ENVIRONMENTS

ROOT = Path(__file__).resolve().parent.parent
PYTHON_LOCKS = ["requirements.lock", "requirements-checkov.lock"]
HOST_NAME = re.compile(r"\b[a-z0-9-]+\.(?:com|dev|io|net|org)\b")


def requirements(lock: str) -> list[str]:
    """The entries of a lock file, each with its continuation lines."""
    return (ROOT / lock).read_text().replace("\\\n", "").splitlines()


@pytest.mark.parametrize("lock", PYTHON_LOCKS)
def test_every_python_requirement_is_pinned_and_hashed(lock: str) -> None:
    entries = requirements(lock)
    assert entries
    loose = [
        entry
        for entry in entries
        if not re.fullmatch(r"[\w.-]+==\S+( ; [^#]+?)?( +--hash=sha256:[0-9a-f]{64})+", entry)
    ]
    assert loose == []


@pytest.mark.parametrize("lock", PYTHON_LOCKS)
def test_python_locks_name_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert HOST_NAME.findall(text) == []


def test_npm_packages_are_hashed_and_name_no_download_address() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    installed = {path: package for path, package in packages.items() if path}
    assert installed
    assert [path for path, package in installed.items() if "resolved" in package] == []
    assert [
        path
        for path, package in installed.items()
        if not (package.get("integrity") or package.get("inBundle"))
    ] == []


def test_the_cli_and_the_library_are_one_version() -> None:
    cli = json.loads((ROOT / "package.json").read_text())["dependencies"]["cdktf-cli"]
    library = [entry.split()[0] for entry in requirements("requirements.lock") if entry.startswith("cdktf==")]
    assert library == [f"cdktf=={cli}"]


def test_every_make_target_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE))
    documented = set(re.findall(r"^([a-z-]+):.*## \S", makefile, flags=re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):(?!=)", makefile, flags=re.MULTILINE))
    assert targets
    assert targets == documented == phony


def test_env_example_names_exactly_what_the_cli_asks_for() -> None:
    needed = [*credentials.PROVIDER_CREDENTIALS, *credentials.STATE_CREDENTIALS]
    text = (ROOT / ".env.example").read_text()
    values = env_file.parse_env(text, ".env.example")
    assert set(values) == {credential.name for credential in needed}
    named = set(re.findall(r"\b(?!TF_VAR_)[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", text))
    asked_for = {name for credential in needed for name in (credential.name, *credential.alternatives)}
    assert named == asked_for | {credentials.STATE_VARIABLE, BINARY_VARIABLE, LIMIT_VARIABLE}
    assert all("not" in value.lower() for value in values.values()), "values are obviously false"


def test_env_example_explains_the_secrets_of_any_environment() -> None:
    """A list by environment would be an edit that a new environment or a new secret needs."""
    text = (ROOT / ".env.example").read_text()
    named = re.findall(r"^#TF_VAR_<env>_(\w+)=(\S+)$", text, flags=re.MULTILINE)
    assert named
    assert all("not" in value for _, value in named), "values are obviously false"
    assert text.count("TF_VAR_") == text.count("TF_VAR_<env>_")
    asked_for = cdktf_checks.terraform_variables(["*"], ENVIRONMENTS)
    # Asked for where `observability:` names them.
    of_alerts = {
        name.lower()
        for name in (
            observability.DISCOVERY_TOKEN,
            observability.EMAIL_PASSWORD,
            observability.SLACK_URL,
            observability.WEBHOOK_URL,
        )
    }
    everywhere = {name for name, _ in named} - of_alerts
    assert of_alerts <= {name for name, _ in named}
    assert everywhere
    for name in everywhere:
        assert {f"staging_{name}", f"production_{name}"} <= set(asked_for)
