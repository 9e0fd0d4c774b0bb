"""Render the user data of a droplet group. Pure: the same plan always gives the same bytes."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from model.plan import DropletGroupPlan

# DigitalOcean API, droplets: user_data "must be plain text and may not exceed 64 KiB in size".
MAX_USER_DATA_BYTES = 64 * 1024

_TEMPLATES = Path(__file__).parent / "templates"


class UserDataTooLongError(ValueError):
    """The rendered user data exceeds what DigitalOcean accepts."""


def render_user_data(plan: DropletGroupPlan) -> str:
    """Render one group's user data: the same for all its droplets, and no secret in it.

    Nothing that changes often belongs here: a change of user data replaces every droplet of the group.
    """
    text = _environment().get_template("user_data.yaml.j2").render(group=plan.group)
    size = len(text.encode())
    if size > MAX_USER_DATA_BYTES:
        raise UserDataTooLongError(
            f"the user data of group {plan.group!r} has {size} bytes; at most {MAX_USER_DATA_BYTES} are allowed"
        )
    return text


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        # YAML, not HTML: escaping would corrupt it, and nothing here comes from outside the operators' files.
        autoescape=False,  # noqa: S701
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
