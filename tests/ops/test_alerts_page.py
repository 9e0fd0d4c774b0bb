"""The runbook of alerts is what the table says, and every alert's link leads to a section of it."""

import re

from model.alerts import ALERTS
from ops.alerts_page import PAGE, render


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run `make schemas`"


def test_every_link_leads_to_a_section() -> None:
    # A heading's anchor is its words in lower case (CommonMark renderers, GitHub among them).
    anchors = {
        heading.lower() for heading in re.findall(r"^### (\w+)$", PAGE.read_text(encoding="utf-8"), re.M)
    }
    assert {alert.runbook.partition("#")[2] for alert in ALERTS.values()} == anchors
