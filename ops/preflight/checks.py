"""All checks before an apply: before a plan is made, and with the plan."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from model.environment import EnvironmentFile
from model.plan import EnvironmentPlan
from ops.api_client import ApiError, Client
from ops.plan_json import Plan
from ops.preflight import credentials, existing, images, limits, place, zone
from ops.preflight.existing import Existing, Way
from ops.preflight.finding import Checked, together
from ops.preflight.spaces import Key

NO_MORE = "everything else is in the state now; a second adopt names the same again, until a person has acted"
"""Ends what `presence360 adopt` says where something is left."""


def of_credentials(environ: Mapping[str, str], folders: Sequence[Path], plan: EnvironmentPlan) -> Checked:
    """Check the token and the keys. Nothing else can be asked without them."""
    return credentials.check(environ, folders, plan.network.region)


def of_files(plan: EnvironmentPlan, environ: Mapping[str, str]) -> Checked:
    """Check that what an environment's files name exists: the images, and the zone's delegation."""
    return images.check(plan, environ) + zone.check(plan)


def of_plan(plan: Plan, file: EnvironmentFile, environ: Mapping[str, str]) -> Checked:
    """Check that what a plan makes is sold, that the account may have it, and that nothing of it exists already."""
    try:
        api = Client.of(environ)
    except ApiError as error:
        return Checked((str(error),))
    spaces = Key.of_provider(environ, file.region)
    found = list(existing.find(plan.changes, api, spaces))
    return together(
        (
            place.check(plan, api),
            limits.check(plan, file.account, api, spaces),
            Checked(tuple(told(found, plan.stack))),
        )
    )


def exists(plan: Plan, region: str, environ: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return in words what exists of what a plan would make; None where the clusters cannot be asked for.

    A public SSH key does not count: an account has it once, and a person may have added it.
    """
    try:
        api = Client.of(environ)
        # What cannot be asked for is left out below, and must not look like what is not there.
        api.all("/v2/databases", "databases")
    except ApiError:
        return None
    found = existing.find(plan.changes, api, Key.of_provider(environ, region))
    return tuple(one.what for one in found if not one.address.startswith("digitalocean_ssh_key."))


def told(found: Sequence[Existing], stack: str) -> list[str]:
    """Return a line for each thing that exists, and what to do about those that a command takes over."""
    lines = [
        f"{stack}: {one.what} exists already, and Terraform's state does not have it"
        + (f": {one.remedy}" if one.remedy else "")
        for one in found
    ]
    if any(one.way is not Way.BY_HAND for one in found):
        lines.append(
            f"{stack}: did an interrupted deploy leave this behind, did you make it for this environment, or is the "
            f"state lost (docs/runbooks/lost.md)? Then: presence360 adopt {stack}, and plan again"
        )
    return lines
