"""What the application's owners want to be true: one number for each query, and what it may be."""

import math
from collections.abc import Sequence

from droplet.drill.checks import meaning
from droplet.drill.fork import Database, Reader
from droplet.drill.request import Query
from droplet.postgres import quoted
from droplet.session import SessionError

LIMIT = "5min"
CONTROL_PLANE = "control_plane"


def is_number(value: object) -> bool:
    """Tell whether a value is a number that can be compared. In JSON, Postgres's NaN and Infinity are texts."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def ask(reader: Reader, database: Database, queries: Sequence[Query]) -> list[str]:
    """Ask each query that is for this database, as its church, reading; return what is wrong."""
    wrong = []
    for query in queries:
        if query.control_plane != (database.name == CONTROL_PLANE):
            continue
        try:
            with reader.session(database.name) as session:
                session.ask(
                    f"BEGIN READ ONLY; SET LOCAL ROLE {quoted(database.owner)};\n"
                    f"SET LOCAL statement_timeout = '{LIMIT}'; SET LOCAL search_path = \"$user\", public, extensions;"
                )
                # The owners' own text, as a church of the fork, reading.
                asked = (
                    "SELECT pg_catalog.to_json(asked.found::numeric) FROM (",
                    query.sql,
                    ") AS asked (found);",
                )
                found = session.ask("\n".join(asked))
        except SessionError as error:
            wrong.append(f"{query.name}: {meaning(str(error))}")
            continue
        except ValueError:
            # Of more digits than Python reads.
            wrong.append(f"{query.name}: no number that can be compared")
            continue
        if len(found) != 1 or found[0] is None:
            wrong.append(f"{query.name}: {len(found)} rows, and one number is expected")
        elif not is_number(found[0]):
            wrong.append(f"{query.name}: it is no finite number, and one number is expected")
        elif query.least is not None and found[0] < query.least:
            wrong.append(f"{query.name}: {found[0]}, and at least {query.least} is right")
        elif query.most is not None and found[0] > query.most:
            wrong.append(f"{query.name}: {found[0]}, and at most {query.most} is right")
    return wrong
