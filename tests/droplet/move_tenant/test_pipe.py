"""The script of pg_restore, as the move changes it."""

from io import BytesIO

import pytest

from droplet.move_tenant import pipe
from droplet.outcome import FailedError

HEAD = b"""--
-- PostgreSQL database dump
--

BEGIN;

SET statement_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET row_security = off;
"""
KNOWN = frozenset({"statement_timeout", "client_encoding", "row_security"})


def changed(text: bytes) -> bytes:
    return b"".join(pipe.script(BytesIO(text), KNOWN))


def test_the_transaction_stays_open_and_unknown_settings_go() -> None:
    body = b"COPY people FROM stdin;\nBEGIN;\nSET transaction_timeout = 9;\n\\.\n\n\nCOMMIT;\n\nSELECT 1;\n"
    found = changed(HEAD + body + b"\nCOMMIT;\n\n--\n-- complete\n--\n")
    head, found_setting, rest = found.partition(b"SET row_security = on;\n")
    assert found_setting
    assert head == (
        b"--\n-- PostgreSQL database dump\n--\n\n\nSET statement_timeout = 0;\nSET client_encoding = 'UTF8';\n"
    )
    # What looks alike in the content stays; only the last COMMIT goes.
    assert rest == body + b"\n\n--\n-- complete\n--\n"


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 12288, 20000])
def test_content_of_any_length_arrives(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "_CHUNK_BYTES", 5000)
    content = bytes(ord("a") + number % 26 for number in range(size))
    found = changed(HEAD + content + b"\nCOMMIT;\n-- end\n")
    assert found.endswith(b"SET row_security = on;\n" + content + b"\n-- end\n")
    assert b"COMMIT" not in found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "wrote nothing"),
        (b"SELECT 1;\nCOMMIT;\n", "or something unknown"),
        (HEAD + b"COPY people FROM stdin;\n1\n", "has no end"),
    ],
)
def test_a_script_that_is_not_whole_is_refused(text: bytes, told: str) -> None:
    with pytest.raises(FailedError, match=told):
        changed(text)
