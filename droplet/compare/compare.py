"""Two databases table by table: both are read in the order of their keys, and nothing is kept of a row."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from droplet.move_tenant.look import look
from droplet.names import Place
from droplet.outcome import FailedError, RefusedError, say
from droplet.postgres import Client, quoted
from droplet.session import Session, last_lines
from droplet.work_login import Rights, work_login

READING: Mapping[str, str] = {
    # An error instead of a part of the rows.
    "row_security": "off",
    # So that the same row has the same text in both, whatever a database's own settings are.
    "datestyle": "ISO,YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
}
"""Settings of the sessions that read, beside those of any session."""

_TABLES = Path(__file__).with_name("tables.sql")


@dataclass(frozen=True)
class Table:
    """A table of one side.

    Attributes:
        name: with its schema.
        columns: in their order.
        key: the columns of the primary key; empty if it has none.
    """

    name: str
    columns: Sequence[str]
    key: Sequence[str]


@dataclass
class Counts:
    """What differs in one table.

    Attributes:
        then: rows of the earlier side.
        now: rows of the later one.
        only_then: rows that the later side does not have.
        only_now: rows that the earlier side does not have.
        changed: rows that both have, with another content.
    """

    then: int = 0
    now: int = 0
    only_then: int = 0
    only_now: int = 0
    changed: int = 0

    @property
    def same(self) -> bool:
        """Whether both sides hold the same rows."""
        return not (self.only_then or self.only_now or self.changed)


@dataclass(frozen=True)
class Comparison:
    """One run.

    Attributes:
        client: reaches the cluster as its administrator, who reads catalogs alone.
        then: the database that was restored.
        now: the database that is served.
        private: a folder that only this user can read.
    """

    client: Client
    then: Place
    now: Place
    private: Path

    def run(self) -> None:
        """Compare, and say it.

        Raises:
            RefusedError: one of the databases is not there, or holds nothing.
            SessionError: one could not be read.
        """
        with ExitStack() as stack:
            readers = [stack.enter_context(self._reader(place)) for place in (self.then, self.now)]
            then, now = (
                self._tables(reader, place)
                for reader, place in zip(readers, (self.then, self.now), strict=True)
            )
            if not then:
                raise RefusedError(f"{self.then.database} has no table: restore the dump into it first")
            say(f"then: {self.then.database}, now: {self.now.database}, in {self.client.cluster}")
            rows = [
                self._row(name, then.get(name), now.get(name), readers)
                for name in sorted(then.keys() | now.keys())
            ]
        self._say([row for row in rows if row], len(rows))

    @contextmanager
    def _reader(self, place: Place) -> Iterator[Client]:
        """Make a login with that database's rights: what reads rows may run code of the church's."""
        with Session(self.client, place.database, self.private) as session:
            side = look(session, place)
        if not side.isolated:
            raise RefusedError(f"the isolation job has not visited {place.database}: wait a minute")
        bypass = bool(side.forced) and side.may_bypass
        with work_login(self.client, Rights(place.database, bypass_rls=bypass), self.private) as reader:
            yield reader

    def _tables(self, reader: Client, place: Place) -> dict[str, Table]:
        with Session(reader, place.database, self.private) as session:
            found = [Table(**one) for one in session.ask(_TABLES.read_text(encoding="utf-8"))]
        return {table.name: table for table in found}

    def _row(
        self, name: str, then: Table | None, now: Table | None, readers: Sequence[Client]
    ) -> tuple[str, ...] | None:
        """Return the line of a table that differs; None where both sides are the same."""
        sides = [
            (reader, place, table)
            for reader, place, table in zip(readers, (self.then, self.now), (then, now), strict=True)
            if table
        ]
        columns = [
            column for column in sides[0][2].columns if all(column in table.columns for _, _, table in sides)
        ]
        keyed = bool(sides[0][2].key) and all(
            list(table.key) == list(sides[0][2].key) for _, _, table in sides
        )
        key = sides[0][2].key if keyed else columns
        with ExitStack() as stack:
            streams: list[Iterator[tuple[str, str]]] = [iter(()), iter(())]
            for reader, place, table in sides:
                question = _question(table, key, columns)
                streams[int(place == self.now)] = stack.enter_context(self._stream(reader, place, question))
            counts = merged(*streams)
        notes = []
        if then is None or now is None:
            notes.append("table only then" if now is None else "table only now")
        else:
            if added := [column for column in now.columns if column not in then.columns]:
                notes.append(f"columns only now: {', '.join(added)}")
            if gone := [column for column in then.columns if column not in now.columns]:
                notes.append(f"columns only then: {', '.join(gone)}")
            if not keyed:
                notes.append("by whole rows: no primary key that both have")
        if counts.same and then and now and list(then.columns) == list(now.columns):
            return None
        numbers = (counts.then, counts.now, counts.only_then, counts.only_now, counts.changed)
        return (name, *map(str, numbers), "; ".join(notes))

    @contextmanager
    def _stream(self, reader: Client, place: Place, question: str) -> Iterator[Iterator[tuple[str, str]]]:
        """Yield the digests of a table's keys and rows, in the order of the keys."""
        errors = self.private / f"{place.database}.err"
        with errors.open("wb") as stderr:
            process = subprocess.Popen(
                # An error's message may quote a row.
                reader.psql(place.database, "--quiet", "--set", "VERBOSITY=sqlstate", *_commands(question)),
                env=dict(reader.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert process.stdout  # noqa: S101  opened above
        try:
            yield (_pair(line) for line in process.stdout)
            if process.wait() != 0:
                raise FailedError(f"{place.database} could not be read: {last_lines(errors)}")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def _say(self, rows: Sequence[tuple[str, ...]], total: int) -> None:
        heading = ("table", "then", "now", "only then", "only now", "changed", "")
        widths = [max(len(row[column]) for row in (heading, *rows)) for column in range(len(heading))]
        for row in (heading, *rows) if rows else ():
            name, *numbers, notes = row
            cells = [text.rjust(width) for text, width in zip(numbers, widths[1:-1], strict=True)]
            say("  ".join([name.ljust(widths[0]), *cells, notes]).rstrip())
        say(f"{len(rows)} of {total} tables differ; in the others every row is the same")


def merged(then: Iterator[tuple[str, str]], now: Iterator[tuple[str, str]]) -> Counts:
    """Compare two streams of keys and rows, each in the order of its keys."""
    counts = Counts()
    ours, theirs = next(then, None), next(now, None)
    while ours or theirs:
        before = theirs is None or (ours is not None and ours[0] < theirs[0])
        after = ours is None or (theirs is not None and theirs[0] < ours[0])
        counts.only_then += before
        counts.only_now += after
        counts.changed += not before and not after and ours != theirs
        if not after:
            counts.then += 1
            ours = next(then, None)
        if not before:
            counts.now += 1
            theirs = next(now, None)
    return counts


def _question(table: Table, key: Sequence[str], columns: Sequence[str]) -> str:
    """Return what reads a table: digests, so that no row is in this program's memory, or in a message of it."""
    of_key, of_row = (
        f"pg_catalog.md5((ROW({', '.join(f'r.{quoted(name)}' for name in names)}))::text)"
        for names in (key, columns)
    )
    # The name is quoted by the server. md5 is of ASCII alone: one order, whatever the database's own is.
    read = f"SELECT {of_key} AS keyed, {of_row} AS content FROM ONLY {table.name} AS r"  # noqa: S608  (see above)
    asked = f'SELECT * FROM ({read}) AS read ORDER BY keyed COLLATE "C", content COLLATE "C"'  # noqa: S608  (see above)
    return f"COPY ({asked}) TO STDOUT"


def _commands(question: str) -> list[str]:
    """Return psql's options that ask for something in a transaction that writes nothing."""
    return ["--command", "BEGIN READ ONLY", "--command", question]


def _pair(line: str) -> tuple[str, str]:
    key, _, row = line.rstrip("\n").partition("\t")
    return key, row
