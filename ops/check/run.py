"""All checks at once: each waits for the network by itself, and none hides another."""

import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from ops.check.checks import CHECKS, Check
from ops.check.finding import Colour, Finding, NotSeenError, bad, not_seen, worst
from ops.check.look import Look

LIMIT_SECONDS = 180.0
"""Of the whole run: requests have limits of their own, and a sick network answers none of them."""


@dataclass(frozen=True)
class Line:
    """One line of the checklist, looked at.

    Attributes:
        check: which one.
        findings: everything that was found.
    """

    check: Check
    findings: tuple[Finding, ...]

    @property
    def colour(self) -> Colour:
        """The worst of what was found."""
        return worst(self.findings)

    @property
    def told(self) -> tuple[Finding, ...]:
        """What a reader is told: what is not green, the worst first; otherwise the evidence."""
        wrong = [one for one in self.findings if one.colour is not Colour.GREEN]
        return tuple(sorted(wrong, key=lambda one: -one.colour)) or self.findings


def run(look: Look, checks: Sequence[Check] = CHECKS, limit: float = LIMIT_SECONDS) -> list[Line]:
    """Look at everything; return the lines in the order of the list."""
    done: queue.Queue[tuple[Check, tuple[Finding, ...]]] = queue.Queue()
    for check in checks:
        # A daemon: one that hangs must not keep the program from ending.
        threading.Thread(
            target=lambda one: done.put((one, _look(one, look))), args=(check,), daemon=True
        ).start()
    found: dict[Check, tuple[Finding, ...]] = {}
    deadline = time.monotonic() + limit
    while len(found) < len(checks) and (left := deadline - time.monotonic()) > 0:
        with suppress(queue.Empty):
            check, findings = done.get(timeout=left)
            found[check] = findings
    late = (not_seen(f"no answer within {limit:.0f} s", "Try again; look at the network"),)
    return [Line(check, found.get(check, late)) for check in checks]


def _look(check: Check, look: Look) -> tuple[Finding, ...]:
    """Run a check as far as it comes: what it found before something went wrong stays."""
    findings: list[Finding] = []
    try:
        for finding in check.look(look):
            findings.append(finding)
    except NotSeenError as error:
        findings.append(error.finding)
    except Exception as error:
        findings.append(
            bad(f"the check itself failed: {type(error).__name__}: {error}", "Report it, with this line")
        )
    # The same may be missing for each of many things.
    return tuple(dict.fromkeys(findings)) or (
        not_seen("nothing was found to look at", "Report it, with this line"),
    )
