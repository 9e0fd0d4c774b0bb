"""Findings that are accepted for a time: each with a reason, and a day on which it ends."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

from policies.policy import Policy
from policies.scan import Finding, Report

FILE = Path(__file__).with_name("skips.toml")
LONGEST = timedelta(days=366)
KEYS = {"skip": {"policy", "file", "resource", "reason", "until"}, "nothing": {"policy", "reason", "until"}}
COMMENT = re.compile(r"until (\d{4}-\d{2}-\d{2}): (\S.*)")
"""What a comment in HCL says: `# checkov:skip=CKV_P360_48:until 2027-03-09: the reason`."""


class SkipError(Exception):
    """The file of skips cannot be used."""


@dataclass(frozen=True)
class Skip:
    """One accepted finding, or one policy that may judge nothing.

    Attributes:
        policy: its id.
        file: a pattern of files; empty for a policy that may judge nothing.
        resource: a pattern of addresses.
        reason: why.
        until: the last day.
    """

    policy: str
    file: str
    resource: str
    reason: str
    until: date

    def covers(self, finding: Finding) -> bool:
        """Whether a finding is the one that is accepted."""
        return (
            self.policy == finding.check
            and fnmatchcase(finding.file, self.file)
            and fnmatchcase(finding.resource, self.resource)
        )

    def __str__(self) -> str:
        return f"{self.policy} {self.file} {self.resource}".strip()


def read(file: Path, policies: Iterable[str]) -> list[Skip]:
    """Read a file of skips.

    Raises:
        SkipError: what is wrong with it, all at once.
    """
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SkipError(f"{file}: {error}") from error
    known, problems, skips = set(policies), [], []
    problems += [f"{file}: {name}: write [[skip]] or [[nothing]]" for name in content if name not in KEYS]
    for kind in KEYS.keys() & content.keys():
        for number, entry in enumerate(content[kind], start=1):
            found = [f"{file}: {kind} {number}: {problem}" for problem in _wrong(kind, entry, known)]
            problems += found
            if not found:
                skips.append(Skip(**{"file": "", "resource": "", **entry}))
    if problems:
        raise SkipError("\n".join(problems))
    return skips


def _wrong(kind: str, entry: dict[str, object], known: set[str]) -> list[str]:
    problems = [f"{name} is missing" for name in sorted(KEYS[kind] - entry.keys())]
    problems += [
        f"{name} is not known; write {', '.join(sorted(KEYS[kind]))}" for name in entry.keys() - KEYS[kind]
    ]
    if entry.get("policy") not in known and not str(entry.get("policy")).startswith("CKV_DIO_"):
        problems.append(f"policy is {entry.get('policy')!r}, which is none; docs/policies.md lists them")
    if not str(entry.get("reason", "?")).strip():
        problems.append("reason is empty: say why, and what has to happen")
    if not isinstance(entry.get("until", date.min), date):
        problems.append(f"until is {entry['until']!r}; write a day without quotation marks: 2027-03-09")
    return problems


def apply(
    report: Report, skips: list[Skip], policies: Iterable[Policy], today: date
) -> tuple[Report, list[str]]:
    """Move accepted findings from failed to skipped; return too what is wrong with skips, and what judged nothing."""
    problems = [_of_date(str(skip), skip.until, today) for skip in skips]
    accepted = [finding for finding in report.failed if any(skip.covers(finding) for skip in skips)]
    problems += [
        f"{skip}: nothing needs this skip any more; remove it"
        for skip in skips
        if skip.file and not any(map(skip.covers, report.failed))
    ]
    silent = report.judged_nothing(policies)
    excused = {skip.policy for skip in skips if not skip.file}
    problems += [
        f"{policy.id} judged nothing: {policy.title}. It is dead, or there is nothing here that it is about: "
        "then write [[nothing]] into the file of skips"
        for policy in silent
        if policy.id not in excused
    ]
    problems += [
        f"{name} judges something by now; remove its [[nothing]]"
        for name in sorted(excused - {policy.id for policy in silent})
    ]
    problems += [_of_comment(finding, today) for finding in report.skipped]
    left = [finding for finding in report.failed if finding not in accepted]
    return replace(report, failed=left, skipped=report.skipped + accepted), [one for one in problems if one]


def _of_date(what: str, until: date, today: date) -> str:
    if until < today:
        return (
            f"{what}: the skip ended on {until}; repair what it is about, or give it another day and a reason"
        )
    return f"{what}: until {until} is more than a year ahead" if until > today + LONGEST else ""


def _of_comment(finding: Finding, today: date) -> str:
    match = COMMENT.fullmatch(finding.skip_comment.strip())
    where = f"{finding.file} {finding.resource}"
    if not match:
        return f"{where}: write the comment as checkov:skip={finding.check}:until 2027-03-09: the reason"
    try:
        return _of_date(f"{where}: {finding.check}", date.fromisoformat(match[1]), today)
    except ValueError:
        return f"{where}: {match[1]} is no day"
