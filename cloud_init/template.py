"""Render templates. Pure: the same values always give the same bytes."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from model.droplets import DropletGroupPlan

_FOLDER = Path(__file__).parent / "templates"


def render(template: str, **values: object) -> str:
    """Render a template of the folder ``templates``; a variable without a value is an error."""
    return _environment().get_template(template).render(**values)


def title(plan: DropletGroupPlan) -> str:
    """Return the first line of a configuration file."""
    return f"Group {plan.group} of {plan.environment}. Rendered from the catalogue: do not edit it here."


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        # YAML, systemd's and nginx's languages, not HTML: escaping would corrupt them, and every value comes from the
        # operators' reviewed files.
        autoescape=False,  # noqa: S701
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
