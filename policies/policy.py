"""What a policy is: a plain function over a resource, a stack or all stacks, and what is said of it.

A rule yields a sentence for each thing that is wrong. A rule that raises an error has found something it cannot read,
and that is a failure too.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from policies.stack import Resource, Shape, Stack

ALL = frozenset(Shape)
WRITTEN = frozenset({Shape.JSON, Shape.HCL})
"""Not in a plan: `lifecycle`, references that Terraform has resolved, `terraform` and `moved` blocks, locals."""

PREFIX = "CKV_P360_"


class Severity(StrEnum):
    """How bad a failure is, in checkov's words."""

    CRITICAL = "CRITICAL"
    """Data is lost, or strangers reach it."""
    HIGH = "HIGH"
    """One mistake or one fault away from that, or everybody is without service."""
    MEDIUM = "MEDIUM"
    """An operation fails or does more than was meant."""
    LOW = "LOW"
    """Untidy: somebody will be misled."""


class Section(StrEnum):
    """The sections of the deployment architecture that policies hold."""

    COMPUTE = "2 Compute layer"
    LOAD_BALANCER = "3 Load balancer"
    DATA = "4 Data layer"
    DNS = "5 DNS plan"
    SECRETS = "6 Secrets handling"
    BACKUP = "7 Backup and recovery"
    MONITORING = "8 Monitoring and alerting"
    NETWORK = "9 Network security"
    ENVIRONMENTS = "10 Staging vs production"


@dataclass(frozen=True)
class Finding:
    """What one policy says of one address: nothing, or what is wrong."""

    policy: "Policy"
    stack: Stack
    address: str
    problems: tuple[str, ...]
    lines: tuple[int, int] = (1, 1)
    in_file: str = ""

    @property
    def file(self) -> str:
        """Where it is: the stack's file, or another one of its folder."""
        return (
            str(PurePosixPath(self.stack.file).with_name(self.in_file)) if self.in_file else self.stack.file
        )


@dataclass(frozen=True)
class Policy:
    """A rule, and how it is presented.

    Attributes:
        number: of its id. It is never used again for another rule.
        severity: how bad a failure is.
        title: what holds.
        guideline: what to do, and why.
        section: the section of the architecture that it holds.
        shapes: what it can judge.
        module: where the rule is.
        judge: the rule over stacks of one group.
    """

    number: int
    severity: Severity
    title: str
    guideline: str
    section: Section
    shapes: frozenset[Shape]
    module: str
    judge: Callable[["Policy", list[Stack]], Iterable[Finding]]

    @property
    def id(self) -> str:
        """Its id."""
        return f"{PREFIX}{self.number}"

    @property
    def topic(self) -> str:
        """What it is about: the last part of its module's name."""
        return self.module.rpartition(".")[2].replace("_", " ")

    @property
    def is_general(self) -> bool:
        """Whether it knows nothing of Presence360."""
        return ".rules." in self.module


PACK: dict[str, Policy] = {}
"""Every policy by id, once policies.pack is imported."""

Rule = Callable[..., Iterable[str]]
StackRule = Callable[[Stack], Iterable[tuple[Resource | str, Iterable[str]]]]
AcrossRule = Callable[[list[Stack]], Iterable[tuple[Stack, Resource | str, Iterable[str]]]]


@dataclass(frozen=True)
class _Words:
    number: int
    severity: Severity
    title: str
    guideline: str
    section: Section
    shapes: frozenset[Shape] = ALL


def each(
    types: str,
    number: int,
    severity: Severity,
    title: str,
    guideline: str,
    *,
    section: Section,
    shapes: frozenset[Shape] = ALL,
) -> Callable[[Rule], Rule]:
    """Make a policy of a rule about one resource: `rule(resource, stack)` or `rule(resource)`.

    Args:
        types: of the resources, by spaces.
        number: of the id.
        severity: how bad a failure is.
        title: what holds.
        guideline: what to do, and why.
        section: of the architecture.
        shapes: what it can judge.
    """
    words = _Words(number, severity, title, guideline, section, shapes)

    def register(rule: Rule) -> Rule:
        takes_stack = rule.__code__.co_argcount > 1

        def judge(policy: Policy, stacks: list[Stack]) -> Iterator[Finding]:
            for stack in stacks:
                for resource in stack.of(*types.split()):
                    yield _finding(
                        policy, stack, resource, rule(resource, stack) if takes_stack else rule(resource)
                    )

        _register(words, rule.__module__, judge)
        return rule

    return register


def whole_stack(
    number: int,
    severity: Severity,
    title: str,
    guideline: str,
    *,
    section: Section,
    shapes: frozenset[Shape] = ALL,
) -> Callable[[StackRule], StackRule]:
    """Make a policy of a rule about a stack, which yields what it judged, and what is wrong with that."""
    words = _Words(number, severity, title, guideline, section, shapes)

    def register(rule: StackRule) -> StackRule:
        def judge(policy: Policy, stacks: list[Stack]) -> Iterator[Finding]:
            for stack in stacks:
                try:
                    for subject, problems in rule(stack):
                        yield _finding(policy, stack, subject, problems)
                except Exception as error:
                    yield Finding(policy, stack, "stack", (f"cannot be read: {error}",))

        _register(words, rule.__module__, judge)
        return rule

    return register


def across(
    number: int,
    severity: Severity,
    title: str,
    guideline: str,
    *,
    section: Section,
    shapes: frozenset[Shape] = ALL,
) -> Callable[[AcrossRule], AcrossRule]:
    """Make a policy of a rule about all stacks of an account."""
    words = _Words(number, severity, title, guideline, section, shapes)

    def register(rule: AcrossRule) -> AcrossRule:
        def judge(policy: Policy, stacks: list[Stack]) -> Iterator[Finding]:
            try:
                for stack, subject, problems in rule(stacks):
                    yield _finding(policy, stack, subject, problems)
            except Exception as error:
                yield Finding(policy, stacks[0], "stack", (f"cannot be read: {error}",))

        _register(words, rule.__module__, judge)
        return rule

    return register


def _register(words: _Words, module: str, judge: Callable[[Policy, list[Stack]], Iterable[Finding]]) -> None:
    policy = Policy(
        words.number, words.severity, words.title, words.guideline, words.section, words.shapes, module, judge
    )
    if policy.id in PACK:
        raise ValueError(f"{policy.id} stands twice: {PACK[policy.id].module} and {module}")
    PACK[policy.id] = policy


def _finding(policy: Policy, stack: Stack, subject: Resource | str, problems: Iterable[str]) -> Finding:
    address = subject if isinstance(subject, str) else subject.address
    lines, file = ((1, 1), "") if isinstance(subject, str) else (subject.lines, subject.file)
    try:
        if not isinstance(subject, str) and "dynamic" in subject.body:
            raise ValueError("a dynamic block cannot be checked; write the blocks out")
        found = tuple(problems)
    except Exception as error:
        found = (f"cannot be read: {error}",)
    return Finding(policy, stack, address, found, lines, file)
