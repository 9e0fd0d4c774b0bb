"""Take into the state what exists at DigitalOcean and is missing there, after a deploy that was interrupted."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from ops.api_client import Client
from ops.errors import OperationError
from ops.plan_json import parse_plan
from ops.preflight import existing
from ops.preflight.existing import Existing, Way
from ops.preflight.spaces import Key
from ops.terraform import Terraform

ROUNDS = 4
"""What is inside something is found once that is in the state: a zone's records, a cluster's databases and users."""


def adopt(
    terraform: Terraform, environ: Mapping[str, str], region: str, say: Callable[[str], None]
) -> list[Existing]:
    """Import and untaint what exists, until nothing more is found; return what a person has to do.

    Args:
        terraform: of the stack, initialized.
        environ: the variables that Terraform gets.
        region: where the buckets are.
        say: is told each step.

    Raises:
        OperationError: Terraform refused, or it does not come to an end.
    """
    for _ in range(ROUNDS):
        with TemporaryDirectory() as scratch:
            file = Path(scratch) / "plan"
            terraform.plan(file, say=say)
            plan = parse_plan(terraform.show(file), terraform.folder.name)
        found = list(existing.find(plan.changes, Client.of(environ), Key.of_provider(environ, region)))
        mine = [one for one in found if one.way is not Way.BY_HAND]
        if not mine:
            return found
        for one in mine:
            if one.way is Way.UNTAINT:
                terraform.must("untaint", one.address)
            else:
                terraform.must("import", "-input=false", one.address, one.identifier)
            say(f"{terraform.folder.name}: {one.what} is in the state now ({one.way})")
    raise OperationError(
        f"{terraform.folder.name}: after {ROUNDS} rounds there is still something to take over"
    )
