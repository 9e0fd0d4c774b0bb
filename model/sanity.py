"""`environments/sanity.yaml`: what the application's owners want to be true of a restored database.

The restore drill asks each query and compares its number. The file is the owners', so it is beside the environments'
and not in them: an edit of it changes no plan.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from model.errors import Findings, InvalidInputError, shown
from model.explain import explain
from model.schema import Schema
from model.yaml_document import YamlDocument

FILE = "sanity.yaml"

_NUMBER = 2**53
_SELECT = re.compile(r"\s*(SELECT|WITH)\s", re.IGNORECASE)
# As droplet/drill/request.py, which a test compares. psql waits for the end of an open quote or comment.
STATEMENT = re.compile(
    r"""\s*(SELECT|WITH)\s([^;\\\x00'"$/-]|'[^';\\\x00]*'|"[^";\\\x00]*"|-(?!-)|/(?!\*))*""", re.IGNORECASE
)
QueryName = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,58}[a-z0-9])?$")]
Sql = Annotated[str, StringConstraints(min_length=8, max_length=4000)]


class SanityQuery(Schema):
    """One number, and what it may be."""

    name: QueryName = Field(description="What reports call it: members-have-families.")
    database: Literal["tenant", "control_plane"] = Field(
        description="`tenant`: each church's database. `control_plane`: that one."
    )
    sql: Sql = Field(
        description="One SELECT of one number. It runs with the church's own rights, reads, and ends after 5 minutes."
    )
    least: int | None = Field(
        default=None, ge=-_NUMBER, le=_NUMBER, description="The smallest number that is right."
    )
    most: int | None = Field(
        default=None, ge=-_NUMBER, le=_NUMBER, description="The largest number that is right."
    )


class SanityFile(Schema):
    """The queries of all environments: the application is the same everywhere."""

    queries: tuple[SanityQuery, ...] = Field(description="The queries, asked in this order.")


def load_sanity(environments: Path) -> tuple[SanityQuery, ...]:
    """Read the queries; none where there is no file.

    Raises:
        InvalidInputError: the file is not valid; with every problem.
    """
    path = environments / FILE
    if not path.exists():
        return ()
    document = YamlDocument.read(path)
    problems = list(document.refused)
    queries: tuple[SanityQuery, ...] = ()
    try:
        queries = SanityFile.model_validate(document.value).queries
    except ValidationError as error:
        problems += [document.problem(finding) for finding in explain(SanityFile, error)]
    problems += document.problems(_findings(queries))
    if problems:
        raise InvalidInputError(problems)
    return queries


def _findings(queries: tuple[SanityQuery, ...]) -> Findings:
    findings = Findings()
    seen: set[str] = set()
    for index, query in enumerate(queries):
        path = ("queries", index)
        if not _SELECT.match(query.sql) or ";" in query.sql or "\\" in query.sql:
            findings.add(
                (*path, "sql"),
                "this is no single SELECT: it begins with SELECT or WITH, and has no `;` and no backslash",
                "Write one SELECT of one number, such as SELECT count(*) FROM people WHERE family IS NULL.",
            )
        elif not STATEMENT.fullmatch(query.sql):
            findings.add(
                (*path, "sql"),
                "this has a comment (`--` or `/*`), a `$` outside quotes, or a quote that does not end",
                "Take the comment out, or end the quote; write a comment in the file's own lines, behind `#`.",
            )
        if query.least is None and query.most is None:
            findings.add(
                path,
                "this query has neither `least` nor `most`: nothing could be wrong",
                "Write one of them.",
            )
        elif query.least is not None and query.most is not None and query.least > query.most:
            findings.add(
                (*path, "most"), f"{query.most} is less than `least`, {query.least}", "Write a larger number."
            )
        if query.name in seen:
            findings.add(
                (*path, "name"),
                f"{shown(query.name)} is the name of another query as well",
                "Choose another name.",
            )
        seen.add(query.name)
    return findings
