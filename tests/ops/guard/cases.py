"""One case of the corpus, and the edits that cases share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lab.plans.environment import Environment, Tenant, situation
from lab.plans.planner import Situation
from lab.plans.resources import Needs, Ref, Resource
from ops.guard.finding import Rule


@dataclass(frozen=True)
class Lost:
    """Plans that have to be refused.

    Attributes:
        plans: by stack.
        rule: which rule has to catch it.
        said: what has to be said of what is at stake.
        tenants: the ids of those whose data is at stake, exactly; None: of nobody in particular.
        lock: the lock file of the base, if the case needs one.
        listed: what tenants.yaml lists, if the case needs it.
    """

    plans: Mapping[str, Situation]
    rule: Rule
    said: tuple[str, ...]
    tenants: frozenset[str] = frozenset()
    lock: str = ""
    listed: tuple[Tenant, ...] | None = None


Make = Callable[[], Lost]


@dataclass
class Corpus:
    """Cases by id; an id says what the case is."""

    cases: dict[str, Make] = field(default_factory=dict)

    def add(self, name: str, make: Make) -> None:
        assert name not in self.cases, f"two cases are called {name}"
        self.cases[name] = make


def unchanged(environment: Environment, cell: str = "") -> Situation:
    """Return a plan without change, for a case to spoil."""
    return situation(environment, environment, cell)


def without(it: Situation, *addresses: str) -> Situation:
    """Leave blocks out of the configuration, with everything that refers to them."""
    gone = set(addresses)
    while gone:
        for address in gone:
            del it.wanted[address]
        gone = {
            one.address
            for one in it.wanted.values()
            if any(_refers(wish, it) for wish in one.attributes.values())
        }
    return it


def _refers(wish: Any, it: Situation) -> bool:
    """Whether a wish leads to what is not wanted any more."""
    if isinstance(wish, Needs):
        return any(_refers(ref, it) for ref in wish.refs)
    if isinstance(wish, list):
        return any(_refers(one, it) for one in wish)
    return isinstance(wish, Ref) and wish.address not in it.wanted


def edited(it: Situation, address: str, **attributes: Any) -> Situation:
    it.wanted[address] = it.wanted[address].but(**attributes)
    return it


def renamed(it: Situation, address: str, block: str, key: str | int | None = None) -> Situation:
    """Give a resource another address, and let everything that refers to it follow."""
    old = it.wanted.pop(address)
    new = replace(old, block=block, key=key)
    it.wanted[new.address] = new
    it.wanted = {
        name: replace(
            one, attributes={what: _follow(wish, address, new) for what, wish in one.attributes.items()}
        )
        for name, one in it.wanted.items()
    }
    return it


def _follow(wish: Any, address: str, new: Resource) -> Any:
    if isinstance(wish, Ref) and wish.address == address:
        return Ref(new.address, wish.attribute)
    return [_follow(one, address, new) for one in wish] if isinstance(wish, list) else wish


def lock(*lines: str) -> str:
    return "# id status cell homes\n" + "".join(f"{line}\n" for line in lines)


def write_lock(folder: Path, environment: str, text: str) -> list[Path]:
    """Write a lock file where the guard knows its environment by."""
    if not text:
        return []
    file = folder / environment / "tenants.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return [file]
