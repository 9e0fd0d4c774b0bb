"""What a change comes to, for the comment on its pull request: who can reach whom, staging and production, the cost."""

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from model import cost
from model.errors import InvalidInputError
from model.loader import Environment, load_environments
from model.plan import EnvironmentPlan, plan_environment
from model.reach.paths import Path as NetworkPath
from model.reach.paths import paths
from model.reach.planned import facts_of
from ops.ci import workflow
from ops.ci.errors import StepError
from ops.cost import report as costs
from ops.edits import by_name
from ops.git import END, git
from ops.guard.text import safe
from ops.parity import report as parities
from ops.parity.compare import Parity
from ops.parity.run import compare
from ops.paths import ROOT
from ops.reach.check import Verdict, check
from ops.synthesized import NOT_COMPARED, of_environment, of_no_environment, synthesized

PAIR = ("staging", "production")
"""What staging rehearses."""

_LONGEST = 1000
"""Characters of a line."""

Plans = Mapping[str, EnvironmentPlan]


def review(options: argparse.Namespace) -> int:
    """Check the paths of every environment and the parity of staging and production; say what they cost."""
    environments = load_environments(options.environments)
    stacks = synthesized(options.environments)
    verdicts = [check(one, [*of_environment(stacks, one.file.environment).values()]) for one in environments]
    named = by_name(environments)
    pair = [named[name] for name in PAIR if name in named]
    # Which key explains what takes a synth for each: `presence360 parity` says it.
    parity = compare(pair[0], pair[1], stacks, explain=False) if len(pair) == len(PAIR) else None
    after = _plans(environments)
    before = _at(options.base, options.environments) if options.base else None
    apart = of_no_environment(stacks, named)
    markdown = "\n".join(_page(verdicts, parity, before, after, apart)) + "\n"
    workflow.summarize(markdown)
    workflow.write(options.into, markdown)
    if not all(verdict.proved for verdict in verdicts) or (parity and not parity.holds):
        raise StepError("something is open, or differs, that no file explains: see above")
    return 0


def _plans(environments: Sequence[Environment]) -> dict[str, EnvironmentPlan]:
    return {one.file.environment: plan_environment(one) for one in environments}


def _at(revision: str, environments: Path) -> dict[str, EnvironmentPlan] | None:
    """Return the environments of a revision, decided by this checkout; None if it cannot read their files.

    Raises:
        OperationError: git does not know the revision.
    """
    folder = environments.resolve().relative_to(ROOT).as_posix()
    with tempfile.TemporaryDirectory() as scratch:
        for file in git(ROOT, "ls-tree", "-r", "--name-only", END, revision, "--", folder).splitlines():
            into = Path(scratch) / Path(file).relative_to(folder)
            into.parent.mkdir(parents=True, exist_ok=True)
            into.write_text(git(ROOT, "show", END, f"{revision}:{file}"), encoding="utf-8")
        try:
            return _plans(load_environments(Path(scratch)))
        except InvalidInputError:
            return None


def _page(
    verdicts: Sequence[Verdict],
    parity: Parity | None,
    before: Plans | None,
    after: Plans,
    apart: Sequence[str] = (),
) -> Iterator[str]:
    yield from ("## Who can reach whom", "")
    for verdict in verdicts:
        yield from _list(verdict.lines())
    yield from (f"- {stack}: {NOT_COMPARED}" for stack in apart)
    if before is not None:
        yield from _list(_new_paths(before, after))
    if parity:
        yield from ("", "## Staging and production", "")
        yield from _list(parities.findings(parity))
    yield from ("", "## Cost a month, at list prices", "")
    yield from _costs(before, after)


def _list(lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    """Write lines as a list; an indented line belongs to the one before. Names in them come from a branch's files."""
    for line in lines:
        for number, part in enumerate(line.split("\n")):
            shown = safe(part.strip(), _LONGEST)
            yield f"  {shown}" if number or part.startswith(" ") else f"- {shown}"


def _new_paths(before: Plans, after: Plans) -> Iterator[str]:
    for name in sorted(after.keys() & before.keys()):
        old, new = (set(map(_plain, paths(facts_of(plans[name])))) for plans in (before, after))
        yield from (f"{name}: new: {path}" for path in sorted(new - old))
        yield from (f"{name}: gone: {path}" for path in sorted(old - new))


def _plain(path: NetworkPath) -> str:
    return str(path)


def _costs(before: Plans | None, after: Plans) -> Iterator[str]:
    if before is None:
        yield from (
            "There is nothing to compare with: no base was named, or this branch cannot read its files.",
            "",
        )
        yield from ("| | a month |", "|---|---|")
        for name, plan in after.items():
            yield f"| {name} | {cost.total(cost.lines(plan))} |"
        return
    details = list[str]()
    yield from ("| | before | after | difference |", "|---|---|---|---|")
    for name in sorted(before.keys() | after.keys()):
        sides = [cost.lines(plans[name]) if name in plans else () for plans in (before, after)]
        old, new, said = costs.difference(*sides)
        shown = [str(one) if name in plans else "not there" for one, plans in ((old, before), (new, after))]
        yield f"| {name} | {' | '.join(shown)} | {_changed(old, new, said)} |"
        details += [f"{name}: {one}" for one in said]
    if details:
        yield ""
        yield from _list(details)


def _changed(old: cost.Cost, new: cost.Cost, said: Sequence[str]) -> str:
    if not said:
        return "none"
    known = new.known - old.known
    sign = "+" if known >= 0 else "-"
    text = f"{sign}{cost.money(abs(known))}"
    return f"{text} + unknown" if old.unknown != new.unknown else text
