"""A session, with a shell script as psql that notes what it is sent."""

from pathlib import Path

import pytest

from droplet.postgres import Client
from droplet.session import Session, SessionError

# Prints a value for each SELECT, echoes what it is told to, and fails at a statement FAIL.
PSQL = r"""
while IFS= read -r line; do
    printf '%s\n' "$line" >> "$0.log"
    case "$line" in
        SELECT*) echo '[1, "a"]';;
        FAIL*) echo 'ERROR:  no' >&2; exit 3;;
        *'\echo '*) printf '%s\n' "${line##*\\echo }";;
    esac
done
"""


def session(tmp_path: Path) -> Session:
    program = tmp_path / "psql"
    program.write_text(f"#!/bin/sh\n{PSQL}", encoding="utf-8")
    program.chmod(0o755)
    client = Client("shared", "defaultdb", {"PATH": "/usr/bin:/bin"}, tmp_path)
    return Session(client, "tenant", tmp_path)


def test_variables_are_set_for_one_script_alone(tmp_path: Path) -> None:
    with session(tmp_path) as opened:
        assert opened.ask("SELECT :'owner'", owner="o", lock=7) == [[1, "a"]]
        assert opened.ask("-- nothing") == []
    sent = (tmp_path / "psql.log").read_text(encoding="utf-8").splitlines()
    assert sent[:3] == ["\\set owner 'o'", "\\set lock '7'", "SELECT :'owner'"]
    assert sent[3:5] == [";\\unset owner", "\\unset lock"]
    assert sum("owner" in line for line in sent) == 3


def test_a_statement_that_fails_is_told_with_the_cluster(tmp_path: Path) -> None:
    with session(tmp_path) as opened, pytest.raises(SessionError, match=r"^shared: ERROR:  no$"):
        opened.ask("FAIL")


def test_a_session_that_ended_takes_nothing_more(tmp_path: Path) -> None:
    with session(tmp_path) as opened:
        with pytest.raises(SessionError):
            opened.ask("FAIL")
        with pytest.raises(SessionError, match=r"^shared: ERROR:  no$"):
            opened.ask("SELECT 1")
