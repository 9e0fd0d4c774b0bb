"""The proof that nothing is open which the model does not decide, and nothing closed which it needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.loader import Environment
from model.plan import plan_environment
from model.reach.facts import Facts, statements
from model.reach.paths import Path, paths
from model.reach.planned import facts_of
from ops.reach.read import read
from ops.reach.stack import Stacks
from policies.presence360.unseen import unseen


@dataclass(frozen=True)
class Verdict:
    """What was found of one environment.

    Attributes:
        environment: its name.
        opened: what Terraform would allow and nobody decided on, and the paths that follow.
        missing: what was decided on, and Terraform would not allow.
        unreadable: what could not be read, so that nothing is proved.
        paths: how many paths were compared.
    """

    environment: str
    opened: tuple[str, ...]
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]
    paths: int

    @property
    def proved(self) -> bool:
        """Whether there is no other path."""
        return not (self.opened or self.missing or self.unreadable)

    def lines(self) -> list[str]:
        """Say it."""
        if self.proved:
            return [f"{self.environment}: {self.paths} paths, and no other"]
        return [
            *(f"{self.environment}: {text}" for text in self.opened),
            *(f"{self.environment}: {text}" for text in self.missing),
            *(f"{self.environment}: {text}" for text in self.unreadable),
        ]


def check(environment: Environment, stacks: Sequence[Mapping[str, Any]]) -> Verdict:
    """Compare an environment's stacks, its own and its cells', with what the model decides."""
    decided = facts_of(plan_environment(environment))
    name = environment.file.environment
    found, unreadable = read(Stacks(stacks), name)
    unreadable += dict.fromkeys(one for stack in stacks for one in unseen(stack))
    expected, there = statements(decided), statements(found)
    followed = _new_paths(decided, found)
    opened = [
        f"{one}\n    Nothing in model/access.py or the plans decides on that. Remove it, or decide on it there."
        for one in sorted(there - expected)
    ]
    opened += [f"so {path} ({path.rule})" for path in followed]
    missing = [
        f"{one}: decided on, and not there\n    What needs it would not be reached; whatever stands in its "
        "place is listed above."
        for one in sorted(expected - there)
    ]
    return Verdict(name, tuple(opened), tuple(missing), tuple(unreadable), len(_plain(paths(decided))))


def _new_paths(decided: Facts, found: Facts) -> list[Path]:
    known = _plain(paths(decided))
    return [path for path in paths(found) if (path.source, path.target, path.port) not in known]


def _plain(every: Sequence[Path]) -> set[tuple[object, object, str]]:
    return {(path.source, path.target, path.port) for path in every}
