"""A row of an archive as Postgres writes it as text: a long one, in pieces, as a short one."""

import hashlib
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from droplet.backup import copied, readback
from droplet.backup.errors import BackupError

# What COPY writes of a value: NULL, nothing, what is escaped, what is quoted, bytea, plain text.
PARTS = st.sampled_from(
    [rb"\\x00ff", rb"\n", rb"\t", rb"\\", rb"\\\\", b'"', b" ", b"(", b",", b"a", b"\xc3\xa9", b"b" * 9]
)
VALUES = st.one_of(st.just(rb"\N"), st.lists(PARTS, max_size=8).map(b"".join))


@given(values=st.lists(VALUES, min_size=1, max_size=4), size=st.integers(1, 12))
def test_a_row_in_pieces_is_the_row(values: list[bytes], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copied, "LONGEST_ROW", size)
        row = b"\t".join(values)
        output = io.BytesIO(row + b"\nthe next row\n")
        begin = output.readline(size)
        digest = copied.long_row(begin, output)
        assert digest == hashlib.md5(copied.row_text(row), usedforsecurity=False).digest()
        assert output.readline() == b"the next row\n"


def test_a_church_s_large_row_is_never_held() -> None:
    """One program reads the dumps of all churches: where it is killed, the night is over for all of them."""

    parts = [b"COPY public.files (id, content) FROM stdin;\n", b"1\t\\\\x", *[b"00" * 2**19] * 64, b"\n\\.\n"]

    class Large(io.RawIOBase):
        """What pg_restore writes of one row with a bytea."""

        def readable(self) -> bool:
            return True

        def readinto(self, into: bytearray) -> int:  # type: ignore[override]  # what a buffer gives
            part = parts.pop(0)[: len(into)] if parts else b""
            into[: len(part)] = part
            return len(part)

    tracemalloc.start()
    try:
        found = readback.read(io.BufferedReader(Large(), 2**20))  # type: ignore[type-var]  # a whole RawIOBase
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.tables["public", "files"].rows == 1
    # 64 MiB went through; a few pieces of 1 MiB are held at a time.
    assert most < 16 * 2**20


def test_an_archive_that_ends_within_a_large_row_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readback, "LONGEST_ROW", 4)
    with pytest.raises(BackupError, match="ends within a table"):
        readback.read(io.BytesIO(b"COPY public.files (id) FROM stdin;\n" + b"1" * 9))
