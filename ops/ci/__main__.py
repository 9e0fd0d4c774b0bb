"""The steps of CI: `python -m ops.ci <step>`. The Makefile has a target for each, and docs/ci.md describes them.

Exit codes: 0 done, 1 refused or failed, with what to do about it, 2 the arguments or the settings are wrong.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from model.errors import InvalidInputError
from ops.arguments import Parser
from ops.ci import open_sql, reports, review, rotation, run_command, steps, workflow
from ops.errors import OperationError, UsageError
from ops.paths import ENVIRONMENTS
from ops.refused import RefusedError

EXIT_FAILED = 1
EXIT_USAGE = 2

Step = Callable[[argparse.Namespace], int]

_SCOPE = ("--stack", "--environment")
STEPS: Mapping[str, tuple[Step, Sequence[str]]] = {
    "stacks": (steps.list_stacks, _SCOPE),
    "plan": (steps.make_plan, (*_SCOPE, "--keep", "--base")),
    "apply": (steps.apply, (*_SCOPE, "--keep", "--digest", "--no-wait")),
    "wait": (steps.wait, ("--environment", "--deployed", "--environments")),
    "diff": (steps.diff, (*_SCOPE, "--into", "--base")),
    "adopt": (steps.adopt, ("--stack", "--environment")),
    "drift": (steps.drift, (*_SCOPE, "--into", "--only-if-set-up")),
    "lock-providers": (steps.lock_providers, ("--mirror", "--platform")),
    "summary": (reports.summary, ("plans", "--into", "--base")),
    "pr-comment": (reports.pr_comment, ("summaries",)),
    "drift-issue": (reports.drift_issue, ("summaries", "--environment")),
    "drill-issue": (reports.drill_issue, ("summaries", "--environment")),
    "review": (review.review, ("--base", "--into", "--environments")),
    "one-tenant": (reports.one_tenant, ("--base",)),
    "superseded": (reports.superseded, ("--branch",)),
    "propose-rotation": (rotation.propose_rotation, ()),
    "run-command": (run_command.run_command, ()),
    "open-sql": (open_sql.open_sql, ()),
}
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "--stack": {"default": "", "help": "one stack"},
    "--environment": {"default": "", "help": "an environment: its own stack, then its cells"},
    "--keep": {"default": "", "metavar": "ID", "help": "keep the plan in the state's bucket under this name"},
    "--digest": {"default": "", "help": "the digest that plan printed: apply only that plan"},
    "--no-wait": {"action": "store_true", "help": "leave the wait for the release to the step wait"},
    "--deployed": {"default": "", "help": "what apply printed as deployed; left out, what was deployed last"},
    "--environments": {"type": Path, "default": ENVIRONMENTS, "help": "another folder of operators' files"},
    "--into": {"type": Path, "help": "also write the Markdown to this file"},
    "--only-if-set-up": {"action": "store_true", "help": "succeed where no credential is set at all"},
    "--mirror": {"type": Path, "help": "a folder of provider packages in place of the registry"},
    "--platform": {"action": "append", "help": "a platform in place of the usual ones; repeatable"},
    "--base": {
        "default": "",
        "help": "the git revision to compare with: the deployed one, or where a branch starts",
    },
    "--branch": {"required": True, "help": "the branch that is deployed"},
    "plans": {"type": Path, "help": "a folder of plans as JSON, one per stack"},
    "summaries": {"type": Path, "help": "the folder with the Markdown to publish"},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.step(options)
    except UsageError as error:
        for problem in error.problems:
            print(f"ci: {problem}", file=sys.stderr)
        return EXIT_USAGE
    except (InvalidInputError, RefusedError) as error:
        workflow.annotate("error", str(error))
        return EXIT_USAGE
    except OperationError as error:
        workflow.annotate("error", str(error))
        return EXIT_FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m ops.ci", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    subparsers = parser.add_subparsers(required=True, metavar="step")
    for name, (step, arguments) in STEPS.items():
        subparser = subparsers.add_parser(name, help=(step.__doc__ or "").partition(".")[0])
        subparser.set_defaults(step=step)
        for argument in arguments:
            subparser.add_argument(argument, **ARGUMENTS[argument])
    return parser


if __name__ == "__main__":
    sys.exit(main())
