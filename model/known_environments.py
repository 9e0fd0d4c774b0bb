"""`environments.lock`: the environments that were last agreed on, and what of them cannot be changed back by an edit.

A folder that is gone takes its files with it, so that nothing in them can object. This lock stands beside the
folders and is written with the tenants' locks. An environment leaves in steps, like a tenant: its churches
first, then `status: retired`, and its folder in a later change (docs/runbooks/remove-environment.md).

    production status active
    production clusters.shared 17
    production groups.tenant replicas

A line ends in `given-up` where somebody wrote that by hand: the cluster was deleted on purpose.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from model.environment import EnvironmentFile
from model.errors import Findings, Problem, shown

ENVIRONMENTS_LOCK = "environments.lock"
GIVEN_UP = "given-up"
REMOVE_RUNBOOK = "docs/runbooks/remove-environment.md"
LOCK_COMMAND = "presence360 tenant lock"

_HEADING = (
    f"# Written by `{LOCK_COMMAND}`: what was agreed on of each environment. Edit environment.yaml instead.\n"
)
_LINE = re.compile(r"(?P<environment>[a-z][a-z0-9-]*) (?P<fact>[a-z][a-z0-9_.-]*) (?P<value>\S+)")
_RESTORE = f"Restore the file from the main branch (git checkout), then run `{LOCK_COMMAND}`."


@dataclass(frozen=True)
class Fact:
    """One line of the lock.

    Attributes:
        value: what was agreed on.
        line: of the file, counted from 1.
    """

    value: str
    line: int


Known = Mapping[str, Mapping[str, Fact]]
"""By environment and by the name of the fact."""


def facts(file: EnvironmentFile, *, tenants: bool = False) -> dict[str, str]:
    """Return what the lock says of an environment; with `tenants`, also that these have a lock of their own."""
    postgres = file.postgres
    return {
        **({"tenants": "locked"} if tenants else {}),
        "status": file.status,
        "region": file.region,
        "ip_range": str(file.network.ip_range),
        "postgres.control_plane": postgres.control_plane,
        "postgres.tenants": postgres.tenants,
        **{f"clusters.{name}": cluster.version for name, cluster in postgres.clusters.items()},
        **{f"cells.{name}": cluster.version for name, cluster in postgres.cells.items()},
        **{
            f"groups.{name}": "autoscale" if group.autoscale else "replicas"
            for name, group in file.groups.items()
        },
    }


def format_environments(files: Iterable[tuple[EnvironmentFile, bool]], known: Known) -> str:
    """Return the text of the lock, sorted; what was given up stays.

    Args:
        files: the environments, and whether each has tenants.
        known: what the lock says that is replaced.
    """
    lines = []
    for file, tenants in files:
        now = facts(file, tenants=tenants)
        lines += [f"{file.environment} {fact} {value}\n" for fact, value in now.items()]
        lines += [
            f"{file.environment} {fact} {GIVEN_UP}\n"
            for fact, before in known.get(file.environment, {}).items()
            if before.value == GIVEN_UP and fact not in now
        ]
    return _HEADING + "".join(sorted(lines))


def parse_environments(text: str, lock: str) -> tuple[dict[str, dict[str, Fact]], list[Problem]]:
    """Read the lock; what cannot be read is a problem, and every other line is returned."""
    known: dict[str, dict[str, Fact]] = {}
    problems = []
    if not text.strip():
        # Written for no environment it still has its heading. An empty file would agree to every loss.
        return {}, [Problem(lock, 0, "", "this file is empty: a lock has at least its heading", _RESTORE)]
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None or found["fact"] in known.get(found["environment"], {}):
            what = (
                f"{shown(line)} is not a valid line of this file" if found is None else "this is listed twice"
            )
            problems.append(Problem(lock, number, "", what, _RESTORE))
            continue
        known.setdefault(found["environment"], {})[found["fact"]] = Fact(found["value"], number)
    return known, problems


def missing_lock(lock: str) -> Problem:
    """Return the refusal to go on without this lock, where there has been one."""
    message = (
        "the lock is missing: without it, nothing shows which environments and clusters an edit would lose"
    )
    return Problem(lock, 0, "", message, f"{_RESTORE} If there was never one: UPGRADING.md.")


def environment_losses(
    known: Known, present: Mapping[str, EnvironmentFile | None], lock: str, given_up: Known | None = None
) -> Iterator[Problem]:
    """Find edits that would lose an environment's data, or leave it where nothing finds it.

    Args:
        known: what was agreed on before.
        present: the environments that have a folder; None where its file is not valid.
        lock: the lock's file name.
        given_up: the lock that says what was given up since then; None: `known` itself.
    """
    later = known if given_up is None else given_up
    for environment, before in known.items():
        if environment not in present:
            yield from _removed(environment, before, lock)
        elif (file := present[environment]) is not None:
            yield from _clusters(file, before, later.get(environment, {}), lock)
            yield from _moved(file, before, lock)


def _removed(environment: str, before: Mapping[str, Fact], lock: str) -> Iterator[Problem]:
    status = before.get("status")
    if status is None or status.value != "retired":
        yield Problem(
            lock,
            status.line if status else 0,
            environment,
            "this environment's folder was removed, but it was not retired: its databases would be left without "
            "a plan, "
            "and a deploy of `bootstrap` would destroy the key of its state",
            f"Put the folder back. {REMOVE_RUNBOOK} says in which steps an environment is removed.",
        )


def _clusters(
    file: EnvironmentFile, before: Mapping[str, Fact], later: Mapping[str, Fact], lock: str
) -> Iterator[Problem]:
    now = facts(file)
    for fact, agreed in before.items():
        kind, _, name = fact.partition(".")
        if kind not in {"clusters", "cells"} or agreed.value == GIVEN_UP:
            continue
        path = f"{file.environment}.postgres.{fact}"
        if fact not in now:
            # A cell without tenants is a stack of its own, which no plan of another stack touches.
            if kind == "clusters" and not (fact in later and later[fact].value == GIVEN_UP):
                yield Problem(
                    lock,
                    agreed.line,
                    path,
                    f"environment.yaml no longer has the cluster {shown(name)}: every database in it would be lost",
                    "Put it back, under the same name. docs/tenants.md says how a cluster is given up.",
                )
        elif int(now[fact]) < int(agreed.value):
            yield Problem(
                lock,
                agreed.line,
                path,
                f"the version was {agreed.value} and is now {now[fact]}: a cluster can only be upgraded",
                f'Write `version: "{agreed.value}"` or a newer one.',
            )


def _moved(file: EnvironmentFile, before: Mapping[str, Fact], lock: str) -> Iterator[Problem]:
    databases = {
        "postgres.tenants": "the churches would be served from empty databases",
        "postgres.control_plane": "the Control Plane would work with an empty database",
    }
    now = facts(file)
    for fact, harm in databases.items():
        if fact in before and before[fact].value != now[fact]:
            yield Problem(
                lock,
                before[fact].line,
                f"{file.environment}.{fact}",
                f"this was {shown(before[fact].value)} and is now {shown(now[fact])}: {harm}",
                f"Write `{fact.partition('.')[2]}: {before[fact].value}` again: no edit moves databases between "
                f"clusters.",
            )


def unchangeable(known: Known, file: EnvironmentFile, findings: Findings) -> None:
    """Find changes of what is decided for good by the first deploy."""
    before, now = known.get(file.environment, {}), facts(file)
    for fact, path, why in (
        (
            "region",
            ("region",),
            "everything would have to be made again elsewhere, and the data would stay behind",
        ),
        ("ip_range", ("network", "ip_range"), "a VPC's range can never be changed"),
    ):
        if fact in before and before[fact].value != now[fact]:
            findings.add(
                path,
                f"this was {before[fact].value} and is now {now[fact]}: {why}",
                f"Write {before[fact].value} again. Only if nothing of this environment was ever deployed, "
                f"remove the line "
                f"`{file.environment} {fact} ...` from {ENVIRONMENTS_LOCK}.",
            )


def replaced_groups(known: Known, file: EnvironmentFile, warnings: Findings) -> None:
    """Warn where a group changes between single droplets and a pool, which share no droplet."""
    before, now = known.get(file.environment, {}), facts(file)
    for name in file.groups:
        fact = f"groups.{name}"
        if fact in before and before[fact].value != now[fact]:
            warnings.add(
                ("groups", name),
                f"the group changes from `{before[fact].value}` to `{now[fact]}`: its droplets are destroyed "
                f"while the new "
                "ones are made, and nothing answers in between",
                "Deploy this when nobody uses the environment, and expect some minutes without service.",
                at_key=True,
            )
