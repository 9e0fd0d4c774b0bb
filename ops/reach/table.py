"""Paths as rows: for the command, for programs, for the documentation."""

from collections import defaultdict
from collections.abc import Iterable

from model.reach.paths import Path

HEADING = ("from", "to", "port", "rule", "for")


def rows(every: Iterable[Path]) -> list[tuple[str, str, str, str, str]]:
    """Return a row for each path; what many have alike is one row."""
    alike: defaultdict[tuple[str, str, str, str], list[Path]] = defaultdict(list)
    for path in every:
        alike[str(path.source), str(path.target), path.rule, path.why].append(path)
    return [
        (source, target, ", ".join(path.port for path in found), rule, why)
        for (source, target, rule, why), found in alike.items()
    ]


def as_json(every: Iterable[Path]) -> list[dict[str, str]]:
    """Return the same for programs, each path by itself."""
    return [
        {
            "from": str(path.source),
            "to": str(path.target),
            "protocol": path.protocol,
            "ports": str(path.ports),
            "rule": path.rule,
            "why": path.why,
        }
        for path in every
    ]
