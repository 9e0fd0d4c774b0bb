"""docs/check.md names every line, in their order."""

import re

from ops.check.checks import CHECKS
from tests.support import ROOT


def test_the_page_has_every_line() -> None:
    page = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
    table = page[page.index("## Lines") : page.index("## From outside")]
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE) == [one.name for one in CHECKS]
