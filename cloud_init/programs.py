"""Render programs.json: the programs, units and defaults that travel through a group's bucket. Pure.

One text object, so that a droplet sees a version whole or not at all, and a plan shows what changes in it.
"""

import json
from functools import cache
from pathlib import Path
from typing import Final

from cloud_init.template import render
from model.droplets import DropletGroupPlan

MAX_PROGRAMS_BYTES = 1024 * 1024
"""A limit against mistakes: a plan carries the text, and every droplet fetches it."""

CURRENT = "/usr/bin/python3 -I -B /var/lib/presence360/programs/current"
"""How a unit runs a program of the current version: ``{CURRENT} converge`` (droplet/fetch.py)."""

_FOLDER = Path(__file__).parents[1] / "droplet"

_IN_USER_DATA: Final = frozenset({"fetch.py", "health.py", "host.py"})
"""They do not travel here: they run before, or without, what does."""

_OF_DATABASES: Final = frozenset(
    {"configuration.py", "isolation", "move_tenant", "names.py", "postgres.py", "session.py", "work_login.py"}
)
"""Modules and packages that only the group needs that runs the isolation job."""

_OF_POOL: Final = frozenset({"names.py", "pool"})
"""The same for the groups whose droplets have pools."""

_UNITS: Final = (
    *(f"{unit}.service.d/presence360.conf" for unit in ("containerd", "docker")),
    "presence360-drain.service",
    *(f"presence360-metadata.{kind}" for kind in ("path", "service")),
    "presence360-swap.service",
)
_UNITS_OF_ISOLATION: Final = (
    *(f"presence360-isolation.{kind}" for kind in ("path", "service", "timer")),
    "presence360-isolation-watch.service",
)
_UNITS_OF_POOL: Final = ("pgbouncer.service", "presence360-pool.service", "presence360-pool.timer")


class ProgramsTooLongError(ValueError):
    """The programs exceed what one object may hold."""


def render_programs(plan: DropletGroupPlan) -> str:
    """Return a group's programs.json: ``{"files": {path: text}}``, sorted by path.

    ``__main__.py`` stands at the top, so that Python runs the folder; ``units/`` and ``defaults/`` are installed by
    converge (droplet/converge/units.py).

    Raises:
        ProgramsTooLongError: it exceeds 1 MiB.
    """
    parts = ((plan.isolation, _OF_DATABASES, _UNITS_OF_ISOLATION), (plan.pool, _OF_POOL, _UNITS_OF_POOL))
    here = frozenset[str]().union(*(modules for wanted, modules, _ in parts if wanted))
    elsewhere = frozenset[str]().union(*(modules for _, modules, _ in parts)) - here
    units = [*_UNITS, *(unit for wanted, _, units in parts if wanted for unit in units)]
    files = {path: text for path, text in _sources().items() if path.split("/")[1] not in elsewhere}
    files["__main__.py"] = files.pop("droplet/__main__.py")
    for name in units:
        files[f"units/{name}"] = render(f"units/{name}.j2", programs=CURRENT)
    text = json.dumps({"files": files}, indent=1, sort_keys=True) + "\n"
    if (size := len(text.encode())) > MAX_PROGRAMS_BYTES:
        raise ProgramsTooLongError(
            f"programs.json of group {plan.group!r} has {size} bytes; at most {MAX_PROGRAMS_BYTES} are allowed"
        )
    return text


def program(name: str) -> str:
    """Return the text of a program that travels in user data."""
    return (_FOLDER / f"{name}.py").read_text(encoding="utf-8")


@cache
def _sources() -> dict[str, str]:
    """Return the text of every module and SQL script, by path in the repository."""
    return {
        path.relative_to(_FOLDER.parent).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in {".py", ".sql"} and path.name not in _IN_USER_DATA
    }
