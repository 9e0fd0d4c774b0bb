"""Ask for a login that reads one database, as the workflow `sql.yml` does after somebody has approved it."""

import argparse
import os
import sys
from collections.abc import Mapping

from model.loader import load_environments
from model.plan import plan_environment
from model.sql_access import SqlRequest
from ops import sql_access
from ops.ci import settings, workflow
from ops.edits import by_name, environment_named
from ops.errors import UsageError
from ops.guard.text import block
from ops.paths import ENVIRONMENTS, ROOT
from ops.remote_run import who
from ops.sql_access import Place

ENVIRONMENT, TENANT, REASON, MINUTES, RECIPIENT = (
    f"SQL_{name}" for name in ("ENVIRONMENT", "TENANT", "REASON", "MINUTES", "RECIPIENT")
)
"""The workflow's inputs. They are read here and nowhere else: no shell and no make ever sees their text."""


def open_sql(_: argparse.Namespace) -> int:
    """Ask for a login that reads one database, and wait until it is there."""
    environ = settings.load(ROOT)
    environment, tenant, reason, minutes, recipient = inputs(os.environ)
    sql_access.check_call(reason, minutes, recipient)
    sql_access.check_place(environment, os.environ, tenant, reason, minutes, recipient)
    found = environment_named(by_name(load_environments(ENVIRONMENTS)), environment, ENVIRONMENTS)
    place = Place.of(plan_environment(found), environ)
    cluster, database = sql_access.where(found, ENVIRONMENTS, tenant)
    request = SqlRequest(
        cluster=cluster,
        database=database,
        recipient=recipient,
        by=who(os.environ),
        reason=reason,
        time=place.clock.time(),
        minutes=minutes,
    )
    answer = sql_access.open_access(place, request, lambda line: print(line, file=sys.stderr, flush=True))
    lines = sql_access.said(answer, request, environment)
    print("\n".join(lines), flush=True)
    workflow.summarize(block(lines))
    return 0


def inputs(environ: Mapping[str, str]) -> tuple[str, str, str, int, str]:
    """Return the workflow's inputs: environment, church, reason, minutes and the operator's public key.

    Raises:
        UsageError: one is missing, or cannot be read.
    """
    names = (ENVIRONMENT, TENANT, REASON, RECIPIENT)
    if missing := [f"{name} is not set" for name in names if not environ.get(name)]:
        raise UsageError(missing)
    minutes = environ.get(MINUTES) or "60"
    if not (minutes.isascii() and minutes.isdigit()):
        raise UsageError([f"{MINUTES} is not a number of minutes"])
    return environ[ENVIRONMENT], environ[TENANT], environ[REASON], int(minutes), environ[RECIPIENT].strip()
