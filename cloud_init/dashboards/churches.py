"""Churches in tables: what is measured of a church's data has its id, or a name that its id is in."""

from collections.abc import Mapping
from typing import Any, Final

from cloud_init.dashboards.parts import Column
from model.dashboards import CHURCH

MOST_NAMED: Final = 500
"""Each church's name takes 80 bytes in each table, and an object of a bucket has 1 MiB at most: with more churches,
tables have ids, and a click on one opens the church."""

CHURCH_COLUMN: Final = Column(
    "church", "Church", link=("Open the church", f"{CHURCH.path}?var-church=${{__value.raw}}")
)


def with_church(expression: str, label: str) -> str:
    """Return an expression whose series have a label `church` with the id that is in another one."""
    return f'label_replace({expression}, "church", "$1", "{label}", "tenant[-_]([0-9a-f-]{{36}}).*")'


def name_churches(panel: Mapping[str, Any], churches: Mapping[str, str]) -> None:
    """Let a table write slugs where it has ids of churches."""
    if len(churches) > MOST_NAMED:
        return
    names = {church: {"text": slug} for slug, church in sorted(churches.items())}
    for override in panel.get("fieldConfig", {}).get("overrides", []):
        if override["matcher"]["options"] == CHURCH_COLUMN.title:
            override["properties"].append({"id": "mappings", "value": [{"type": "value", "options": names}]})
