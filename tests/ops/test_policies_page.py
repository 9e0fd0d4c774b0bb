"""docs/policies.md is what the policies say."""

from ops.policies_page import PAGE, render
from policies.pack import PACK


def test_the_page_is_what_the_policies_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run `make schemas`"


def test_it_has_a_row_for_each_policy_with_a_guideline_and_a_section() -> None:
    rows = [line for line in render().splitlines() if line.startswith('| <a id="ckv_p360_')]
    assert len(rows) == len(PACK) >= 60
    assert all(policy.guideline.endswith(".") and policy.section and policy.title for policy in PACK.values())
