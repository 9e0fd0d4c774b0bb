"""What a database holds, as lines that can be compared (inventory.sql), and what differs between two databases."""

from collections.abc import Sequence
from pathlib import Path

from droplet.session import Session

Line = tuple[str, str, str]
"""Kind, name, value."""

_INVENTORY = Path(__file__).with_name("inventory.sql")


def inventory(session: Session) -> list[Line]:
    """Return what the database holds; to be asked inside a transaction, as a role that may read all of it."""
    return [(kind, name, value) for kind, name, value in session.ask(_INVENTORY.read_text(encoding="utf-8"))]


def differences(source: Sequence[Line], target: Sequence[Line]) -> list[str]:
    """Name what is not the same."""
    ours, theirs = ({(kind, name): value for kind, name, value in lines} for lines in (source, target))
    return [
        f"{kind} {name}: {ours.get((kind, name), 'missing')} at the source, "
        f"{theirs.get((kind, name), 'missing')} at the target"
        for kind, name in sorted(ours.keys() | theirs.keys())
        if ours.get((kind, name)) != theirs.get((kind, name))
    ]


def summary(lines: Sequence[Line]) -> list[str]:
    """Tell what was compared: each table's content, and how many of each kind."""
    kinds = [kind for kind, _, _ in lines]
    contents = [f"{name}: {value}" for kind, name, value in lines if kind == "content"]
    return [*contents, ", ".join(f"{kinds.count(kind)} x {kind}" for kind in sorted(set(kinds)))]
