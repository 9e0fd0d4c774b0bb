"""Every secret that is not a church's: the runbook's table has each."""

import re
from collections.abc import Iterable

from lab.managed_cluster import ADMINISTRATOR
from tests.support import ROOT, Stack

RUNBOOK = ROOT / "docs/runbooks/rotate-secrets.md"

NOT_SECRET = {"PRESENCE360_STATE", "TERRAFORM_BINARY_NAME", "PRESENCE360_WAIT_SECONDS"}
"""Variables of `.env.example` that hold no secret."""


def rows() -> list[str]:
    """The first column of the runbook's table."""
    section = RUNBOOK.read_text(encoding="utf-8").partition("## Every secret")[2].partition("\n## ")[0]
    return [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")][1:]


def named() -> set[str]:
    """What stands as code in that column or, of the state's key, in the one with who has it."""
    text = "\n".join(
        line for line in RUNBOOK.read_text(encoding="utf-8").splitlines() if line.startswith("| ")
    )
    return set(re.findall(r"`([^`]+)`", text))


def kinds_of_keys(stacks: Iterable[Stack]) -> set[str]:
    """How the addresses of Spaces keys begin, with a word in the place of a group and of an environment."""
    found = set()
    for stack in stacks:
        for address in stack.all("spaces_key"):
            kind = re.sub(r"_[0-9A-F]{8}$", "", address)
            kind = re.sub(r"^config-[a-z0-9-]+_", "config-<group>_", kind)
            found.add(re.sub(r"^[a-z0-9-]+-state-key$", "<env>-state-key", kind))
    return found


def test_the_page_has_each_key_that_the_stacks_make_and_no_other(
    staging: Stack, production: Stack, bootstrap: Stack
) -> None:
    on_page = {re.findall(r"`([^`]+)`", row)[0] for row in rows() if row.startswith("Spaces key")}
    assert on_page == kinds_of_keys((staging, production, bootstrap))


def test_the_page_has_each_variable_of_operators(staging: Stack, production: Stack) -> None:
    services, own = set(), set()
    for name, stack in {"staging": staging, "production": production}.items():
        variables = {
            variable.removeprefix(f"{name}_")
            for variable, about in stack.json["variable"].items()
            if about.get("sensitive")
        }
        own |= {one for one in variables if one.startswith(("registry_", "observability_", "alert_"))}
        services |= variables - own
    assert services, "the tests' files have secrets of services"
    # Those under `secrets:` are one row; one more of the platform's own would be missing here.
    assert "each name under `secrets:` (`TF_VAR_<env>_<name>`)" in rows()
    assert own <= named(), own - named()
    in_example = set(re.findall(r"TF_VAR_<env>_(\w+)=", (ROOT / ".env.example").read_text(encoding="utf-8")))
    assert in_example - services <= named()


def test_the_page_has_each_login_of_a_database_that_is_not_a_churchs(staging: Stack) -> None:
    (user,) = (one["name"] for one in staging.all("database_user").values() if "for_each" not in one)
    assert f"the user `{user}`" in rows()
    engines = {one["engine"] for one in staging.all("database_cluster").values()}
    assert engines == {"pg", "valkey"}
    assert f"`{ADMINISTRATOR}` of each cluster of Postgres" in rows()
    assert "`default` of Valkey" in rows()


def test_the_page_has_what_workflows_and_operators_machines_hold() -> None:
    workflows = "\n".join(
        file.read_text(encoding="utf-8") for file in (ROOT / ".github/workflows").glob("*.yml")
    )
    of_github = set(re.findall(r"secrets\.([A-Z_]+)", workflows)) - {"GITHUB_TOKEN"}
    assert len(of_github) > 5
    assert of_github <= named(), of_github - named()
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    of_operators = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE)) - NOT_SECRET
    assert of_operators <= named(), of_operators - named()


def test_each_row_has_steps_that_are_on_the_page() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.removeprefix("## ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("## ")
    }
    linked = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert linked
    assert linked <= headings, linked - headings
