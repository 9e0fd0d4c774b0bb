"""Terraform as far as a tenant's life needs it: a state, moves, protection; over what was really synthesized.

What one tenant adds to a stack is read from a synth with that tenant alone, once for each shape of its entry;
`test_lives.py` proves that a stack of several is the sum of these. So a thousand histories cost no thousand synths.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from model.loader import Environment, load_environments
from model.plan import plan_environment
from model.tenants import Tenant
from stacks.app import synthesize
from tests.support import ENVIRONMENTS, Stack

# Deleting one of these is what nobody gets back.
DATA = ("digitalocean_database_db.", "digitalocean_database_cluster.")

Entry = Mapping[str, Any]
"""A tenant as it would stand in tenants.yaml."""


class RefusedError(Exception):
    """Terraform: "Instance cannot be destroyed"."""


@dataclass(frozen=True)
class Configuration:
    """What a stack says of its tenants.

    Attributes:
        instances: address with key, and whether its block has `prevent_destroy`.
        moves: from and to.
        protected: blocks with `prevent_destroy`, those without an instance too.
    """

    instances: Mapping[str, bool]
    moves: frozenset[tuple[str, str]]
    protected: frozenset[str] = frozenset()

    @classmethod
    def read(cls, stack: Stack) -> "Configuration":
        instances = {}
        blocks_kept = set()
        for kind, blocks in stack.json["resource"].items():
            for name, block in blocks.items():
                protected = block.get("lifecycle", {}).get("prevent_destroy", False)
                blocks_kept |= {f"{kind}.{name}"} if protected else set()
                if "for_each" in block:
                    for key in stack.entries(block["for_each"]):
                        instances[f'{kind}.{name}["{key}"]'] = protected
        return cls(instances, frozenset(stack.moved.items()), frozenset(blocks_kept))

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Configuration":
        parts = [_alone(Tenant.model_validate(entry)) for entry in entries]
        return cls(
            {address: protected for part in parts for address, protected in part.instances.items()},
            frozenset(move for part in parts for move in part.moves),
            _protected_blocks().union(*(part.protected for part in parts)),
        )

    def in_order(self) -> list[tuple[str, str]]:
        """The moves, each behind the one that ends where it begins; Terraform takes no two that end in one place."""
        by_target = {target: source for source, target in self.moves}
        assert len(by_target) == len(self.moves), "two moves end at one address"

        def depth(address: str) -> int:
            return 1 + depth(by_target[address]) if address in by_target else 0

        return sorted(self.moves, key=lambda move: (depth(move[1]), move))


@dataclass
class Terraform:
    """A state, and what an apply does to it.

    Attributes:
        state: by address a number that no other instance ever has: the same number is the same database.
        lost: the addresses of data that were destroyed.
    """

    state: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    _made: int = 0

    def apply(self, configuration: Configuration) -> None:
        """Plan and apply.

        Raises:
            RefusedError: a protected block would lose an instance; the state is as it was.
        """
        state = dict(self.state)
        for source, target in configuration.in_order():
            # terraform, internal/refactoring: a move whose source is configured is an error, and a target that is
            # there already keeps what it has.
            if source in configuration.instances:
                raise AssertionError(f"{source} is moved away and still there")
            if source in state and target not in state:
                state[target] = state.pop(source)
        gone = sorted(state.keys() - configuration.instances.keys())
        if refused := [address for address in gone if _block(address) in configuration.protected]:
            raise RefusedError(refused)
        self.lost += [address for address in gone if address.startswith(DATA)]
        for address in configuration.instances:
            if address not in state:
                self._made += 1
                state[address] = self._made
        self.state = {address: state[address] for address in configuration.instances}


@cache
def staging() -> Environment:
    """The committed environment, whose tenants are replaced."""
    return next(loaded for loaded in load_environments(ENVIRONMENTS) if loaded.file.environment == "staging")


def stack_of(entries: Iterable[Entry]) -> Stack:
    """Synthesize staging with these tenants."""
    return _synthesized([Tenant.model_validate(entry) for entry in entries])


def _synthesized(tenants: Iterable[Tenant]) -> Stack:
    plan = plan_environment(Environment(staging().file, tuple(tenants), ()))
    with TemporaryDirectory() as folder:
        synthesize([plan], Path(folder), local_state=True)
        return Stack.read(Path(folder), "staging")


@cache
def _alone(tenant: Tenant) -> Configuration:
    return Configuration.read(_synthesized([tenant]))


@cache
def _protected_blocks() -> frozenset[str]:
    """The blocks with `prevent_destroy` of a stack without tenants: they stay when a tenant leaves."""
    stack = stack_of([])
    return frozenset(
        f"{kind}.{name}"
        for kind, blocks in stack.json["resource"].items()
        for name, block in blocks.items()
        if block.get("lifecycle", {}).get("prevent_destroy")
    )


def _block(address: str) -> str:
    return re.sub(r"\[.*\]$", "", address)
