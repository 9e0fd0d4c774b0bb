"""Our dumps, as a drill reads them: which there are, what each says of itself, and its archive as a stream."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Any

from droplet.backup.store import Store
from droplet.converge.errors import CommandError
from droplet.converge.peers import read_time
from droplet.drill.errors import DrillError
from droplet.drill.keys import Identity, why
from droplet.move_tenant.inventory import Line

DUMP, CONTENTS, INDEX = "dump.age", "contents.age", "index.json"
_NAME = re.compile(r"(?P<database>[a-z0-9_-]+)/(?P<stamp>\d{8}T\d{6}Z)\.(?P<cluster>[a-z0-9-]+)/index\.json")


@dataclass(frozen=True, order=True)
class Dump:
    """One dump of a database.

    Attributes:
        at: when its snapshot was taken.
        key: its folder in the bucket.
    """

    at: float
    key: str


@dataclass(frozen=True)
class Contents:
    """What a dump says of itself (droplet/backup/contents.py).

    Attributes:
        bytes: of the archive.
        sha256: of the archive.
        revision: of the schema, and the images that made it.
        lines: its inventory.
    """

    bytes: int
    sha256: str
    revision: object
    lines: Sequence[Line]


@dataclass
class Dumps:
    """The bucket of the dumps, and the key that reads them.

    Attributes:
        store: the bucket.
        identity: the drill's key.
        cluster: whose dumps.
    """

    store: Store
    identity: Identity
    cluster: str
    _known: dict[str, list[Dump]] = field(default_factory=dict)

    def find(self) -> None:
        """List them all.

        Raises:
            DrillError: the bucket cannot be listed.
        """
        try:
            names = self.store.names("dumps", "*/*/index.json")
        except CommandError as error:
            raise DrillError(str(error)) from None
        for name in names:
            match = _NAME.fullmatch(name)
            if match and match["cluster"] == self.cluster:
                stamp = match["stamp"]
                text = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:11]}:{stamp[11:13]}:{stamp[13:]}"
                key = f"dumps/{name.removesuffix(f'/{INDEX}')}"
                with suppress(ValueError):
                    self._known.setdefault(match["database"], []).append(Dump(read_time(text), key))
        for found in self._known.values():
            found.sort()

    def of(self, database: str) -> Sequence[Dump]:
        """Return a database's, the oldest first."""
        return self._known.get(database, ())

    def contents(self, dump: Dump, database: str) -> Contents:
        """Return what a dump says of itself.

        Raises:
            DrillError: it cannot be read, or is another's.
        """
        with self._decrypted(f"{dump.key}/{CONTENTS}") as output:
            content = output.read()
        try:
            value: Mapping[str, Any] = json.loads(content)
            said = value["database"], value["cluster"]
            if said != (database, self.cluster):
                raise DrillError(f"it is the dump of {said[0]} in {said[1]}")
            return Contents(
                bytes=int(value["archive"]["bytes"]),
                sha256=str(value["archive"]["sha256"]),
                revision=[value.get("revision"), value.get("images")],
                lines=[(str(kind), str(name), str(text)) for kind, name, text in value["lines"]],
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DrillError("its contents are not what a dump says of itself") from None

    @contextmanager
    def archive(self, dump: Dump) -> Iterator[IO[bytes]]:
        """Yield the archive in clear text, which no disk sees; an error where it ends early.

        Raises:
            DrillError: it cannot be read or decrypted.
        """
        with self._decrypted(f"{dump.key}/{DUMP}") as output:
            yield output

    @contextmanager
    def _decrypted(self, key: str) -> Iterator[IO[bytes]]:
        with ExitStack() as stack:
            descriptor = stack.enter_context(self.identity.file())
            errors = [stack.enter_context(tempfile.TemporaryFile(dir=self.store.home)) for _ in range(2)]
            reader = subprocess.Popen(
                self.store.command("cat", key),
                env={**self.store.environment, "PATH": "/usr/bin:/bin"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors[0],
            )
            stack.callback(_end, reader)
            age = subprocess.Popen(
                self.identity.command(descriptor),
                stdin=reader.stdout,
                stdout=subprocess.PIPE,
                stderr=errors[1],
                pass_fds=(descriptor,),
            )
            stack.callback(_end, age)
            assert reader.stdout  # noqa: S101  opened above
            assert age.stdout  # noqa: S101  opened above
            reader.stdout.close()
            yield age.stdout
            if age.wait() != 0:
                errors[1].seek(0)
                raise DrillError(why(errors[1].read()))
            if reader.wait() != 0:
                raise DrillError("the bucket did not give it")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    if process.stdout:
        with suppress(BrokenPipeError):
            process.stdout.close()
