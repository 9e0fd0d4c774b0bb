"""What is chosen at the top of a dashboard."""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="metrics")
"""The one source of data, as cloud_init/grafana.py provisions it."""

Variable = builders.QueryVariable | builders.CustomVariable

_EVERYTHING: Final = models.VariableOption(text="All", value="$__all")


def chosen(name: str, label: str, query: str, *, several: bool = False) -> builders.QueryVariable:
    """Return a variable whose values come from the store: ``label_values(metric, label)``."""
    variable = (
        builders.QueryVariable(name)
        .label(label)
        .allow_custom_value(False)
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    if several:
        variable.multi(True).include_all(True).all_value(".+").current(_EVERYTHING)
    return variable


def listed(
    name: str, label: str, values: Sequence[tuple[str, str]], *, several: bool = False
) -> builders.CustomVariable:
    """Return a variable with known values, each with the text that people read."""
    variable = (
        builders.CustomVariable(name)
        .label(label)
        .allow_custom_value(False)
        .values(",".join(text if text == value else f"{text} : {value}" for text, value in values))
    )
    if several:
        # All of these, and no others.
        every = "|".join(value for _, value in values)
        variable.multi(True).include_all(True).all_value(every).current(_EVERYTHING)
    return variable
