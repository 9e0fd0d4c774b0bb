"""What the fork holds against what our dumps say: those on both sides of the moment of the backup. Pure.

A church goes on writing, so that a backup and a dump of another moment differ and both are right. But what was the same
in the last dump before the backup and in the first one after it was the same in between.
"""

from collections.abc import Collection, Mapping, Sequence

from droplet.move_tenant.inventory import Line

_ROWS = frozenset({"content", "position"})
_KINDS = ("table", "index", "constraint", "sequence", "extension", "function", "column")
FEW_ROWS = 20
"""Tables with fewer come and go: queues, locks."""
SETTLED_SECONDS = 4 * 3600
"""After which a dump is in its database's record: it takes 3 hours at most (droplet/backup/dump.py)."""


def compare(
    fork: Sequence[Line],
    before: Sequence[Line] | None,
    after: Sequence[Line] | None,
    *,
    migrated: bool,
    unlogged: Collection[str] = (),
) -> tuple[list[str], list[str]]:
    """Return what is wrong, and what somebody should look at.

    Args:
        fork: the fork's inventory.
        before: that of the newest dump from before the backup; None: there is none.
        after: that of the oldest dump from after it; None: there is none yet.
        migrated: whether the schema's revision on the fork is another one than in both dumps.
        unlogged: tables and sequences that no backup has the content of.
    """
    wrong, notes = list[str](), list[str]()
    ours = _by_name(fork)
    dumps = [_by_name(one) for one in (before, after) if one is not None]
    if not dumps:
        return [], ["there is no dump to compare it with"]
    schemas = [_schema(one) for one in dumps]
    if _schema(ours) not in schemas:
        found = _schema_differences(_schema(ours), schemas[0])
        if migrated:
            notes.append(f"it was migrated between backup and dump: {len(found)} differences of schema")
        else:
            wrong += found
    names = {key for one in dumps for key in one if key[0] in _ROWS} & ours.keys()
    for key in sorted(names):
        kind, name = key
        if name in unlogged:
            continue
        values = [one.get(key) for one in dumps]
        mine = ours[key]
        if mine in values:
            continue
        if len(dumps) > 1 and values[0] == values[1]:
            wrong.append(f"{name}: {mine} on the fork, and {values[0]} in the dumps before and after it")
        elif kind == "position" and before is not None and _behind(mine, values[0]):
            wrong.append(f"the sequence {name} is at {mine}, behind {values[0]} of an earlier dump")
        elif kind == "content" and (lost := _lost(mine, values)):
            # With one dump alone it may have been somebody's decision since.
            (wrong if len(dumps) > 1 else notes).append(f"{name}: {lost}")
    return wrong, notes


def stale(backup: Mapping[str, object], name: str, at: float, known: Sequence[float]) -> list[str]:
    """Return what the record on the fork says against the backup's age, or against whose it is.

    Args:
        backup: what the record says of dumps.
        name: the database's.
        at: the time of the backup, as DigitalOcean says it.
        known: when dumps of it were made.
    """
    key, said = str(backup.get("key") or ""), backup.get("at")
    wrong = []
    if key and not key.startswith(f"dumps/{name}/"):
        wrong.append(f"its record is that of another database: {key}")
    settled = [one for one in known if one < at - SETTLED_SECONDS]
    newest = max(settled, default=0.0)
    recorded = float(said) if isinstance(said, int | float) else 0.0
    if settled and recorded < newest - 1:
        wrong.append(
            f"it is older than its backup's time: it knows of no dump of the last {(at - newest) / 3600:.0f} hours "
            "before that, and there is one"
        )
    return wrong


def _by_name(lines: Sequence[Line]) -> dict[tuple[str, str], str]:
    return {(kind, name): value for kind, name, value in lines}


def _schema(lines: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    return {key: value for key, value in lines.items() if key[0] not in _ROWS}


def _schema_differences(
    fork: Mapping[tuple[str, str], str], dump: Mapping[tuple[str, str], str]
) -> list[str]:
    return [
        f"{kind} {name}: {dump.get((kind, name), 'missing')} in the dump, "
        f"{fork.get((kind, name), 'missing')} on the fork"
        for kind, name in sorted(fork.keys() | dump.keys(), key=_weight)
        if fork.get((kind, name)) != dump.get((kind, name))
    ]


def _weight(key: tuple[str, str]) -> tuple[int, str, str]:
    """Put first what says the most: a report shows the first differences."""
    kind, name = key
    return _KINDS.index(kind) if kind in _KINDS else len(_KINDS), kind, name


def _behind(fork: str, dump: str | None) -> bool:
    try:
        return dump is not None and 0 <= int(fork.split(maxsplit=1)[0]) < int(dump.split()[0])
    except (ValueError, IndexError):
        return False


def _lost(fork: str, dumps: Sequence[str | None]) -> str:
    """Say how many rows are missing, where less than a half of what all dumps have is there."""
    counts = [
        int(one.split()[0].rstrip(",")) for one in dumps if one and one.split()[0].rstrip(",").isdigit()
    ]
    word = fork.split(maxsplit=1)[0].rstrip(",")
    if not counts or not word.isdigit():
        return ""
    there, expected = int(word), min(counts)
    if expected >= FEW_ROWS and there < expected / 2:
        return f"{there} rows on the fork, and {expected} or more in the dumps"
    return ""
