"""Keys of age that are in memory alone: one that is made for this run, and the drill's own, that is sent to it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from droplet.drill.errors import DrillError

_SECONDS = 300


@dataclass(frozen=True)
class Identity:
    """A private key of age.

    Attributes:
        text: the key.
        programs: the folder with `age` and `age-keygen`.
    """

    text: str = field(repr=False)
    programs: Path

    @classmethod
    def new(cls, programs: Path) -> tuple["Identity", str]:
        """Make one; return it with its public half.

        Raises:
            DrillError: it could not be made.
        """
        done = subprocess.run([str(programs / "age-keygen")], capture_output=True, text=True, check=False)
        lines = done.stdout.splitlines()
        public = next((line for line in lines if line.startswith("# public key: ")), "")
        if done.returncode != 0 or not public or not lines[-1].startswith("AGE-SECRET-KEY-1"):
            raise DrillError("age-keygen made no key")
        return cls(lines[-1], programs), public.removeprefix("# public key: ")

    @contextmanager
    def file(self) -> Iterator[int]:
        """Yield a descriptor of a file with the key that is in memory and has no name."""
        descriptor = os.memfd_create("identity")
        try:
            os.write(descriptor, self.text.encode() + b"\n")
            yield descriptor
        finally:
            os.close(descriptor)

    def command(self, descriptor: int) -> list[str]:
        """Return a command that decrypts what it reads; ``descriptor`` is to be passed on to it."""
        return [str(self.programs / "age"), "--decrypt", "--identity", f"/proc/self/fd/{descriptor}"]

    def decrypt(self, content: bytes) -> bytes:
        """Decrypt what is small.

        Raises:
            DrillError: it is not encrypted for this key, or damaged.
        """
        with self.file() as descriptor:
            done = subprocess.run(
                self.command(descriptor),
                input=content,
                capture_output=True,
                check=False,
                pass_fds=(descriptor,),
                timeout=_SECONDS,
            )
        if done.returncode != 0:
            raise DrillError(why(done.stderr))
        return done.stdout


def why(said: bytes) -> str:
    """Say why age failed, in a sentence."""
    text = said.decode(errors="replace")
    if "no identity matched" in text:
        return "it is not encrypted for this key"
    line = next((one for one in text.splitlines() if one.startswith("age: error")), "age failed")
    return f"it was not decrypted: {line.removeprefix('age: error: ')[:200]}"
