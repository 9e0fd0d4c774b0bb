"""The wait for a release that follows `cdktf deploy`."""

import sys
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

from ops import after_deploy
from ops.cdktf_invocation import Invocation
from ops.cdktf_stacks import plans_of
from ops.errors import OperationError
from ops.guarded_terraform import INTERRUPTED
from ops.waiting import SYSTEM_CLOCK, Clock

EXIT_FAILED = 1


def wait_for_releases(
    call: Invocation, environ: Mapping[str, str], environments: Path, clock: Clock = SYSTEM_CLOCK
) -> int:
    """Wait until droplets run what a deploy wrote; return the command's exit code. Terraform has ended by now."""
    own_program = any(call.option(name, environ) for name in ("app", "a"))
    if call.command != "deploy" or call.wants_text or own_program:
        return 0
    plans = [plan for plan in plans_of(environments) if any(fnmatch(plan.name, name) for name in call.stacks)]
    try:
        for plan in plans:
            after_deploy.wait_for(plan, environ, say=_tell, clock=clock)
    except OperationError as error:
        _tell(str(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        _tell("The deploy is done, and its droplets go on: presence360 status --watch")
        return INTERRUPTED
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
