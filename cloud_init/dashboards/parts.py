"""What dashboards are made of: panels, variables and links with this house's settings, on Grafana's own builders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from cloud_init.dashboards.variables import SOURCE, Variable

RATE: Final = "$__rate_interval"
"""Grafana's: at least four times the interval at which droplets are asked."""

GREEN, YELLOW, RED, TEXT = "green", "yellow", "red", "text"

# Grafana's ids of units (packages/grafana-data/src/valueFormats/categories.ts).
SHARE, SECONDS, BYTES, COUNT, PER_SECOND, DAYS = "percentunit", "s", "bytes", "short", "reqps", "d"

HALF, THIRD, _NUMBER = 12, 8, 4


@dataclass(frozen=True)
class Query:
    """One expression, and what its lines are called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Limits:
    """At which values a panel is yellow and red; with ``below`` it is so under them."""

    yellow: float | None = None
    red: float | None = None
    below: bool = False

    def steps(self) -> list[models.Threshold]:
        """Return Grafana's steps: each colour holds from its value up."""
        wanted = [(self.yellow, YELLOW), (self.red, RED)]
        known = sorted((value, color) for value, color in wanted if value is not None)
        if not self.below:
            return [
                models.Threshold(None, GREEN),
                *(models.Threshold(value, color) for value, color in known),
            ]
        begins = [None, *(value for value, _ in known)]
        colors = [*(color for _, color in known), GREEN]
        return [models.Threshold(value, color) for value, color in zip(begins, colors, strict=True)]


NO_LIMITS: Final = Limits()

Panel = timeseries.Panel | stat.Panel | table.Panel


@dataclass(frozen=True)
class Shown:
    """A panel, and the alerts that are about the same: it links to their sections of the runbook."""

    panel: Panel
    alerts: Sequence[str]


@dataclass(frozen=True)
class Section:
    """A heading, and the panels below it."""

    title: str
    panels: Sequence[Shown]


@dataclass(frozen=True)
class Content:
    """What one dashboard has."""

    sections: Sequence[Section]
    variables: Sequence[Variable] = ()


def lines(
    title: str,
    about: str,
    *queries: Query,
    unit: str = COUNT,
    limits: Limits = NO_LIMITS,
    width: int = THIRD,
    stacked: bool = False,
    highest: float | None = None,
    alerts: Sequence[str] = (),
) -> Shown:
    """Return a panel with lines over time; limits are drawn as lines, too."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(_about(about, alerts))
        .datasource(SOURCE)
        .span(width)
        .height(8)
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(40 if stacked else 5)
        .show_points(common.VisibilityMode.NEVER)
        .tooltip(
            common_builders.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    if highest is not None:
        panel.max(highest)
    if stacked:
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    if limits != NO_LIMITS:
        panel.thresholds(_thresholds(limits)).thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    panel.targets([_target(query, letter) for query, letter in _lettered(queries)])
    return Shown(panel, alerts)


def number(
    title: str,
    about: str,
    expression: str,
    *,
    unit: str = COUNT,
    limits: Limits = NO_LIMITS,
    decimals: int | None = None,
    link: tuple[str, str] | None = None,
    yes_or_no: bool = False,
    alerts: Sequence[str] = (),
) -> Shown:
    """Return a panel with one number, coloured by its limits; ``link`` is what a click opens."""
    panel = (
        stat.Panel()
        .title(title)
        .description(_about(about, alerts))
        .datasource(SOURCE)
        .span(_NUMBER)
        .height(4)
        .unit(unit)
        .thresholds(_thresholds(limits))
        .color_mode(
            common.BigValueColorMode.BACKGROUND if limits != NO_LIMITS else common.BigValueColorMode.NONE
        )
        .graph_mode(common.BigValueGraphMode.NONE)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
        # What a droplet does not say is not 0.
        .no_value("no data")
        .targets([_target(Query(expression), "A", instant=True)])
    )
    if decimals is not None:
        panel.decimals(decimals)
    if yes_or_no:
        panel.mappings([_YES_OR_NO])
    if link:
        panel.data_links([builders.DashboardLink(link[0]).type(models.DashboardLinkType.LINK).url(link[1])])
    return Shown(panel, alerts)


@dataclass(frozen=True)
class Column:
    """A column of a table: a label, or ``Value`` for what the query returns.

    Attributes:
        label: as the series has it.
        title: its heading.
        unit: of a value.
        limits: that colour a value.
        link: the title and address of what a click opens.
        yes_or_no: whether 1 and 0 are written as words.
    """

    label: str
    title: str
    unit: str = COUNT
    limits: Limits = NO_LIMITS
    link: tuple[str, str] | None = None
    yes_or_no: bool = False


def rows(
    title: str,
    about: str,
    expression: str,
    *columns: Column,
    width: int = HALF,
    height: int = 8,
    empty: str = "none",
    first: tuple[str, bool] | None = None,
    alerts: Sequence[str] = (),
) -> Shown:
    """Return a panel with a table: a row for each series, as it is now, with these columns alone.

    ``first`` is the heading of the column that orders it, and whether the highest comes first; without it the column of
    values does.
    """
    shown = {column.label: index for index, column in enumerate(columns)}
    panel = (
        table.Panel()
        .title(title)
        .description(_about(about, alerts))
        .datasource(SOURCE)
        .span(width)
        .height(height)
        .no_value(empty)
        .show_header(True)
        .targets([_target(Query(expression), "A", instant=True, as_table=True)])
        # Labels that are no column go, and the others stand in the order of the columns.
        .transformations(
            [
                models.DataTransformerConfig(
                    id_val="filterFieldsByName", options={"include": {"names": list(shown)}}
                ),
                models.DataTransformerConfig(
                    id_val="organize",
                    options={
                        "indexByName": shown,
                        "renameByName": {column.label: column.title for column in columns},
                    },
                ),
            ]
        )
        .overrides([_override(column) for column in columns])
    )
    order = first or next(((column.title, True) for column in columns if column.label == "Value"), None)
    if order:
        panel.sort_by([common_builders.TableSortByFieldState().display_name(order[0]).desc(order[1])])
    return Shown(panel, alerts)


def _override(column: Column) -> builders.DashboardFieldConfigSourceOverrides:
    properties = (
        [models.DynamicConfigValue(id_val="unit", value=column.unit)] if column.label == "Value" else []
    )
    if column.limits != NO_LIMITS:
        config = _thresholds(column.limits).build()
        properties += [
            models.DynamicConfigValue(id_val="thresholds", value=config.to_json()),
            models.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
        ]
    if column.yes_or_no:
        properties.append(models.DynamicConfigValue(id_val="mappings", value=[_YES_OR_NO.to_json()]))
    if column.link:
        properties.append(
            models.DynamicConfigValue(
                id_val="links", value=[{"title": column.link[0], "url": column.link[1]}]
            )
        )
    matcher = models.MatcherConfig(id_val="byName", options=column.title)
    return builders.DashboardFieldConfigSourceOverrides().matcher(matcher).properties(properties)


def longest_ago(time_stamp: str) -> str:
    """Return how long ago something was, at the worst moment of 10 minutes: what runs each minute draws no saw."""
    return f"max_over_time((time() - {time_stamp})[10m:1m])"


def _about(about: str, alerts: Sequence[str]) -> str:
    if not alerts:
        return about
    return f"{about}\n\nAlert{'s' if len(alerts) > 1 else ''}: {', '.join(alerts)}."


_YES_OR_NO: Final = models.ValueMap(
    options={"0": models.ValueMappingResult(text="no"), "1": models.ValueMappingResult(text="yes")}
)


def _thresholds(limits: Limits) -> builders.ThresholdsConfig:
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(limits.steps())


def _target(
    query: Query, letter: str, *, instant: bool = False, as_table: bool = False
) -> prometheus.Dataquery:
    target = prometheus.Dataquery().datasource(SOURCE).expr(query.expression).ref_id(letter)
    if query.legend:
        target.legend_format(query.legend)
    if as_table:
        target.format(PromQueryFormat.TABLE)
    return target.instant() if instant else target.range()


def _lettered(queries: Sequence[Query]) -> list[tuple[Query, str]]:
    return [(query, chr(ord("A") + index)) for index, query in enumerate(queries)]
