"""A command line of the cdktf CLI, read as the CLI's own parser (yargs) reads it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

# From the CLI's own --help, version 0.21. The value of an option that takes one is not the name of a stack.
ALIASES = {"apply": "deploy", "plan": "diff", "outputs": "output", "synthesize": "synth"}
APPLYING = frozenset({"deploy", "destroy"})
PLANNING = APPLYING | {"diff"}
NEEDS_TERRAFORM = PLANNING | {"output"}
SYNTHESIZING = NEEDS_TERRAFORM | {"synth", "list"}
TAKES_VALUE = frozenset({"app", "a", "output", "o", "outputs-file", "parallelism", "terraform-parallelism"})
TAKES_VALUES = frozenset({"var", "var-file"})
GLOB = re.compile(r"[*?!+@{}\[\]()]")


@dataclass(frozen=True)
class Invocation:
    """A command, the stacks it names, and its options, named without dashes as the CLI's help names them."""

    command: str = ""
    stacks: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, argv: Sequence[str]) -> Self:
        """Split a command line; options are named as the CLI's help names them, without dashes."""
        words: list[str] = []
        options: dict[str, str] = {}
        rest = list(argv)
        while rest:
            word = rest.pop(0)
            if not word.startswith("-") or word == "-":
                words.append(word)
                continue
            name, equals, value = word.lstrip("-").partition("=")
            name = re.sub(r"(?<=[a-z])[A-Z]", lambda upper: "-" + upper[0].lower(), name)
            if not equals and name in TAKES_VALUE and rest:
                value = rest.pop(0)
            while not equals and name in TAKES_VALUES and rest and not rest[0].startswith("-"):
                value = rest.pop(0)
            options[name] = value
        command = words[0] if words else ""
        return cls(ALIASES.get(command, command), tuple(words[1:]), options)

    def option(self, name: str, environ: Mapping[str, str]) -> str | None:
        """An option's value, which the CLI also takes from a variable: --auto-approve, CDKTF_AUTO_APPROVE."""
        return self.options.get(name, environ.get("CDKTF_" + name.upper().replace("-", "_")))

    def flag(self, name: str, environ: Mapping[str, str]) -> bool:
        """Whether a yes-or-no option is on."""
        return self.option(name, environ) not in {None, "false"}

    @property
    def wants_text(self) -> bool:
        """Whether the CLI will print its help or its version and do nothing else."""
        return not {"help", "h", "version"}.isdisjoint(self.options)

    @property
    def may_reach_several_stacks(self) -> bool:
        """Whether more than one stack, or a pattern that may match more than one, is named."""
        return len(self.stacks) > 1 or any(GLOB.search(stack) for stack in self.stacks)
