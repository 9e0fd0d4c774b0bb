"""Which dump of a church is meant: the newest, the newest before a time, or one by its name.

A church has more than one database while it moves to another cluster, or while a dump is restored beside the one that
is served; each of them is dumped every night, and the newest dump may be of one that nobody works with. Each dump's
index says whether the church's users could log in there (droplet/backup/databases.py).
"""

from collections.abc import Mapping
from datetime import datetime

from model.backup_status import INDEX, DumpContent, DumpName, dump_name, parse_content
from model.backups import DUMPS
from model.contract import ContractError
from model.naming import FIRST_GENERATION, generation_of_database, tenant_of_database
from ops.backups import Backups, list_dumps
from ops.bucket import Bucket
from ops.errors import OperationError, UsageError


def dumps_of(backups: Backups, church: str, *, first: bool = False) -> list[DumpName]:
    """Return the dumps of a church, of every generation of its database and in every cluster, the oldest first.

    Raises:
        UsageError: there is no such church.
        OperationError: the bucket cannot be listed.
    """
    return list(_of_church(backups, church, first=first))


def choose(backups: Backups, church: str, before: datetime | None, *, first: bool = False) -> DumpName:
    """Return the newest dump of a church, or the newest before a time.

    The newest is one of the generation that is served now; of those that were before it where that has none. Before a
    time it is one of the database that was served then, by the dumps from before it. Either is of the cluster that
    served it, and not of a copy that a move has not filled yet or has left behind.

    Raises:
        UsageError: there is no such church.
        OperationError: there is no dump, or the bucket cannot be read.
    """
    bucket = backups.first if first else backups.second
    every = _of_church(backups, church, first=first)
    own = {name: folder for name, folder in every.items() if before is None or name.at < before}
    if before is not None and (place := _served(bucket, own)):
        return max(name for name in own if _place(name) == place)
    for database in backups.databases(church):
        here = {name: folder for name, folder in own.items() if name.database == database}
        if here:
            served = _served(bucket, here)
            home = served[1] if served else backups.home(database)
            return max((name for name in here if name.cluster == home), default=max(here))
    if every and before is not None:
        oldest = min(every, key=_at)
        raise OperationError(
            f"{bucket.name} has no dump of {church} before that; the oldest is of {oldest.at:%Y-%m-%d %H:%M} UTC"
        )
    raise OperationError(f"{bucket.name} has no dump of {church}{_elsewhere(first=first)}")


def named(backups: Backups, church: str, folder: str, *, first: bool = False) -> DumpName:
    """Return the dump of a church with a name, as `presence360 backups list` shows it.

    Raises:
        UsageError: there is no such church, or the name is none.
        OperationError: there is no such dump.
    """
    wanted = name_of_dump(folder, church, backups.databases(church)[0])
    if wanted not in dumps_of(backups, church, first=first):
        raise OperationError(
            f"{(backups.first if first else backups.second).name} has no dump {folder}{_elsewhere(first=first)}"
        )
    return wanted


def name_of_dump(folder: str, church: str, database: str) -> DumpName:
    """Read a dump's name, without asking whether it is there.

    Args:
        folder: the name.
        church: what people call the church.
        database: one of its databases.

    Raises:
        UsageError: it is none, or not one of this church's.
    """
    wanted = dump_name(folder)
    if wanted is None:
        raise UsageError([f"{folder!r} is no dump's name; one is tenant_<id>/20261120T010003Z.shared"])
    if _whose(wanted.database) != _whose(database):
        raise UsageError([f"{folder} is not a dump of {church}"])
    return wanted


def last_generation(backups: Backups, tenant_id: str) -> int:
    """Return the highest generation of a church's database that the first bucket has a dump of.

    Raises:
        OperationError: the bucket cannot be listed.
    """
    databases = {name.database for name in backups.dumps()}
    return max(
        (generation_of_database(one) for one in databases if tenant_of_database(one) == tenant_id),
        default=FIRST_GENERATION,
    )


def content_of(backups: Backups, database: str) -> tuple[DumpName, DumpContent] | None:
    """Return the newest dump of a database in the first bucket, and what it holds; None without any.

    Raises:
        OperationError: the bucket cannot be read.
    """
    found = {name: folder for name, folder in backups.dumps().items() if name.database == database}
    if not found:
        return None
    newest = max(found, key=_at)
    try:
        content = _content(backups.first, newest, found[newest])
    except ContractError as error:
        raise OperationError(f"{backups.first.name}: {newest.folder}: {error}") from None
    return None if content is None else (newest, content)


def _elsewhere(*, first: bool) -> str:
    """Say where a dump is until the copy of the night has taken it."""
    return (
        "" if first else ". One that was made since the last nightly copy is in the first bucket: add --first"
    )


def _of_church(backups: Backups, church: str, *, first: bool) -> dict[DumpName, str]:
    """Return the dumps of a church with the folder of each, the oldest first."""
    whose = _whose(backups.databases(church)[0])
    bucket = backups.first if first else backups.second
    found = list_dumps(bucket, (DUMPS,) if first else backups.plan.copy_days)
    return {name: found[name] for name in sorted(found, key=_at) if _whose(name.database) == whose}


def _served(bucket: Bucket, dumps: Mapping[DumpName, str]) -> tuple[str, str] | None:
    """Return database and cluster of the newest dump that was served; None where none is known to have been."""
    for name in sorted(dumps, key=_at, reverse=True):
        try:
            content = _content(bucket, name, dumps[name])
        except ContractError:
            # A damaged index is told where its dump is fetched.
            continue
        if content is None:
            continue
        if content.served is None:
            # It is from before dumps said so, and so are those before it.
            return None
        if content.served:
            return _place(name)
    return None


def _content(bucket: Bucket, name: DumpName, folder: str) -> DumpContent | None:
    """Return what an index says of a dump's content; None where the dump is gone by now.

    Raises:
        ContractError: the index is damaged.
        OperationError: the bucket cannot be read.
    """
    content = bucket.read(f"{folder}/{name.folder}/{INDEX}")
    return None if content is None else parse_content(content, name)


def _whose(database: str) -> str:
    """Return the id of the church whose database it is, of any generation; of any other, its name."""
    return tenant_of_database(database) or database


def _place(name: DumpName) -> tuple[str, str]:
    return name.database, name.cluster


def _at(name: DumpName) -> datetime:
    return name.at
