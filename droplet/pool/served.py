"""What PgBouncer serves, compared with what its files say: a RELOAD that it answered OK proves nothing.

PgBouncer 1.24.1 logs that a file has an error, goes on with what it knew, and answers RELOAD with OK all the same.
"""

from collections.abc import Mapping, Sequence

from droplet.pool.console import Console
from droplet.pool.credentials import Place
from droplet.pool.files import Sizes

_SHOWN = 3
"""Of the differences, in a message: 250 tenants may differ in the same way."""


def differences(console: Console, places: Sequence[Place], sizes: Sizes) -> list[str]:
    """Return what PgBouncer serves differently, in words; passwords and the CA file, it does not show.

    Raises:
        ConsoleError: it does not say what it serves.
    """
    databases = {row["name"]: row for row in _tenants(console.ask("SHOW DATABASES"))}
    users = {row["name"] for row in _tenants(console.ask("SHOW USERS"))}
    found = [
        f"{place.database} is {'not served' if place.database not in databases else 'served otherwise'}"
        for place in places
        if not _agrees(databases.get(place.database, {}), place, sizes)
    ]
    found += [
        f"{name} is still served" for name in sorted(databases.keys() - {one.database for one in places})
    ]
    wanted = (login.user for place in places for login in place.logins)
    # Users that are gone may stay in its list, without a password.
    found += [f"{user} is unknown" for user in wanted if user not in users]
    more = [f"{len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return [*found[:_SHOWN], *more]


def _agrees(row: Mapping[str, str], place: Place, sizes: Sizes) -> bool:
    size = sizes.of(place)
    wanted = {
        "host": place.host,
        "port": str(place.port),
        "database": place.database,
        "pool_size": str(size),
        "max_connections": str(size * len(place.logins)),
    }
    return wanted.items() <= row.items()


def _tenants(rows: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    return [row for row in rows if row.get("name", "").startswith("tenant_")]
