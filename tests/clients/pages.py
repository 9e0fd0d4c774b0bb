"""The code in docs/services-data.md: what services copy is what tests run."""

import re
from dataclasses import dataclass

from tests.support import ROOT

PAGE = ROOT / "docs/services-data.md"
EXAMPLES = ROOT / "docs/examples"
CA_FILE = "/etc/presence360/ca.pem"
"""As the page and the addresses name it; a test's own is in its place."""

# The language, and the name by which tests know it.
_BLOCK = re.compile(r"^```(python|js|prisma|sh) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """One named block of the page."""

    language: str
    code: str


def snippets() -> dict[str, Snippet]:
    """Return the page's blocks by name."""
    found = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    blocks = {name: Snippet(language, code) for language, name, code in found}
    assert len(blocks) == len(found), "two blocks have the same name"
    return blocks
