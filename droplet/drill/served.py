"""A church served from a database: its own user works there, and its record is switched to another one and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from droplet.drill.checks import meaning
from droplet.drill.connect import Record, connect, probe, refused
from droplet.drill.errors import DrillError
from droplet.drill.fork import Database, Fork
from droplet.drill.pooled import through_pool
from droplet.drill.request import Wanted
from droplet.move_tenant.inventory import Line

CONTROL_PLANE = "control_plane"
DENIED = "permission denied for database"
WRONG_PASSWORD = "password authentication failed"  # noqa: S105  (Postgres's words)


def works(fork: Fork, record: Record, lines: Sequence[Line]) -> list[str]:
    """Connect by a record, write, and read every table; return what is wrong.

    Args:
        fork: where.
        record: how.
        lines: the inventory of what is expected there.
    """
    answer = connect(fork, record, probe())
    if answer.code != 0:
        return [f"{record.user} cannot work in {_shown(record)}: {meaning(answer.said)}"]
    said, *counts = (json.loads(line) for line in answer.lines)
    wrong = _who(record, said)
    if not wrong and is_pooled(fork, record):
        wrong += [f"through PgBouncer: {line}" for line in _works_pooled(fork, record)]
    expected = {name: value.partition(" ")[0] for kind, name, value in lines if kind == "content"}
    for one in counts:
        ((table, count),) = one.items()
        if expected.get(table, str(count)) != str(count):
            wrong.append(f"{record.user} finds {count} rows in {table}, and there are {expected[table]}")
    return wrong


def is_pooled(fork: Fork, record: Record) -> bool:
    """Tell whether services reach it through PgBouncer: a church's they do, where droplets have pools."""
    return fork.pooler is not None and record.user != CONTROL_PLANE


def _works_pooled(fork: Fork, record: Record) -> list[str]:
    """Connect as the services do, and write; every row was read directly."""
    try:
        with through_pool(fork, record) as pooled:
            answer = connect(fork, pooled, probe(counts=False))
    except DrillError as error:
        return [str(error)]
    if answer.code != 0:
        return [f"{record.user} cannot work in {_shown(record)}: {meaning(answer.said)}"]
    return _who(record, json.loads(answer.lines[0]))


def _who(record: Record, said: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with who is connected, and how."""
    wrong = []
    if not said["tls"]:
        wrong.append("the connection has no TLS")
    if (said["database"], said["login"]) != (record.database, record.user):
        wrong.append(f"the connection is to {said['database']} as {said['login']}")
    if record.role and said["role"] != record.role:
        wrong.append(f"{record.user} acts as {said['role']}, and not as {record.role}")
    return wrong


def is_refused(fork: Fork, record: Record, others: Sequence[str]) -> list[str]:
    """Try other databases, and a wrong password; return what is wrong."""
    wrong = []
    for other in others:
        if why := refused(fork, replace(record, database=other), DENIED):
            wrong.append(f"{record.user} at {other}: {why}")
    if why := refused(fork, replace(record, password=f"{record.password[::-1]}x"), WRONG_PASSWORD):
        wrong.append(f"{record.user} with a wrong password: {why}")
    return wrong


def of_record(known: Mapping[str, Any], wanted: Wanted) -> list[str]:
    """Return what is wrong with a church's record as services read it today."""
    wrong = []
    if known.get("database") != wanted.name:
        wrong.append(f"its credentials name the database {known.get('database')!s:.60}")
    if known.get("user") != wanted.user:
        wrong.append(
            f"its credentials name the user {known.get('user')!s:.60}, and {wanted.user} is expected"
        )
    return wrong


def switched(
    fork: Fork, record: Record, temporary: str, there: Sequence[Line], here: Sequence[Line]
) -> list[str]:
    """Switch a copy of a church's record to the restored database, and back; return what is wrong.

    Args:
        fork: where.
        record: leads to the church's database on the fork.
        temporary: the restored database.
        there: what is in it.
        here: what is in the church's own.
    """
    to = replace(record, database=temporary)
    wrong = [f"after the switch: {line}" for line in works(fork, to, there)]
    back = replace(to, database=record.database)
    if back != record:
        wrong.append("the record does not lead back to where it came from")
    return wrong + [f"after the way back: {line}" for line in works(fork, back, here)]


def stranger(fork: Fork, record: Record, temporary: str) -> str:
    """Try the restored database as another church; return what is wrong, or nothing."""
    why = refused(fork, replace(record, database=temporary, role=""), DENIED)
    return f"{record.user} at the restored database of another church: {why}" if why else ""


def record_of(
    fork: Fork, database: Database, wanted: Wanted, passwords: Mapping[str, str], known: Mapping[str, Any]
) -> Record | None:
    """Return a copy of a church's record that leads to the fork; None if its user has no password there."""
    if wanted.user is None or wanted.user not in passwords:
        return None
    return Record.copied(fork, database.name, wanted.user, passwords[wanted.user], known)


def _shown(record: Record) -> str:
    return "the restored database" if record.database.startswith("drill_") else record.database
