"""What the scripts are given: psql's variables, which settings.sql checks."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from droplet import names
from droplet.configuration import Limits

FOLDER = Path(__file__).parent
"""Where the scripts are."""


def variables_of(limits: Limits, *, full: bool, timeout: float) -> dict[str, str]:
    """Return the variables that settings.sql lists; ``timeout`` in seconds, of one statement."""
    extensions = ",".join(limits.extensions)
    values: Mapping[str, str | int] = {
        "connections": limits.connections,
        "overrides": json.dumps(limits.overrides),
        "statement_timeout": limits.statement_timeout_ms,
        "idle_timeout": limits.idle_in_transaction_timeout_ms,
        "extensions": extensions,
        "revision": revision(extensions),
        "full": int(full),
        "database_key": names.DATABASE_KEY,
        "lock": names.ISOLATION_LOCK,
        "mark_name": names.ISOLATION_MARK,
        "membership_version": names.MEMBERSHIP_VERSION,
        "work": names.WORK_SUFFIX,
        "read": names.READ_SUFFIX,
        "read_seconds": names.READ_SECONDS,
        "read_connections": names.READ_CONNECTIONS,
        "read_settings": ",".join(f"{name}={value}" for name, value in names.READ_SETTINGS.items()),
        "work_lock": names.WORK_LOCK,
        "watch_lock": names.WATCH_LOCK,
        "extensions_schema": names.EXTENSIONS_SCHEMA,
        "run_timeout": round(timeout * 1000),
    }
    return {name: str(value) for name, value in values.items()}


@cache
def revision(extensions: str) -> str:
    """Name the scripts and the extensions after their content; databases are marked with it when they are visited."""
    digest = hashlib.sha256(extensions.encode())
    for script in sorted(FOLDER.glob("*.sql")):
        digest.update(script.read_bytes())
    return digest.hexdigest()[:12]
